import type { EnvironmentName } from '../messages.ts';
import { likeEscaped } from './data-sources.ts';
import type { TenantTransaction } from './database.ts';
import { queryWordsOf, quoteLexeme } from './lexemes.ts';

/** The data map as people read it: databases, tables and all that hangs on a table. */

export interface DatabaseSummary {
  dataSource: string;
  environment: EnvironmentName;
  name: string;
  tableCount: number;
  firstSeenAt: Date;
  lastSeenAt: Date;
  removedAt: Date | null;
}

export interface TableProblem extends Record<string, unknown> {
  code: string;
  object: string;
  message: string;
}

/** One row of a list; 64-bit figures as text. The figures are null until the table was read, or while it cannot be. */
export interface TableSummary {
  id: string;
  /** Of the database's own; never shown. */
  rowId: string;
  dataSource: string;
  environment: EnvironmentName;
  database: string;
  table: string;
  type: string;
  comment: string | null;
  owner: string | null;
  primaryKeys: string[];
  partitionKeys: string[];
  mergeEngine: string | null;
  columnCount: number;
  status: 'ok' | 'degraded' | 'broken' | null;
  problemCount: number;
  schemaId: string | null;
  snapshotId: string | null;
  rowCount: string | null;
  sizeBytes: string | null;
  fileCount: string | null;
  partitionCount: string | null;
  lastCommitAt: Date | null;
  collectedAt: Date | null;
  firstSeenAt: Date;
  removedAt: Date | null;
}

export interface TableDetail extends TableSummary {
  columns: unknown[];
  options: Record<string, string>;
  problems: TableProblem[];
  incarnation: number;
  lastSeenAt: Date;
  /** What the last full read cost. */
  requests: number | null;
  bytesRead: string | null;
}

export interface PartitionEntry extends Record<string, unknown> {
  partition: unknown;
  path: string | null;
  hex: string;
  files: number | string;
  size: number | string;
  records: number | string;
}

/** A partition in the reader's names, figures beyond 2^53 as text, and its place in the list. */
export interface StoredPartition {
  entry: PartitionEntry;
  path: string;
  key: string;
}

export interface MapFilter {
  dataSource?: string;
  environment?: string;
  database?: string;
  /** The whole table name. */
  table?: string;
  status?: string;
  /** Tombstones are left out unless asked for. */
  removed?: 'exclude' | 'include' | 'only';
}

const SUMMARY = `c.public_id as id, c.id as "rowId", s.name as "dataSource", e.name as environment, d.name as database, c.name as "table",
  c.type, c.comment, c.owner, c.primary_keys as "primaryKeys", c.partition_keys as "partitionKeys", c.merge_engine as "mergeEngine",
  c.column_count as "columnCount", st.status, coalesce(jsonb_array_length(st.problems), 0) as "problemCount", c.schema_id as "schemaId",
  st.snapshot_id as "snapshotId", st.row_count as "rowCount", st.size_bytes as "sizeBytes", st.file_count as "fileCount",
  st.partition_count as "partitionCount", st.last_commit_at as "lastCommitAt", st.collected_at as "collectedAt",
  c.first_seen_at as "firstSeenAt", c.removed_at as "removedAt"`;
const FROM_TABLES = `from catalog_table c join catalog_database d on d.id = c.database_id join environment e on e.id = c.environment_id
  join data_source s on s.id = e.data_source_id left join table_state st on st.table_id = c.id`;

export async function listDatabases(
  tx: TenantTransaction,
  filter: MapFilter,
  page: { after?: { name: string; dataSource: string; environment: string }; limit: number },
): Promise<DatabaseSummary[]> {
  return tx.query<DatabaseSummary>(
    `select s.name as "dataSource", e.name as environment, d.name,
            (select count(*) from catalog_table c where c.database_id = d.id and c.removed_at is null)::int as "tableCount",
            d.first_seen_at as "firstSeenAt", d.last_seen_at as "lastSeenAt", d.removed_at as "removedAt"
       from catalog_database d join environment e on e.id = d.environment_id join data_source s on s.id = e.data_source_id
      where d.workspace_id = $1 and ($2::text is null or s.name = $2) and ($3::text is null or e.name = $3)
        and ($4 = 'include' or (d.removed_at is null) = ($4 = 'exclude'))
        and ($5::text is null or (d.name, s.name, e.name) > ($5, $6, $7))
      order by d.name, s.name, e.name limit $8`,
    [
      tx.workspaceId,
      filter.dataSource ?? null,
      filter.environment ?? null,
      filter.removed ?? 'exclude',
      page.after?.name ?? null,
      page.after?.dataSource ?? null,
      page.after?.environment ?? null,
      page.limit,
    ],
  );
}

/**
 * Tables by name. `search`: words of name, database, comment and facts, the last one as a beginning; nothing found → names that contain
 * the text. Paged by `after` at any depth, or by `offset`, which also counts (`total`).
 */
