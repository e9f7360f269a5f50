import type { TenantTransaction } from './database.ts';
import type { PartitionRecord } from './table-map.ts';

/** Rows of one statement. */
const CHUNK_ROWS = 1_000;

/**
 * Makes the stored partitions equal to these, by branch: writes what is new or different and deletes what is gone, walking
 * both in order of key. Unchanged rows are not touched. True when anything was.
 */
export async function writePartitions(
  tx: TenantTransaction,
  tableId: string,
  partitions: readonly PartitionRecord[],
): Promise<boolean> {
  const byBranch = new Map<string, PartitionRecord[]>();
  for (const partition of partitions) {
    const rows = byBranch.get(partition.branch) ?? [];
    rows.push(partition);
    byBranch.set(partition.branch, rows);
  }
  const dropped = await tx.query('delete from table_partition where table_id = $1 and branch <> all($2) returning 1', [
    tableId,
    [...byBranch.keys()],
  ]);
  let isChanged = dropped.length > 0;
  for (const [branch, rows] of [...byBranch].sort(([a], [b]) => (a < b ? -1 : 1)))
    isChanged = (await writeBranch(tx, tableId, branch, rows)) || isChanged;
  return isChanged;
}

async function writeBranch(tx: TenantTransaction, tableId: string, branch: string, rows: PartitionRecord[]): Promise<boolean> {
  // Keys are ASCII, so this is the database's order too.
  rows.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  let isChanged = false;
  for (let at = 0; at < rows.length; at += CHUNK_ROWS) {
    const chunk = rows.slice(at, at + CHUNK_ROWS);
    const keys = chunk.map((row) => row.key);
    // Between the last key of the chunk before and the last of this one, only these may stay.
    const gone = await tx.query(
      `delete from table_partition where table_id = $1 and branch = $2 and ($3::text is null or partition_key > $3)
         and ($4::text is null or partition_key <= $4) and partition_key <> all($5::text[]) returning 1`,
      [tableId, branch, at === 0 ? null : rows[at - 1]!.key, at + CHUNK_ROWS >= rows.length ? null : keys.at(-1)!, keys],
    );
    const written = await tx.query(
      `insert into table_partition as stored
         (workspace_id, table_id, branch, partition_key, path, spec, row_count, size_bytes, file_count, detail)
       select $1, $2, $3, k, p, s, r, b, f, d
       from unnest($4::text[], $5::text[], $6::jsonb[], $7::bigint[], $8::bigint[], $9::bigint[], $10::jsonb[]) as read(k, p, s, r, b, f, d)
       on conflict (table_id, branch, partition_key) do update set path = excluded.path, spec = excluded.spec,
         row_count = excluded.row_count, size_bytes = excluded.size_bytes, file_count = excluded.file_count, detail = excluded.detail
         where (stored.path, stored.spec, stored.row_count, stored.size_bytes, stored.file_count, stored.detail)
           is distinct from (excluded.path, excluded.spec, excluded.row_count, excluded.size_bytes, excluded.file_count, excluded.detail)
       returning 1`,
      [
        tx.workspaceId,
        tableId,
        branch,
        keys,
        chunk.map((row) => row.path),
        chunk.map((row) => row.spec),
        chunk.map((row) => row.rows.toString()),
        chunk.map((row) => row.bytes.toString()),
        chunk.map((row) => row.files.toString()),
        chunk.map((row) => row.detail),
      ],
    );
    isChanged ||= gone.length > 0 || written.length > 0;
  }
  return isChanged;
}
