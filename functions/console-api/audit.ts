import type { Context, MiddlewareHandler } from 'hono';
import { matchedRoutes } from 'hono/route';
import { type AuditRow, withoutSecrets } from '../../shared/audit-chain.ts';
import { type AuditEntry, appendAudit, INSTALLATION } from '../../shared/store/audit-log.ts';
import type { Transaction } from '../../shared/store/database.ts';
import { ACCESS } from './access.ts';
import type { ConsoleApi } from './app.ts';
import { problemOf } from './problem.ts';

// biome-ignore lint/suspicious/noExplicitAny: any route's context
type Asked = Context<ConsoleApi, any, any>;

/**
 * One row of the audit log for each call that may change something and whose caller is known (P17): what was done has its row
 * in the transaction of the change (`recordDone`), and what was refused, failed or changed no row gets one here, afterwards.
 */
export const audited: MiddlewareHandler<ConsoleApi> = async (c, next) => {
  await next();
  if (c.req.method === 'GET' || c.req.method === 'HEAD' || !c.var.principal || !routeOf(c)) return;
  // A transaction that was taken back took its row with it.
  if (c.var.isAudited && c.res.status < 400) return;
  const { deps, call } = c.env;
  const outcome = c.res.status < 400 ? 'done' : c.res.status < 500 ? 'refused' : 'failed';
  const code = c.error ? problemOf(c.error, call.requestId).code : null;
  const entry = await entryOf(c, outcome, code);
  try {
    await deps.database.system((tx) => appendAudit(tx, workspaceOf(c), entry));
  } catch (error) {
    call.log.error('audit row not written', { error, entry });
  }
};

/** To be called last in the transaction that does what was asked. */
export async function recordDone(c: Asked, tx: Transaction): Promise<void> {
  await appendAudit(tx, workspaceOf(c), await entryOf(c, 'done', null));
  c.set('isAudited', true);
}

const ADDRESS = /^[\da-f.:]{2,45}$/i;

/** The caller's network address as the platform saw it; undefined where it did not say. */
export function addressOf(c: Asked): string | undefined {
  const { sourceIp } = c.env.call;
  return sourceIp && ADDRESS.test(sourceIp) ? sourceIp : undefined;
}

async function entryOf(c: Asked, outcome: AuditRow['outcome'], code: string | null): Promise<AuditEntry> {
  const { principal, workspace } = c.var;
  const { pathname } = new URL(c.req.url);
  const route = routeOf(c)!;
  // Only what was accepted is known to hold its secrets under the names of secrets.
  const body = outcome === 'done' ? await bodyOf(c) : undefined;
  return {
    tokenId: principal.tokenId,
    actor: principal.name,
    address: addressOf(c) ?? null,
    requestId: c.env.call.requestId,
    action: `${route.method} ${route.path.replace(/^\/api\/v1(\/workspaces\/:workspace)?/, '').replace(/:(\w+)/g, '{$1}')}`,
    target: workspace ? pathname.replace(/^\/api\/v1\/workspaces\/[^/]+/, '') : pathname,
    outcome,
    code,
    ...(body !== undefined && { detail: withoutSecrets(body) }),
  };
}

function routeOf(c: Asked) {
  const route = matchedRoutes(c).at(-1);
  return route && `${route.method} ${route.path}` in ACCESS ? route : undefined;
}

function workspaceOf(c: Asked): number {
  return c.var.workspace?.id ?? INSTALLATION;
}

/** Read once already, and kept by the request. */
async function bodyOf(c: Asked): Promise<unknown> {
  const text = await c.req.text();
  return text === '' ? undefined : JSON.parse(text);
}