export async function listTables(
  tx: TenantTransaction,
  filter: MapFilter & { search?: string },
  page: { after?: { name: string; id: string }; offset?: number; limit: number },
): Promise<{ rows: TableSummary[]; total?: number }> {
  const condition = filter.search === undefined ? undefined : await searchCondition(tx, filter.search);
  if (condition === 'nothing') return { rows: [], ...(page.offset !== undefined && { total: 0 }) };
  const values: unknown[] = [
    tx.workspaceId,
    filter.dataSource ?? null,
    filter.environment ?? null,
    filter.database ?? null,
    filter.status ?? null,
    filter.removed ?? 'exclude',
    filter.table ?? null,
  ];
  let where = `c.workspace_id = $1 and ($2::text is null or s.name = $2) and ($3::text is null or e.name = $3)
    and ($4::text is null or d.name = $4) and ($5::text is null or st.status = $5)
    and ($7::text is null or c.name = $7) and ($6 = 'include' or (c.removed_at is null) = ($6 = 'exclude'))`;
  if (condition) {
    values.push(condition.value);
    where += ` and c.id in (select table_id from table_search where workspace_id = $1 and ${condition.sql('$8')})`;
  }
  const n = values.length;
  const rows = await tx.query<TableSummary>(
    `select ${SUMMARY} ${FROM_TABLES} where ${where} and ($${n + 1}::text is null or (c.name, c.id) > ($${n + 1},
          coalesce((select place.id from catalog_table place where place.workspace_id = $1 and place.public_id = $${n + 2}::uuid), 0)))
      order by c.name, c.id limit $${n + 3} offset $${n + 4}`,
    [...values, page.after?.name ?? null, page.after?.id ?? null, page.limit, page.offset ?? 0],
  );
  if (page.offset === undefined) return { rows };
  const [counted] = await tx.query<{ total: number }>(`select count(*)::int as total ${FROM_TABLES} where ${where}`, values);
  return { rows, total: counted!.total };
}

interface SearchCondition {
  value: string;
  sql(parameter: string): string;
}

/** Words first, because they have an index; parts of names only when no word matches. */
async function searchCondition(tx: TenantTransaction, text: string): Promise<SearchCondition | 'nothing'> {
  const query = tableQuery(text);
  if (query) {
    const words: SearchCondition = { value: query, sql: (parameter) => `document @@ ${parameter}::tsquery` };
    const [hit] = await tx.query(`select from table_search where workspace_id = $1 and ${words.sql('$2')} limit 1`, [
      tx.workspaceId,
      query,
    ]);
    if (hit) return words;
  }
  if (text.trim() === '') return 'nothing';
  return { value: `%${likeEscaped(text.trim().toLowerCase())}%`, sql: (parameter) => `lower(name) like ${parameter}` };
}

/** The text of a tsquery: every word must be there, the last one as a beginning. Undefined when there is no word in it. */
export function tableQuery(text: string): string | undefined {
  const trimmed = text.trim();
  if (/^[^\s]+_[^\s]*$/.test(trimmed)) return `${quoteLexeme(`=${trimmed.normalize('NFC').toLowerCase()}`)}:*`;
  const words = queryWordsOf(trimmed);
  if (words.length === 0) return undefined;
  return words.map((word, i) => `${quoteLexeme(word)}${i === words.length - 1 && word.length >= 2 ? ':*' : ''}`).join(' & ');
}

export interface SearchHit extends TableSummary {
  /** Where the words were found first. */
  matched: 'table' | 'columns';
  /** Columns whose name or comment has one of the words. */
  matchedColumns: string[];
}

/** More are not counted: the ranked hits are taken from this many. */
const MAX_HITS = 10_000;

/** The best tables for a text: exact names first, then names that begin with it, then others; columns when tables are few. */
export async function searchTables(
  tx: TenantTransaction,
  text: string,
  filter: MapFilter,
  limit: number,
): Promise<{ hits: SearchHit[]; total: number; isTotalExact: boolean }> {
  const query = tableQuery(text);
  if (!query) return { hits: [], total: 0, isTotalExact: true };
  const inTables = await ranked(tx, 'document', query, text, filter, limit);
  // Column documents hold bare names, without the mark of a whole table name.
  const words = queryWordsOf(text);
  const columnQuery = words
    .map((word, i) => `${quoteLexeme(word)}${i === words.length - 1 && word.length >= 2 ? ':*' : ''}`)
    .join(' & ');
  const inColumns =
    inTables.ids.length < limit && columnQuery !== ''
      ? await ranked(tx, 'column_document', columnQuery, text, filter, limit)
      : { ids: [], total: 0 };
  const ids = [...new Set([...inTables.ids, ...inColumns.ids])].slice(0, limit);
  const rows = await tx.query<TableSummary & { columns: { name: string; description?: string }[] }>(
    `select ${SUMMARY}, c.columns ${FROM_TABLES} where c.workspace_id = $1 and c.id = any($2::bigint[])`,
    [tx.workspaceId, ids],
  );
  const total = Math.max(inTables.total, inColumns.total);
  const hits = ids.flatMap((id) => {
    const row = rows.find((candidate) => candidate.rowId === id);
    if (!row) return [];
    const { columns, ...summary } = row;
    const matchedColumns = columns
      .filter((column) => words.some((word) => `${column.name} ${column.description ?? ''}`.toLowerCase().includes(word)))
      .map((column) => column.name);
    return [{ ...summary, matched: inTables.ids.includes(id) ? ('table' as const) : ('columns' as const), matchedColumns }];
  });
  return { hits, total: Math.min(total, MAX_HITS), isTotalExact: total <= MAX_HITS };
}

