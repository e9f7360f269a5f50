import type { MiddlewareHandler } from 'hono';
import { matchedRoutes } from 'hono/route';
import { TOKEN_LIMIT, takeRequest } from '../../shared/store/request-limits.ts';
import { authenticate, type Principal, type Role, roleAllows, roleIn } from '../../shared/store/tokens.ts';
import { findWorkspace, WORKSPACE_NAME, type Workspace } from '../../shared/store/workspaces.ts';
import type { ConsoleApi } from './app.ts';
import { addressOf } from './audit.ts';
import { failedSignIn, limitAnonymous, limitHeaders, rateLimited } from './limits.ts';
import { notFound, Problem } from './problem.ts';

/** `open`: no token. `any`: a living token. `everywhere`: that role in every workspace. Else the role in the workspace of the path. */
export type Access = 'open' | 'any' | Role | { everywhere: Role };

const W = '/api/v1/workspaces/:workspace';
const SOURCE = `${W}/data-sources/:name`;
const ENVIRONMENT = `${SOURCE}/environments/:environment`;
const TABLE = `${W}/tables/:id`;

/**
 * Who may do what: the only list. A route that is not here answers nobody, so a forgotten line closes a door and opens none.
 */
export const ACCESS: Readonly<Record<string, Access>> = {
  'GET /': 'open',
  'GET /healthz': 'open',
  'GET /readyz': 'open',
  'GET /metrics': { everywhere: 'viewer' },
  'GET /api/v1/openapi.json': 'open',
  'GET /api/v1/docs': 'open',
  'GET /api/v1/docs.css': 'open',
  'GET /api/v1/workspaces': 'any',
  'POST /api/v1/workspaces': { everywhere: 'administrator' },
  [`GET ${W}`]: 'viewer',

  [`GET ${W}/data-sources`]: 'viewer',
  [`POST ${W}/data-sources`]: 'operator',
  [`GET ${SOURCE}`]: 'viewer',
  [`PUT ${SOURCE}`]: 'operator',
  [`PATCH ${SOURCE}`]: 'operator',
  [`DELETE ${SOURCE}`]: 'administrator',
  [`GET ${SOURCE}/deletion-preview`]: 'operator',
  [`POST ${SOURCE}/clone`]: 'operator',
  [`POST ${SOURCE}/collect`]: 'operator',

  [`GET ${ENVIRONMENT}/connectivity-tests`]: 'viewer',
  [`POST ${ENVIRONMENT}/connectivity-tests`]: 'operator',
  [`GET ${ENVIRONMENT}/connectivity-tests/:id`]: 'viewer',
  [`GET ${ENVIRONMENT}/policies`]: 'operator',
  [`GET ${ENVIRONMENT}/event-setup`]: 'operator',
  [`GET ${ENVIRONMENT}/folders`]: 'operator',
  [`POST ${W}/folders`]: 'operator',

  [`GET ${W}/collection-runs`]: 'viewer',
  [`POST ${W}/collection-runs`]: 'operator',
  [`GET ${W}/collection-runs/:id`]: 'viewer',
  [`GET ${W}/collection-runs/:id/tables`]: 'viewer',
  [`POST ${W}/collection-runs/:id/approve-removals`]: 'administrator',

  [`GET ${W}/databases`]: 'viewer',
  [`GET ${W}/tables`]: 'viewer',
  [`GET ${TABLE}`]: 'viewer',
  [`GET ${TABLE}/snapshots`]: 'viewer',
  [`GET ${TABLE}/schemas`]: 'viewer',
  [`GET ${TABLE}/partitions`]: 'viewer',
  [`GET ${TABLE}/files`]: 'viewer',
  [`GET ${TABLE}/tags`]: 'viewer',
  [`GET ${TABLE}/branches`]: 'viewer',
  [`GET ${TABLE}/consumers`]: 'viewer',
  [`GET ${TABLE}/commits`]: 'viewer',
  [`GET ${W}/search`]: 'viewer',
  [`GET ${W}/changes`]: 'viewer',

  [`GET ${W}/tokens`]: 'administrator',
  [`POST ${W}/tokens`]: 'administrator',
  [`DELETE ${W}/tokens/:id`]: 'administrator',

  [`GET ${W}/dead-letters`]: 'operator',
  [`GET ${W}/dead-letters/:id`]: 'administrator',
  [`POST ${W}/dead-letters/:id/redrive`]: 'administrator',
  [`DELETE ${W}/dead-letters/:id`]: 'administrator',

  [`GET ${W}/audit`]: 'administrator',
  'GET /api/v1/audit': { everywhere: 'administrator' },
};

