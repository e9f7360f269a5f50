import { announce } from './change-feed.ts';
import type { TableName } from './collection-runs.ts';
import { type MapPlace, subjectOf } from './data-map.ts';
import type { TenantTransaction } from './database.ts';
import { writePartitions } from './table-partitions.ts';

/** One table's content in the data map: its definition, state, document, partitions and search row, written together. */

/** What a reading knows, in the map's words; made from the reader's metadata by `collect-tables`. */
export interface TableRecord extends TableName {
  status: 'ok' | 'degraded' | 'broken';
  /** JSON array. */
  problems: string;
  changeToken: string;
  readRequests: number;
  readBytes: number;
  definition: {
    type: string;
    comment: string | null;
    owner: string | null;
    primaryKeys: string[];
    partitionKeys: string[];
    mergeEngine: string | null;
    schemaId: bigint | null;
    columnCount: number;
    /** JSON. */
    columns: string;
    options: string;
  };
  /** Null: no snapshot, or none that can be read. */
  snapshotId: bigint | null;
  snapshotIdentity: string | null;
  /** Tells this life of the table from others of the same name; null when its first schema is gone. */
  creationIdentity: string | null;
  /** Null means unknown, never zero. */
  rowCount: bigint | null;
  sizeBytes: bigint | null;
  fileCount: bigint | null;
  partitionCount: bigint | null;
  lastCommitAt: Date | null;
  /** The reader's document without partitions, JSON. */
  document: string;
  /** Null: unknown. */
  partitions: PartitionRecord[] | null;
  searchDocument: string;
  searchColumnDocument: string;
}

export interface PartitionRecord {
  /** '' is the main branch. */
  branch: string;
  key: string;
  path: string;
  /** JSON. */
  spec: string;
  rows: bigint;
  bytes: bigint;
  files: bigint;
  /** JSON: the other fields in the reader's names. */
  detail: string;
}

/** What the map knows of a table before it is looked at. */
export interface StoredTableState extends TableName {
  tableId: string;
  status: 'ok' | 'degraded' | 'broken';
  changeToken: string | null;
  /** Looked at whole too long ago, or broken and worth another try: the token alone does not settle it. */
  isStale: boolean;
  isRemoved: boolean;
  snapshotId: string | null;
  snapshotIdentity: string | null;
  schemaId: string | null;
  creationIdentity: string | null;
  /** There is content from a time when the table could be read. */
  isKnown: boolean;
}

/**
 * What a probe cannot see (tags, branches, consumers) is at most this old, even when every event was lost. The spread keeps
 * tables that were first read together from being read together for ever.
 */
const REREAD_MINUTES = 20 * 60;
const REREAD_SPREAD_MINUTES = 8 * 60;
const RETRY_BROKEN_MINUTES = 30;

/** The stored state of these tables, by `database/table`; absent for those the map has never held. */
export async function loadTableStates(
  tx: TenantTransaction,
  environmentId: string,
  tables: readonly TableName[],
): Promise<Map<string, StoredTableState>> {
  const rows = await tx.query<StoredTableState>(
    `select d.name as database, t.name as table, t.id as "tableId", s.status, s.change_token as "changeToken",
       s.read_at < clock_timestamp() - interval '1 minute' *
         case s.status when 'broken' then ${RETRY_BROKEN_MINUTES} else ${REREAD_MINUTES} + t.id % ${REREAD_SPREAD_MINUTES} end as "isStale",
       t.removed_at is not null as "isRemoved", s.snapshot_id as "snapshotId", s.snapshot_identity as "snapshotIdentity",
       t.schema_id as "schemaId", s.creation_identity as "creationIdentity", s.known_at is not null as "isKnown"
     from unnest($2::text[], $3::text[]) as asked(d, t)
     join catalog_database d on d.environment_id = $1 and d.name = asked.d
     join catalog_table t on t.database_id = d.id and t.name = asked.t
     join table_state s on s.table_id = t.id`,
    [environmentId, tables.map((table) => table.database), tables.map((table) => table.table)],
  );
  return new Map(rows.map((row) => [`${row.database}/${row.table}`, row]));
}

