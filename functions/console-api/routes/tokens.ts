import { createRoute, z } from '@hono/zod-openapi';
import {
  countLivingTokens,
  createToken,
  listTokens,
  MAX_TOKEN_DAYS,
  ROLES,
  type Role,
  revokeToken,
  roleAllows,
  roleIn,
} from '../../../shared/store/tokens.ts';
import type { App } from '../app.ts';
import { recordDone } from '../audit.ts';
import { notFound, Problem } from '../problem.ts';
import {
  answers,
  body,
  created,
  IdParams,
  iso,
  isoOrNull,
  listOf,
  NullableTime,
  problems,
  Time,
  token,
  WorkspaceParams,
} from '../schemas.ts';

const TokenAnswer = z
  .object({
    id: z.uuid(),
    name: z.string(),
    role: z.enum(ROLES),
    everyWorkspace: z.boolean(),
    createdAt: Time,
    createdBy: z.string(),
    expiresAt: Time,
    lastUsedAt: NullableTime,
    revokedAt: NullableTime,
  })
  .openapi('Token');
const NewToken = z
  .object({ id: z.uuid(), name: z.string(), role: z.enum(ROLES), token: z.string().describe('Shown this once'), expiresAt: Time })
  .openapi('NewToken');
const TokenInput = z
  .strictObject({
    name: z.string().min(1).max(200).describe('Who or what uses it'),
    role: z.enum(ROLES),
    expiresInDays: z.int().min(1).max(MAX_TOKEN_DAYS).default(90),
  })
  .openapi('TokenInput');

const MAX_TOKENS = 100;

const tags = ['Tokens'];

export function addTokens(app: App): void {
  app.openapi(
    createRoute({
      method: 'get',
      path: '/api/v1/workspaces/{workspace}/tokens',
      tags,
      summary: 'List the tokens of this workspace',
      security: token,
      request: { params: WorkspaceParams },
      responses: answers(listOf(TokenAnswer), 'Newest first; the tokens themselves are not kept'),
    }),
    async (c) => {
      const { workspace, principal } = c.var;
      const rows = await c.env.deps.database.system((tx) =>
        listTokens(tx, workspace.id, { withEveryWorkspace: isEverywhere(principal) }),
      );
      const items = rows.map((row) => ({
        ...row,
        createdAt: iso(row.createdAt),
        expiresAt: iso(row.expiresAt),
        lastUsedAt: isoOrNull(row.lastUsedAt),
        revokedAt: isoOrNull(row.revokedAt),
      }));
      return c.json({ items, nextCursor: null }, 200);
    },
  );

  app.openapi(
    createRoute({
      method: 'post',
      path: '/api/v1/workspaces/{workspace}/tokens',
      tags,
      summary: 'Make a token for this workspace',
      security: token,
      request: { params: WorkspaceParams, body: body(TokenInput) },
      responses: created(NewToken, 'The only answer that ever holds the token'),
    }),
    async (c) => {
      const { workspace, principal } = c.var;
      const input = c.req.valid('json');
      if (!roleAllows(roleIn(principal, workspace.id) as Role, input.role))
        throw new Problem(403, 'role-needed', `Only who is ${input.role} can make a token with that role.`);
      const made = await c.env.deps.database.system(async (tx) => {
        if ((await countLivingTokens(tx, workspace.id)) >= MAX_TOKENS)
          throw new Problem(409, 'limit-reached', `A workspace has ${MAX_TOKENS} tokens at most: revoke some first.`);
        const created = await createToken(tx, {
          name: input.name,
          createdBy: principal.name,
          grants: [{ workspaceId: workspace.id, role: input.role }],
          expiresAt: new Date(Date.now() + input.expiresInDays * 86_400_000),
        });
        await recordDone(c, tx);
        return created;
      });
      return c.json(
        { id: made.id, name: input.name, role: input.role, token: made.token.reveal(), expiresAt: iso(made.expiresAt) },
        201,
      );
    },
  );

  app.openapi(
    createRoute({
      method: 'delete',
      path: '/api/v1/workspaces/{workspace}/tokens/{id}',
      tags,
      summary: 'Revoke a token at once',
      security: token,
      request: { params: IdParams },
      responses: { 204: { description: 'Revoked' }, ...problems },
    }),
    async (c) => {
      const { workspace, principal } = c.var;
      await c.env.deps.database.system(async (tx) => {
        const { id } = c.req.valid('param');
        if (!(await revokeToken(tx, workspace.id, id, { withEveryWorkspace: isEverywhere(principal) }))) throw notFound();
        await recordDone(c, tx);
      });
      return c.body(null, 204);
    },
  );
}

/** Tokens for every workspace are the business of who administers every workspace. */
function isEverywhere(principal: { grants: { workspaceId: number | null; role: Role }[] }): boolean {
  return principal.grants.some((grant) => grant.workspaceId === null && grant.role === 'administrator');
}