/** Path characters that other parts of the way may read differently than we do (T17). No name of ours needs them. */
const AMBIGUOUS = /\/\/|;|%2f|%5c|%00|%25|%2e|\\|\/\.{1,2}(\/|$)/i;

/**
 * Before anything else of a request: one canonical path, then who asks, then whether they may. Only then is the request
 * validated, so that nobody learns from an error about what they may not touch (T18).
 */
export const guard: MiddlewareHandler<ConsoleApi> = async (c, next) => {
  const path = new URL(c.req.url).pathname;
  if (AMBIGUOUS.test(path)) throw new Problem(400, 'ambiguous-path', 'The path has characters that this API does not use.');
  const route = matchedRoutes(c).at(-1);
  const access = route && route.method !== 'ALL' ? ACCESS[`${route.method} ${route.path}`] : undefined;
  if (access === 'open') return next();

  const { database, requestLimit = TOKEN_LIMIT } = c.env.deps;
  const token = /^Bearer ([^\s]+)$/.exec(c.req.header('authorization') ?? '')?.[1];
  const name = /^\/api\/v1\/workspaces\/([^/]+)/.exec(path)?.[1] ?? '';
  if (!token) limitAnonymous(addressOf(c));
  const { principal, workspace, refusal, allowance } = await database.system(async (tx) => {
    const found = token ? await authenticate(tx, token) : undefined;
    return {
      principal: found,
      workspace: WORKSPACE_NAME.test(name) ? await findWorkspace(tx, name) : undefined,
      ...(token && !found && { refusal: await failedSignIn(tx, addressOf(c), c.env.call.requestId) }),
      // Last: other requests of the token wait for its row.
      ...(found && { allowance: await takeRequest(tx, found.tokenId, requestLimit) }),
    };
  });
  if (refusal) throw refusal;
  if (!principal)
    throw new Problem(
      401,
      'not-signed-in',
      "Send 'Authorization: Bearer <token>' with a token that is neither expired nor revoked.",
      {
        headers: { 'www-authenticate': 'Bearer realm="paimon-datamap"' },
      },
    );
  if (!allowance) throw rateLimited(`${requestLimit.perSecond} requests a second with this token`, limitHeaders(requestLimit, 0));
  // What is refused from here on has a name for the audit log.
  c.set('principal', principal);
  if (access === undefined) throw notFound();
  if (workspace && roleIn(principal, workspace.id)) c.set('workspace', workspace);
  authorise(access, principal, workspace);
  await next();
  for (const [header, value] of Object.entries(limitHeaders(requestLimit, allowance.remaining))) c.header(header, value);
};

function authorise(access: Exclude<Access, 'open'>, principal: Principal, workspace: Workspace | undefined): void {
  if (access === 'any') return;
  if (typeof access === 'object') {
    const everywhere = principal.grants.find((grant) => grant.workspaceId === null);
    if (!everywhere || !roleAllows(everywhere.role, access.everywhere))
      throw needsRole(`${access.everywhere} of every workspace`);
    return;
  }
  const held = workspace && roleIn(principal, workspace.id);
  if (!held) throw notFound();
  if (!roleAllows(held, access)) throw needsRole(access);
}

function needsRole(role: string): Problem {
  return new Problem(403, 'role-needed', `This needs the role ${role}.`);
}