/** Notes that the warehouse still agrees with what is stored; only where that is what was compared. */
export async function confirmUnchanged(
  tx: TenantTransaction,
  tables: ReadonlyArray<{ tableId: string; changeToken: string }>,
): Promise<void> {
  await tx.query(
    `update table_state s set collected_at = clock_timestamp()
     from (select table_id, token from unnest($1::bigint[], $2::text[]) as seen(table_id, token) order by table_id) as seen
     where s.table_id = seen.table_id and s.change_token = seen.token`,
    [tables.map((table) => table.tableId), tables.map((table) => table.changeToken)],
  );
}

/** `changed`: the map is different now. `same`: nothing but times. `superseded`: the stored state is not the one compared with. */
export type ApplyResult = 'changed' | 'same' | 'superseded';

/**
 * Writes one reading. The caller holds the table's lease and has fenced in this transaction; `before` is what
 * `loadTableStates` gave under that lease. A reading that knows less than the map keeps the map's content and only says so.
 */
export async function applyTable(
  tx: TenantTransaction,
  place: MapPlace,
  record: TableRecord,
  before: StoredTableState | undefined,
  leaseTerm: bigint,
): Promise<ApplyResult> {
  if (before && !(await isStill(tx, before))) return 'superseded';
  const keepsContent = before?.isKnown === true && !before.isRemoved && knowsLess(record, before);
  const table = await writeDefinition(tx, place, record, before, keepsContent);
  const state = await writeState(tx, record, table.id, leaseTerm, keepsContent);
  let contentChanged = false;
  if (keepsContent) await keepDocument(tx, table.id, record.problems);
  else {
    contentChanged = await writeDocument(tx, table.id, record.document);
    contentChanged = (await writePartitions(tx, table.id, record.partitions ?? [])) || contentChanged;
    await writeSearch(tx, place.environmentId, table.id, record);
  }
  const changes = changesOf(record, before, { ...table, keepsContent, contentChanged });
  for (const { type, data } of changes)
    await announce(tx, {
      type,
      subject: subjectOf(place, record),
      data: { tableId: table.publicId, database: record.database, table: record.table, ...data },
    });
  return changes.length > 0 || state.isNew || contentChanged ? 'changed' : 'same';
}

/** Under the lease nobody else writes; this holds the promise even where a lease was lost unnoticed. */
async function isStill(tx: TenantTransaction, before: StoredTableState): Promise<boolean> {
  const rows = await tx.query(
    `select 1 from table_state where table_id = $1 and change_token is not distinct from $2 and snapshot_identity is not distinct from $3
     for update`,
    [before.tableId, before.changeToken, before.snapshotIdentity],
  );
  return rows.length === 1;
}

/** Nothing of the present state could be read, or the files of a state that the map knows already could not. */
function knowsLess(record: TableRecord, before: StoredTableState): boolean {
  if (record.status === 'broken') return true;
  const isSameState =
    record.snapshotIdentity === before.snapshotIdentity && String(record.definition.schemaId) === before.schemaId;
  return record.status === 'degraded' && before.status === 'ok' && record.partitions === null && isSameState;
}

interface WrittenTable {
  id: string;
  publicId: string;
  isNew: boolean;
  isRestored: boolean;
  isRecreated: boolean;
  isRedefined: boolean;
}

