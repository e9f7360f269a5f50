import { announceAll } from './change-feed.ts';
import type { TableName } from './collection-runs.ts';
import { type MapPlace, subjectOf } from './data-map.ts';
import type { TenantTransaction } from './database.ts';

/** The commit ledger: every commit that was applied, in order, and the ranges of snapshot ids that nobody saw. */

export type GapCause = 'first-seen' | 'expired' | 'missing' | 'unreadable' | 'too-many';

/** Snapshot ids that stay unknown, both included. */
export interface LedgerGap {
  from: bigint;
  to: bigint;
  cause: GapCause;
}

export interface LedgerCommit {
  snapshotId: bigint;
  identity: string;
  schemaId: bigint | null;
  commitKind: string;
  commitUser: string;
  commitIdentifier: bigint | null;
  watermark: bigint | null;
  /** Writer's clock. */
  timeMillis: bigint | null;
  totalRows: bigint | null;
  deltaRows: bigint | null;
  changelogRows: bigint | null;
  /** Null: its delta manifests could not be read any more. */
  delta: {
    rowsAdded: bigint;
    rowsDeleted: bigint;
    filesAdded: number;
    filesDeleted: number;
    bytesAdded: bigint;
    bytesDeleted: bigint;
    partitionsTouched: number;
    bucketsTouched: number;
  } | null;
}

export interface LedgerPosition {
  snapshotId: bigint;
  identity: string;
  incarnation: number;
}

/** What is to be added to one branch, made against `before`. */
export interface LedgerAppend {
  branch: string;
  before: LedgerPosition | undefined;
  /** The branch was cut back to this commit first. */
  rollback?: { from: bigint; to: { snapshotId: bigint; identity: string } | null };
  entries: ReadonlyArray<LedgerGap | LedgerCommit>;
}

/** The last applied commit by branch, for the present life of the table only. */
export async function loadPositions(tx: TenantTransaction, tableId: string): Promise<Map<string, LedgerPosition>> {
  const rows = await tx.query<{ branch: string; snapshot_id: string; identity: string; incarnation: number }>(
    'select branch, snapshot_id, identity, incarnation from commit_position where table_id = $1',
    [tableId],
  );
  return new Map(
    rows.map((row) => [
      row.branch,
      { snapshotId: BigInt(row.snapshot_id), identity: row.identity, incarnation: row.incarnation },
    ]),
  );
}

/** Those of the identities that the ledger holds for a branch in this life of the table. */
export async function knownIdentities(
  tx: TenantTransaction,
  tableId: string,
  branch: string,
  incarnation: number,
  snapshots: ReadonlyArray<{ id: bigint; identity: string }>,
): Promise<Set<string>> {
  const rows = await tx.query<{ identity: string }>(
    `select identity from commit_ledger
     where table_id = $1 and branch = $2 and incarnation = $3 and snapshot_id = any($4::bigint[]) and identity = any($5::text[])`,
    [tableId, branch, incarnation, snapshots.map(({ id }) => id.toString()), snapshots.map(({ identity }) => identity)],
  );
  return new Set(rows.map((row) => row.identity));
}

/**
 * Adds to the ledger, moves its positions and announces each entry. The caller holds the table's lease and has fenced in
 * this transaction. False: a position is not the one that this was made against; then nothing may be kept of the transaction.
 */
export async function appendCommits(
  tx: TenantTransaction,
  place: MapPlace,
  name: TableName,
  appends: readonly LedgerAppend[],
  eventAt: Date | undefined,
): Promise<boolean> {
  const [table] = await tx.query<{ id: string; public_id: string; incarnation: number }>(
    `select t.id, t.public_id, t.incarnation from catalog_table t join catalog_database d on d.id = t.database_id
     where d.environment_id = $1 and d.name = $2 and t.name = $3`,
    [place.environmentId, name.database, name.table],
  );
  if (!table) return false;
  const present = await loadPositions(tx, table.id);
  const named = { tableId: table.public_id, database: name.database, table: name.table };
  for (const append of appends) {
    const now = present.get(append.branch);
    if (now?.identity !== append.before?.identity || now?.snapshotId !== append.before?.snapshotId) return false;
    await appendBranch(tx, table, append, eventAt);
    await announceAll(tx, subjectOf(place, name), announcementsOf(append, named, eventAt));
  }
  return true;
}

