import type { TenantTransaction } from './database.ts';

/** Live files of earlier snapshots, told from the ledger: what is there now, less what each commit since has added. */

interface Sums {
  files: bigint;
  bytes: bigint;
  rows: bigint;
}

/** So far back at most. */
const MAX_COMMITS = 5_000;

/**
 * The document with `liveFiles`, `liveFileSize` and `liveFileRowCount` in its snapshots and tags, as a full read has them; only
 * where every commit up to the present state is in the ledger with its delta, and rows agree with the writer's totals.
 */
export async function withLiveHistory(
  tx: TenantTransaction,
  rowId: string,
  document: Record<string, unknown>,
): Promise<Record<string, unknown>> {
  const known = await sumsBySnapshot(tx, rowId);
  if (known.size === 0) return document;
  const filled = (entry: unknown, idKey: string): unknown => {
    if (!isRecord(entry) || 'liveFiles' in entry) return entry;
    const sums = known.get(String(entry[idKey]));
    if (!sums || String(entry.totalRecordCount) !== sums.rows.toString()) return entry;
    return { ...entry, liveFiles: exact(sums.files), liveFileSize: exact(sums.bytes), liveFileRowCount: exact(sums.rows) };
  };
  const { snapshots, tags } = document;
  return {
    ...document,
    ...(Array.isArray(snapshots) && { snapshots: snapshots.map((entry) => filled(entry, 'id')) }),
    ...(isRecord(tags) && {
      tags: Object.fromEntries(Object.entries(tags).map(([name, entry]) => [name, filled(entry, 'snapshotId')])),
    }),
  };
}

async function sumsBySnapshot(tx: TenantTransaction, rowId: string): Promise<Map<string, Sums>> {
  const known = new Map<string, Sums>();
  const [state] = await tx.query<{ identity: string; files: string; bytes: string; rows: string; incarnation: number }>(
    `select s.snapshot_identity as identity, s.file_count as files, s.size_bytes as bytes, s.row_count as rows, t.incarnation
     from table_state s join catalog_table t on t.id = s.table_id
     where s.workspace_id = $1 and s.table_id = $2 and s.file_count is not null and s.size_bytes is not null and s.row_count is not null
       and s.snapshot_identity is not null`,
    [tx.workspaceId, rowId],
  );
  if (!state) return known;
  const commits = await tx.query<{
    snapshot_id: string;
    identity: string | null;
    total_rows: string | null;
    files: string | null;
    bytes: string | null;
    rows: string | null;
  }>(
    `select snapshot_id, identity, total_rows, files_added - files_deleted as files, bytes_added - bytes_deleted as bytes,
       rows_added - rows_deleted as rows
     from commit_ledger where workspace_id = $1 and table_id = $2 and branch = '' and incarnation = $3 order by id desc limit $4`,
    [tx.workspaceId, rowId, state.incarnation, MAX_COMMITS],
  );
  let sums: Sums = { files: BigInt(state.files), bytes: BigInt(state.bytes), rows: BigInt(state.rows) };
  let expected: bigint | undefined;
  for (const commit of commits) {
    const id = BigInt(commit.snapshot_id);
    // Rolled back: others of these ids, or none, stand in their place.
    if (expected === undefined ? commit.identity !== state.identity : id > expected) continue;
    if (commit.identity === null || (expected !== undefined && id !== expected)) break;
    if (commit.total_rows !== sums.rows.toString()) break;
    known.set(commit.snapshot_id, sums);
    if (commit.files === null || commit.bytes === null || commit.rows === null) break;
    sums = {
      files: sums.files - BigInt(commit.files),
      bytes: sums.bytes - BigInt(commit.bytes),
      rows: sums.rows - BigInt(commit.rows),
    };
    if (sums.files < 0n || sums.bytes < 0n || sums.rows < 0n) break;
    expected = id - 1n;
  }
  return known;
}

/** As in the reader's documents: a number while JSON keeps it exactly, else text. */
function exact(integer: bigint): number | string {
  const number = Number(integer);
  return Number.isSafeInteger(number) ? number : integer.toString();
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
