import { createHash } from 'node:crypto';

/** What one row of the audit log says; `detail` is JSON text exactly as it was written. */
export interface AuditRow {
  workspaceId: number;
  sequence: bigint;
  at: Date;
  tokenId: string | null;
  actor: string;
  address: string | null;
  requestId: string | null;
  action: string;
  target: string;
  outcome: 'done' | 'refused' | 'failed';
  code: string | null;
  detail: string | null;
}

/** Hash before the first row. */
export const NO_HASH = '0'.repeat(64);

/** Hex SHA-256 over the hash before and everything that the row says: none can be changed, moved or taken out unseen. */
export function chainHash(previous: string, row: AuditRow): string {
  const { workspaceId, sequence, at, tokenId, actor, address, requestId, action, target, outcome, code, detail } = row;
  const said = [workspaceId, String(sequence), at.toISOString(), tokenId, actor, address, requestId, action, target];
  return createHash('sha256')
    .update(JSON.stringify([previous, ...said, outcome, code, detail]))
    .digest('hex');
}

const SECRET_NAME = /secret|password|token|credential|signature/i;

/** A request's body as the log may keep it: what stands under a secret's name is only told apart from another, in 32 bits. */
export function withoutSecrets(value: unknown, name = ''): unknown {
  if (SECRET_NAME.test(name) && value !== null && typeof value !== 'boolean')
    return `sha256:${createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 8)}`;
  if (Array.isArray(value)) return value.map((item) => withoutSecrets(item, name));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutSecrets(item, key)]));
}