async function appendBranch(
  tx: TenantTransaction,
  table: { id: string; incarnation: number },
  { branch, entries, rollback }: LedgerAppend,
  eventAt: Date | undefined,
): Promise<void> {
  const rows = entries.map((entry) => ('identity' in entry ? commitRow(entry) : gapRow(entry)));
  if (rows.length > 0)
    await tx.query(
      `insert into commit_ledger (workspace_id, table_id, incarnation, branch, event_at, snapshot_id, identity, gap_to_snapshot_id,
         gap_cause, schema_id, commit_kind, commit_user, commit_identifier, watermark, time_millis, total_rows, delta_rows,
         changelog_rows, rows_added, rows_deleted, files_added, files_deleted, bytes_added, bytes_deleted, partitions_touched,
         buckets_touched)
       select $1, $2, $3, $4, case when "gapCause" is null then $5::timestamptz end, "snapshotId", identity, "gapTo", "gapCause",
         "schemaId", "commitKind", "commitUser", "commitIdentifier", watermark, "timeMillis", "totalRows", "deltaRows",
         "changelogRows", "rowsAdded", "rowsDeleted", "filesAdded", "filesDeleted", "bytesAdded", "bytesDeleted",
         "partitionsTouched", "bucketsTouched"
       from unnest($6::jsonb[]) with ordinality as given(entry, place), jsonb_to_record(given.entry) as e("snapshotId" bigint,
         identity text, "gapTo" bigint, "gapCause" text, "schemaId" bigint, "commitKind" text, "commitUser" text,
         "commitIdentifier" bigint, watermark bigint, "timeMillis" bigint, "totalRows" bigint, "deltaRows" bigint,
         "changelogRows" bigint, "rowsAdded" bigint, "rowsDeleted" bigint, "filesAdded" bigint, "filesDeleted" bigint,
         "bytesAdded" bigint, "bytesDeleted" bigint, "partitionsTouched" int, "bucketsTouched" int)
       order by place`,
      [tx.workspaceId, table.id, table.incarnation, branch, eventAt ?? null, rows.map((row) => JSON.stringify(row))],
    );
  const last = entries.findLast((entry) => 'identity' in entry) ?? rollback?.to;
  if (!last) return;
  await tx.query(
    `insert into commit_position (workspace_id, table_id, branch, incarnation, snapshot_id, identity) values ($1, $2, $3, $4, $5, $6)
     on conflict (table_id, branch) do update set incarnation = excluded.incarnation, snapshot_id = excluded.snapshot_id,
       identity = excluded.identity`,
    [tx.workspaceId, table.id, branch, table.incarnation, last.snapshotId.toString(), last.identity],
  );
}

function gapRow({ from, to, cause }: LedgerGap): Record<string, unknown> {
  return { snapshotId: text(from), gapTo: text(to), gapCause: cause };
}

function commitRow({ delta, ...commit }: LedgerCommit): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries({ ...commit, ...delta }).map(([key, value]) => [key, typeof value === 'bigint' ? text(value) : value]),
  );
}

/** As feed entries: plain JSON, 64-bit integers as strings. */
function announcementsOf(
  { branch, entries, rollback }: LedgerAppend,
  table: Record<string, unknown>,
  eventAt: Date | undefined,
): Array<{ type: string; data: Record<string, unknown> }> {
  const of = { ...table, ...(branch !== '' && { branch }) };
  const changes: Array<{ type: string; data: Record<string, unknown> }> = [];
  if (rollback)
    changes.push({
      type: 'table.rolled-back',
      data: { ...of, fromSnapshotId: text(rollback.from), toSnapshotId: rollback.to ? text(rollback.to.snapshotId) : null },
    });
  for (const entry of entries)
    if ('identity' in entry) {
      const { identity: _, ...data } = commitRow(entry);
      changes.push({ type: 'commit.applied', data: { ...of, ...data, eventAt: eventAt?.toISOString() ?? null } });
    } else
      changes.push({
        type: 'commits.missed',
        data: { ...of, fromSnapshotId: text(entry.from), toSnapshotId: text(entry.to), cause: entry.cause },
      });
  return changes;
}

function text(value: bigint): string {
  return value.toString();
}

/** A row of the ledger; 64-bit integers as decimal text. */
export interface LedgerRow {
  id: string;
  incarnation: number;
  snapshotId: string;
  gapTo: string | null;
  gapCause: GapCause | null;
  identity: string | null;
  schemaId: string | null;
  commitKind: string | null;
  commitUser: string | null;
  commitIdentifier: string | null;
  watermark: string | null;
  timeMillis: string | null;
  eventAt: Date | null;
  appliedAt: Date;
  totalRows: string | null;
  deltaRows: string | null;
  changelogRows: string | null;
  rowsAdded: string | null;
  rowsDeleted: string | null;
  filesAdded: string | null;
  filesDeleted: string | null;
  bytesAdded: string | null;
  bytesDeleted: string | null;
  partitionsTouched: number | null;
  bucketsTouched: number | null;
}

/** Oldest first. `after`: id of the last row of the page before. */
export async function listCommits(
  tx: TenantTransaction,
  tableId: string,
  page: { branch: string; limit: number; after?: string | undefined },
): Promise<LedgerRow[]> {
  return tx.query<LedgerRow>(
    `select id, incarnation, snapshot_id as "snapshotId", gap_to_snapshot_id as "gapTo", gap_cause as "gapCause", identity,
       schema_id as "schemaId", commit_kind as "commitKind", commit_user as "commitUser", commit_identifier as "commitIdentifier",
       watermark, time_millis as "timeMillis", event_at as "eventAt", applied_at as "appliedAt", total_rows as "totalRows",
       delta_rows as "deltaRows", changelog_rows as "changelogRows", rows_added as "rowsAdded", rows_deleted as "rowsDeleted",
       files_added as "filesAdded", files_deleted as "filesDeleted", bytes_added as "bytesAdded", bytes_deleted as "bytesDeleted",
       partitions_touched as "partitionsTouched", buckets_touched as "bucketsTouched"
     from commit_ledger where workspace_id = $1 and table_id = $2 and branch = $3 and id > $4
     order by id limit $5`,
    [tx.workspaceId, tableId, page.branch, page.after ?? '0', page.limit],
  );
}
