import { type AuditRow, chainHash, NO_HASH } from '../audit-chain.ts';
import type { Transaction } from './database.ts';
import { storableText } from './storable.ts';

/** Chain of what belongs to no workspace. */
export const INSTALLATION = 0;

/** Any constant: names the chains among the advisory locks with two keys. */
const CHAIN_LOCK = 7_205_761;
const MAX_DETAIL_CHARS = 8_000;

export type AuditEntry = Omit<AuditRow, 'workspaceId' | 'sequence' | 'at' | 'detail'> & { detail?: unknown };
export type StoredAuditRow = AuditRow & { hash: string };

/**
 * Adds a row to the chain of a workspace. As the last statement of a transaction: those that come after wait until it ends.
 * Details that would be too long are left out, names kept. Tenant transaction of that workspace, or system transaction.
 */
export async function appendAudit(tx: Transaction, workspaceId: number, entry: AuditEntry): Promise<void> {
  await tx.query('select pg_advisory_xact_lock($1, $2)', [CHAIN_LOCK, workspaceId]);
  const [last] = await tx.query<{ sequence: string; hash: string }>(
    `select sequence, encode(hash, 'hex') as hash from audit_log where workspace_id = $1 order by sequence desc limit 1`,
    [workspaceId],
  );
  // The database's clock, in what a Date can hold.
  const [{ at }] = (await tx.query<{ at: Date }>(`select date_trunc('milliseconds', clock_timestamp()) as at`)) as [{ at: Date }];
  const row: AuditRow = {
    ...entry,
    actor: storableText(entry.actor),
    target: storableText(entry.target),
    workspaceId,
    sequence: BigInt(last?.sequence ?? 0) + 1n,
    at,
    detail: detailText(entry.detail),
  };
  await tx.query(
    `insert into audit_log (workspace_id, sequence, at, token_id, actor, address, request_id, action, target, outcome, code, detail, hash)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, decode($13, 'hex'))`,
    [
      workspaceId,
      row.sequence,
      row.at,
      row.tokenId,
      row.actor,
      row.address,
      row.requestId,
      row.action,
      row.target,
      row.outcome,
      row.code,
      row.detail,
      chainHash(last?.hash ?? NO_HASH, row),
    ],
  );
}

/** Rows of one chain: from `after` on in order, or the newest first, before `before`. `actor` and `action` are parts of text. */
export async function readAudit(
  tx: Transaction,
  workspaceId: number,
  page: {
    after?: bigint | undefined;
    before?: bigint | undefined;
    actor?: string | undefined;
    action?: string | undefined;
    limit: number;
  },
): Promise<StoredAuditRow[]> {
  const rows = await tx.query<Omit<StoredAuditRow, 'sequence'> & { sequence: string }>(
    `select workspace_id as "workspaceId", sequence, at, token_id as "tokenId", actor, address, request_id as "requestId", action, target,
            outcome, code, detail, encode(hash, 'hex') as hash
       from audit_log
      where workspace_id = $1 and ($2::bigint is null or sequence > $2) and ($3::bigint is null or sequence < $3)
        and ($4::text is null or strpos(lower(actor), lower($4)) > 0) and ($5::text is null or strpos(lower(action), lower($5)) > 0)
      order by sequence ${page.after === undefined ? 'desc' : 'asc'} limit $6`,
    [workspaceId, page.after ?? null, page.before ?? null, page.actor ?? null, page.action ?? null, page.limit],
  );
  return rows.map((row) => ({ ...row, sequence: BigInt(row.sequence) }));
}

function detailText(detail: unknown): string | null {
  if (detail === undefined) return null;
  const text = JSON.stringify(detail);
  if (text.length <= MAX_DETAIL_CHARS) return text;
  return JSON.stringify({ tooLong: text.length, names: Object.keys(Object(detail)).slice(0, 50) });
}