async function writeDefinition(
  tx: TenantTransaction,
  place: MapPlace,
  record: TableRecord,
  before: StoredTableState | undefined,
  keepsContent: boolean,
): Promise<WrittenTable> {
  const d = record.definition;
  const values = [
    d.type,
    d.comment,
    d.owner,
    d.primaryKeys,
    d.partitionKeys,
    d.mergeEngine,
    d.schemaId?.toString() ?? null,
    d.columnCount,
    d.columns,
    d.options,
  ];
  if (!before) {
    const [row] = await tx.query<{ id: string; public_id: string }>(
      `with home as (
         insert into catalog_database (workspace_id, environment_id, name) values ($1, $2, $3)
         on conflict (environment_id, name) do update set removed_at = null returning id)
       insert into catalog_table (workspace_id, environment_id, database_id, name, type, comment, owner, primary_keys, partition_keys,
         merge_engine, schema_id, column_count, columns, options)
       select $1, $2, home.id, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14 from home
       returning id, public_id`,
      [tx.workspaceId, place.environmentId, record.database, record.table, ...values],
    );
    return { id: row!.id, publicId: row!.public_id, isNew: true, isRestored: false, isRecreated: false, isRedefined: false };
  }
  const isRecreated =
    !keepsContent &&
    record.creationIdentity !== null &&
    before.creationIdentity !== null &&
    record.creationIdentity !== before.creationIdentity;
  if (before.isRemoved)
    await tx.query(
      'update catalog_database set removed_at = null where environment_id = $1 and name = $2 and removed_at is not null',
      [place.environmentId, record.database],
    );
  const redefined = keepsContent
    ? []
    : await tx.query(
        `update catalog_table set type = $2, comment = $3, owner = $4, primary_keys = $5, partition_keys = $6, merge_engine = $7,
           schema_id = $8, column_count = $9, columns = $10, options = $11
         where id = $1 and (type, comment, owner, primary_keys, partition_keys, merge_engine, schema_id, column_count, columns, options)
           is distinct from ($2, $3, $4, $5::text[], $6::text[], $7, $8::bigint, $9::int, $10::jsonb, $11::jsonb)
         returning id`,
        [before.tableId, ...values],
      );
  const [row] = await tx.query<{ id: string; public_id: string }>(
    `update catalog_table set last_seen_at = clock_timestamp(), removed_at = null, incarnation = incarnation + $2,
       first_seen_at = case when $2 = 1 then clock_timestamp() else first_seen_at end
     where id = $1 returning id, public_id`,
    [before.tableId, isRecreated ? 1 : 0],
  );
  return {
    id: row!.id,
    publicId: row!.public_id,
    isNew: false,
    isRestored: before.isRemoved,
    isRecreated,
    isRedefined: redefined.length > 0,
  };
}

async function writeState(
  tx: TenantTransaction,
  record: TableRecord,
  tableId: string,
  leaseTerm: bigint,
  keepsContent: boolean,
): Promise<{ isNew: boolean }> {
  const isKnown = record.status !== 'broken';
  const [row] = await tx.query<{ is_new: boolean }>(
    keepsContent
      ? `update table_state set status = $3, problems = $4, change_token = $5, lease_term = $6, read_requests = $7, read_bytes = $8,
           collected_at = clock_timestamp(), read_at = clock_timestamp()
         where workspace_id = $1 and table_id = $2 returning false as is_new`
      : `insert into table_state (workspace_id, table_id, status, problems, change_token, lease_term, read_requests, read_bytes,
           snapshot_id, snapshot_identity, creation_identity, row_count, size_bytes, file_count, partition_count, last_commit_at, known_at,
           collected_at, read_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, case when $17 then clock_timestamp() end,
           clock_timestamp(), clock_timestamp())
         on conflict (table_id) do update set status = excluded.status, problems = excluded.problems,
           change_token = excluded.change_token, lease_term = excluded.lease_term, read_requests = excluded.read_requests,
           read_bytes = excluded.read_bytes, snapshot_id = excluded.snapshot_id, snapshot_identity = excluded.snapshot_identity,
           creation_identity = coalesce(excluded.creation_identity, table_state.creation_identity), row_count = excluded.row_count,
           size_bytes = excluded.size_bytes, file_count = excluded.file_count, partition_count = excluded.partition_count,
           last_commit_at = excluded.last_commit_at, known_at = excluded.known_at, collected_at = excluded.collected_at,
           read_at = excluded.read_at
         returning xmax = 0 as is_new`,
    [
      tx.workspaceId,
      tableId,
      record.status,
      record.problems,
      record.changeToken,
      leaseTerm.toString(),
      record.readRequests,
      record.readBytes,
      ...(keepsContent
        ? []
        : [
            record.snapshotId?.toString() ?? null,
            record.snapshotIdentity,
            record.creationIdentity,
            record.rowCount?.toString() ?? null,
            record.sizeBytes?.toString() ?? null,
            record.fileCount?.toString() ?? null,
            record.partitionCount?.toString() ?? null,
            record.lastCommitAt,
            isKnown,
          ]),
    ],
  );
  return { isNew: row!.is_new };
}

