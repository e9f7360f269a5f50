import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { Secret } from '../credentials/secret.ts';
import type { Transaction } from './database.ts';

/** Each role may do what the ones before it may. */
export const ROLES = ['viewer', 'operator', 'administrator'] as const;
export type Role = (typeof ROLES)[number];

export function roleAllows(held: Role, needed: Role): boolean {
  return ROLES.indexOf(held) >= ROLES.indexOf(needed);
}

/** `workspaceId` null: every workspace, also future ones. */
export interface Grant {
  workspaceId: number | null;
  role: Role;
}

/** Who a request comes from. */
export interface Principal {
  tokenId: string;
  name: string;
  grants: Grant[];
}

export interface TokenSummary {
  id: string;
  name: string;
  role: Role;
  /** The token works in every workspace. */
  everyWorkspace: boolean;
  createdAt: Date;
  createdBy: string;
  expiresAt: Date;
  lastUsedAt: Date | null;
  revokedAt: Date | null;
}

export const MAX_TOKEN_DAYS = 365;
const DAY_MS = 86_400_000;
/** `last_used_at` is exact to this; writing it at every request would cost a row version each. */
const LAST_USED_SECONDS = 60;
/** 256 random bits in base64url. */
const TOKEN = /^dm_[A-Za-z0-9_-]{43}$/;

/** Makes a token; its text is shown this once and never again. Without `expiresAt` it ends after a year. System transaction. */
export async function createToken(
  tx: Transaction,
  options: { name: string; createdBy: string; grants: Grant[]; expiresAt?: Date },
): Promise<{ id: string; token: Secret; expiresAt: Date }> {
  const text = `dm_${randomBytes(32).toString('base64url')}`;
  const id = randomUUID();
  const expiresAt = options.expiresAt ?? new Date(Date.now() + MAX_TOKEN_DAYS * DAY_MS);
  await tx.query('insert into api_token (id, name, token_hash, created_by, expires_at) values ($1, $2, $3, $4, $5)', [
    id,
    options.name,
    hashOf(text),
    options.createdBy,
    expiresAt,
  ]);
  for (const grant of options.grants)
    await tx.query('insert into api_token_grant (token_id, workspace_id, role) values ($1, $2, $3)', [
      id,
      grant.workspaceId,
      grant.role,
    ]);
  return { id, token: new Secret(text), expiresAt };
}

/** The holder of a living token, or undefined: unknown, expired and revoked look alike. System transaction. */
export async function authenticate(tx: Transaction, token: string): Promise<Principal | undefined> {
  if (!TOKEN.test(token)) return undefined;
  const [row] = await tx.query<{ tokenId: string; name: string; grants: Grant[] }>(
    `select t.id as "tokenId", t.name,
            coalesce(json_agg(json_build_object('workspaceId', g.workspace_id, 'role', g.role)) filter (where g.role is not null), '[]') as grants
       from api_token t left join api_token_grant g on g.token_id = t.id
      where t.token_hash = $1 and t.revoked_at is null and t.expires_at > clock_timestamp()
      group by t.id`,
    [hashOf(token)],
  );
  if (!row) return undefined;
  await tx.query(
    `update api_token set last_used_at = clock_timestamp()
      where id = $1 and (last_used_at is null or last_used_at < clock_timestamp() - make_interval(secs => $2))`,
    [row.tokenId, LAST_USED_SECONDS],
  );
  return row;
}

/** The strongest role that the principal holds in this workspace; undefined: none. */
export function roleIn(principal: Principal, workspaceId: number): Role | undefined {
  return principal.grants
    .filter((grant) => grant.workspaceId === null || grant.workspaceId === workspaceId)
    .map((grant) => grant.role)
    .sort((a, b) => ROLES.indexOf(b) - ROLES.indexOf(a))[0];
}

/** Tokens granted this workspace by name, newest first; those for every workspace too when asked. System transaction. */
export async function listTokens(
  tx: Transaction,
  workspaceId: number,
  options: { withEveryWorkspace: boolean },
): Promise<TokenSummary[]> {
  return tx.query<TokenSummary>(
    `select t.id, t.name, g.role, g.workspace_id is null as "everyWorkspace", t.created_at as "createdAt", t.created_by as "createdBy",
            t.expires_at as "expiresAt", t.last_used_at as "lastUsedAt", t.revoked_at as "revokedAt"
       from api_token t join api_token_grant g on g.token_id = t.id
      where g.workspace_id = $1 or ($2 and g.workspace_id is null)
      order by t.created_at desc, t.id`,
    [workspaceId, options.withEveryWorkspace],
  );
}

/** Tokens granted this workspace by name that are still good. System transaction. */
export async function countLivingTokens(tx: Transaction, workspaceId: number): Promise<number> {
  const [row] = await tx.query<{ count: number }>(
    `select count(*)::int as count from api_token t join api_token_grant g on g.token_id = t.id
      where g.workspace_id = $1 and t.revoked_at is null and t.expires_at > clock_timestamp()`,
    [workspaceId],
  );
  return row!.count;
}

/**
 * Ends a token at once; false when no such token belongs to this workspace. One that other workspaces rely on loses only its grant here.
 * System transaction.
 */
export async function revokeToken(
  tx: Transaction,
  workspaceId: number,
  tokenId: string,
  options: { withEveryWorkspace: boolean },
): Promise<boolean> {
  const grants = await tx.query<{ workspaceId: number | null }>(
    'select workspace_id as "workspaceId" from api_token_grant where token_id = $1 for update',
    [tokenId],
  );
  const here = grants.some(
    (grant) => grant.workspaceId === workspaceId || (options.withEveryWorkspace && grant.workspaceId === null),
  );
  if (!here) return false;
  const elsewhere = grants.some((grant) => grant.workspaceId !== null && grant.workspaceId !== workspaceId);
  if (elsewhere && !options.withEveryWorkspace)
    await tx.query('delete from api_token_grant where token_id = $1 and workspace_id = $2', [tokenId, workspaceId]);
  else await tx.query('update api_token set revoked_at = coalesce(revoked_at, clock_timestamp()) where id = $1', [tokenId]);
  return true;
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