async function ranked(
  tx: TenantTransaction,
  column: 'document' | 'column_document',
  query: string,
  text: string,
  filter: MapFilter,
  limit: number,
): Promise<{ ids: string[]; total: number }> {
  const name = text.trim().toLowerCase();
  const [row] = await tx.query<{ ids: string[] | null; total: number }>(
    `with hit as materialized (
       select t.table_id, t.name from table_search t
         join catalog_table c on c.id = t.table_id and c.removed_at is null
         join catalog_database d on d.id = c.database_id join environment e on e.id = t.environment_id
         join data_source s on s.id = e.data_source_id left join table_state st on st.table_id = t.table_id
        where t.workspace_id = $1 and t.${column} @@ $2::tsquery and ($3::text is null or s.name = $3)
          and ($4::text is null or e.name = $4) and ($5::text is null or d.name = $5) and ($6::text is null or st.status = $6)
        limit ${MAX_HITS + 1})
     select (select array_agg(best.table_id::text order by best.place, best.name, best.table_id) from (
              select table_id, name, case when lower(name) = $7 then 0 when starts_with(lower(name), $7) then 1
                                          when strpos(lower(name), $7) > 0 then 2 else 3 end as place
                from hit order by 3, 2, 1 limit $8) best) as ids,
            (select count(*)::int from hit) as total`,
    [
      tx.workspaceId,
      query,
      filter.dataSource ?? null,
      filter.environment ?? null,
      filter.database ?? null,
      filter.status ?? null,
      name,
      limit,
    ],
  );
  return { ids: row?.ids ?? [], total: row?.total ?? 0 };
}

const DETAIL = `${SUMMARY}, c.columns, c.options, coalesce(st.problems, '[]') as problems, c.incarnation, c.last_seen_at as "lastSeenAt",
  st.read_requests as requests, st.read_bytes as "bytesRead"`;

export async function getTable(tx: TenantTransaction, id: string): Promise<TableDetail | undefined> {
  const [row] = await tx.query<TableDetail>(`select ${DETAIL} ${FROM_TABLES} where c.workspace_id = $1 and c.public_id = $2`, [
    tx.workspaceId,
    id,
  ]);
  return row;
}

/** What the reader said of the table besides its partitions, in the reader's names; empty until it was read. */
export async function getTableDocument(tx: TenantTransaction, rowId: string): Promise<Record<string, unknown>> {
  const [row] = await tx.query<{ document: Record<string, unknown> }>(
    'select document from table_document where workspace_id = $1 and table_id = $2',
    [tx.workspaceId, rowId],
  );
  return row?.document ?? {};
}

/** By path. `prefix` is the beginning of a path, such as `dt=2026-11`. `branch` '' is the main branch. */
export async function listPartitions(
  tx: TenantTransaction,
  rowId: string,
  options: { branch: string; prefix?: string; after?: { path: string; key: string }; offset?: number; limit: number },
): Promise<StoredPartition[]> {
  const rows = await tx.query<{
    path: string;
    key: string;
    spec: unknown;
    rows: string;
    size: string;
    files: string;
    detail: Record<string, unknown>;
  }>(
    `select path, partition_key as key, spec, row_count as rows, size_bytes as size, file_count as files, detail
       from table_partition
      where workspace_id = $1 and table_id = $2 and branch = $3 and ($4::text is null or starts_with(path, $4))
        and ($5::text is null or (path, partition_key) > ($5, $6))
      order by path, partition_key limit $7 offset $8`,
    [
      tx.workspaceId,
      rowId,
      options.branch,
      options.prefix ?? null,
      options.after?.path ?? null,
      options.after?.key ?? null,
      options.limit,
      options.offset ?? 0,
    ],
  );
  return rows.map(({ path, key, spec, rows: records, size, files, detail }) => ({
    path,
    key,
    // What the columns could not hold as it is lies in `detail`, which therefore comes last.
    entry: { partition: spec, path, hex: key, files: exact(files), size: exact(size), records: exact(records), ...detail },
  }));
}

export async function countPartitions(tx: TenantTransaction, rowId: string, branch: string, prefix?: string): Promise<number> {
  const [row] = await tx.query<{ total: number }>(
    `select count(*)::int as total from table_partition
      where workspace_id = $1 and table_id = $2 and branch = $3 and ($4::text is null or starts_with(path, $4))`,
    [tx.workspaceId, rowId, branch, prefix ?? null],
  );
  return row!.total;
}

/** As in the reader's documents: a number while JSON keeps it exactly, else text. */
function exact(integer: string): number | string {
  const number = Number(integer);
  return Number.isSafeInteger(number) ? number : integer;
}