async function writeDocument(tx: TenantTransaction, tableId: string, document: string): Promise<boolean> {
  const rows = await tx.query(
    `insert into table_document (workspace_id, table_id, document) values ($1, $2, $3)
     on conflict (table_id) do update set document = excluded.document where table_document.document is distinct from excluded.document
     returning table_id`,
    [tx.workspaceId, tableId, document],
  );
  return rows.length > 0;
}

/** The content stays; what is wrong now is said beside it. */
async function keepDocument(tx: TenantTransaction, tableId: string, problems: string): Promise<void> {
  await tx.query(
    `update table_document set document = jsonb_set(document, '{problems}', $2::jsonb)
     where table_id = $1 and document -> 'problems' is distinct from $2::jsonb`,
    [tableId, problems],
  );
}

async function writeSearch(tx: TenantTransaction, environmentId: string, tableId: string, record: TableRecord): Promise<void> {
  await tx.query(
    `insert into table_search as search (workspace_id, table_id, environment_id, name, document, column_document)
     values ($1, $2, $3, $4, $5::tsvector, $6::tsvector)
     on conflict (table_id) do update set document = excluded.document, column_document = excluded.column_document
       where (search.document, search.column_document) is distinct from (excluded.document, excluded.column_document)`,
    [tx.workspaceId, tableId, environmentId, record.table, record.searchDocument, record.searchColumnDocument],
  );
}

/** What became different, as entries of the feed. */
function changesOf(
  record: TableRecord,
  before: StoredTableState | undefined,
  written: WrittenTable & { keepsContent: boolean; contentChanged: boolean },
): Array<{ type: string; data: Record<string, unknown> }> {
  const figures = {
    status: record.status,
    schemaId: record.definition.schemaId?.toString() ?? null,
    snapshotId: record.snapshotId?.toString() ?? null,
    rowCount: record.rowCount?.toString() ?? null,
    sizeBytes: record.sizeBytes?.toString() ?? null,
    fileCount: record.fileCount?.toString() ?? null,
    partitionCount: record.partitionCount?.toString() ?? null,
    lastCommitAt: record.lastCommitAt?.toISOString() ?? null,
  };
  if (!before) return [{ type: 'table.found', data: figures }];
  if (written.isRecreated) return [{ type: 'table.recreated', data: figures }];
  const changes: Array<{ type: string; data: Record<string, unknown> }> = [];
  if (written.isRestored) changes.push({ type: 'table.restored', data: figures });
  if (written.isRedefined)
    changes.push({ type: 'schema.changed', data: { fromSchemaId: before.schemaId, toSchemaId: figures.schemaId } });
  const isMoved = record.snapshotIdentity !== before.snapshotIdentity;
  if (!written.keepsContent && (isMoved || (written.contentChanged && !written.isRedefined)))
    changes.push({ type: 'table.changed', data: { fromSnapshotId: before.snapshotId, ...figures } });
  if (record.status !== before.status)
    changes.push({ type: 'table.status-changed', data: { from: before.status, to: record.status } });
  return changes;
}
