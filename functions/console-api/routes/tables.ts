import { createRoute, z } from '@hono/zod-openapi';
import { EnvironmentName } from '../../../shared/messages.ts';
import type { TenantTransaction } from '../../../shared/store/database.ts';
import { withLiveHistory } from '../../../shared/store/live-history.ts';
import {
  getTable,
  getTableDocument,
  listDatabases,
  listPartitions,
  listTables,
  type MapFilter,
  searchTables,
  type TableDetail,
  type TableSummary,
} from '../../../shared/store/map-reads.ts';
import type { App } from '../app.ts';
import { pageOf, pageQuery, readCursor, writeCursor } from '../cursor.ts';
import { invalid, notFound } from '../problem.ts';
import {
  answers,
  IdParams,
  iso,
  isoOrNull,
  listOf,
  NullableInt64,
  NullableTime,
  Time,
  token,
  WorkspaceParams,
} from '../schemas.ts';

export const TableAnswer = z
  .object({
    id: z.uuid(),
    dataSource: z.string(),
    environment: EnvironmentName,
    database: z.string(),
    table: z.string(),
    type: z.string(),
    comment: z.string().nullable(),
    owner: z.string().nullable(),
    primaryKeys: z.array(z.string()),
    partitionKeys: z.array(z.string()),
    mergeEngine: z.string().nullable(),
    columnCount: z.int(),
    status: z.enum(['ok', 'degraded', 'broken']).nullable().describe('null: found, not read yet'),
    problemCount: z.int(),
    schemaId: NullableInt64,
    snapshotId: NullableInt64,
    rowCount: NullableInt64,
    sizeBytes: NullableInt64,
    fileCount: NullableInt64,
    partitionCount: NullableInt64,
    lastCommitAt: NullableTime,
    collectedAt: NullableTime,
    firstSeenAt: Time,
    removedAt: NullableTime.describe('Tombstone: since when the table is gone'),
  })
  .openapi('TableSummary');

const DatabaseAnswer = z
  .object({
    dataSource: z.string(),
    environment: EnvironmentName,
    name: z.string(),
    tableCount: z.int(),
    firstSeenAt: Time,
    lastSeenAt: Time,
    removedAt: NullableTime,
  })
  .openapi('Database');

const Problems = z.array(z.looseObject({ code: z.string(), object: z.string(), message: z.string() }));
/** Loose: with `full` the fields of the reader's document stand beside these. */
const TableDetailAnswer = z
  .looseObject({
    ...TableAnswer.shape,
    columns: z.array(z.unknown()).describe('Fields of the latest schema: id, name, type, …'),
    options: z.record(z.string(), z.string()),
    problems: Problems.describe('What could not be read, and where'),
    incarnation: z.int().describe('Raised when a table of this name was dropped and made again'),
    lastSeenAt: Time,
    requests: z.int().nullable().describe('Requests of the last full read'),
    bytesRead: z.number().nullable().describe('Bytes of the last full read'),
  })
  .openapi('Table');

const Removed = z.enum(['exclude', 'include', 'only']).default('exclude').describe('Tombstones');
const mapQuery = { source: z.string().optional(), environment: EnvironmentName.optional() };

/** Partitions that `full` puts into its answer, per branch; the rest is read by pages. */
const FULL_PARTITIONS = 10_000;
const tags = ['Data map'];

export function addTables(app: App): void {
  app.openapi(
    createRoute({
      method: 'get',
      path: '/api/v1/workspaces/{workspace}/databases',
      tags,
      summary: 'List databases',
      security: token,
      request: { params: WorkspaceParams, query: z.strictObject({ ...pageQuery, ...mapQuery, removed: Removed }) },
      responses: answers(listOf(DatabaseAnswer), 'By name'),
    }),
    async (c) => {
      const { cursor, limit, ...query } = c.req.valid('query');
      const after = readCursor(cursor, z.tuple([z.string(), z.string(), z.string()]));
      const rows = await c.env.deps.database.tenant(c.var.workspace.id, (tx) =>
        listDatabases(tx, filterOf(query), {
          limit: limit + 1,
          ...(after && { after: { name: after[0], dataSource: after[1], environment: after[2] } }),
        }),
      );
      const page = pageOf(
        rows,
        limit,
        (row) => [row.name, row.dataSource, row.environment],
        (row) => ({
          ...row,
          firstSeenAt: iso(row.firstSeenAt),
          lastSeenAt: iso(row.lastSeenAt),
          removedAt: isoOrNull(row.removedAt),
        }),
      );
      return c.json(page, 200);
    },
  );

  app.openapi(
    createRoute({
      method: 'get',
      path: '/api/v1/workspaces/{workspace}/tables',
      tags,
      summary: 'List or search tables',
      description: 'Paged by `cursor` at any depth; a grid that jumps gives `offset` and gets `total`.',
      security: token,
      request: {
        params: WorkspaceParams,
        query: z.strictObject({
          ...pageQuery,
          ...mapQuery,
          database: z.string().optional(),
          table: z.string().optional().describe('The whole name'),
          status: z.enum(['ok', 'degraded', 'broken']).optional(),
          removed: Removed,
          search: z
            .string()
            .min(1)
            .max(256)
            .optional()
            .describe('Words of name, database and comment; the last may be a beginning'),
          offset: z.coerce.number().int().min(0).max(1_000_000).optional(),
        }),
      },
      responses: answers(listOf(TableAnswer).extend({ total: z.int().optional() }), 'By name'),
    }),
    async (c) => {
      const { cursor, limit, offset, search, ...query } = c.req.valid('query');
      if (cursor !== undefined && offset !== undefined)
        throw invalid([{ path: 'query.offset', message: 'give either cursor or offset' }]);
      const after = readCursor(cursor, z.tuple([z.string(), z.uuid()]));
      const { rows, total } = await c.env.deps.database.tenant(c.var.workspace.id, (tx) =>
        listTables(
          tx,
          { ...filterOf(query), ...(search !== undefined && { search }) },
          {
            limit: limit + 1,
            ...(after && { after: { name: after[0], id: after[1] } }),
            ...(offset !== undefined && { offset }),
          },
        ),
      );
      const page = pageOf(rows, limit, (row) => [row.table, row.id], tableAnswerOf);
      return c.json({ ...page, ...(total !== undefined && { total }) }, 200);
    },
  );

  app.openapi(
    createRoute({
      method: 'get',
      path: '/api/v1/workspaces/{workspace}/tables/{id}',
      tags,
      summary: 'One table',
      description: `With \`full=true\` every field of the reader's document stands beside these. Its \`partitions\` hold ${FULL_PARTITIONS} at most; \`partitionsNextCursor\` goes on with \`…/partitions\`.`,
      security: token,
      request: { params: IdParams, query: z.strictObject({ full: z.enum(['', 'true', 'false']).optional() }) },
      responses: answers(TableDetailAnswer, 'The table'),
    }),
    async (c) => {
      const { full } = c.req.valid('query');
      const answer = await c.env.deps.database.tenant(c.var.workspace.id, async (tx) => {
        const table = await getTable(tx, c.req.valid('param').id);
        if (!table) return undefined;
        return full === undefined || full === 'false' ? detailOf(table) : { ...detailOf(table), ...(await fullOf(tx, table)) };
      });
      if (!answer) throw notFound();
      return c.json(answer, 200);
    },
  );

  app.openapi(
    createRoute({
      method: 'get',
      path: '/api/v1/workspaces/{workspace}/search',
      tags,
      summary: 'Search tables and columns, best first',
      security: token,
      request: {
        params: WorkspaceParams,
        query: z.strictObject({
          ...mapQuery,
          q: z.string().min(1).max(256),
          database: z.string().optional(),
          status: z.enum(['ok', 'degraded', 'broken']).optional(),
          limit: z.coerce.number().int().min(1).max(100).default(20),
        }),
      },
      responses: answers(
        z.object({
          items: z.array(TableAnswer.extend({ matched: z.enum(['table', 'columns']), matchedColumns: z.array(z.string()) })),
          nextCursor: z.null(),
          total: z.int(),
          isTotalExact: z.boolean(),
        }),
        'Exact names first, then names that begin with the text, then others; columns when tables are few',
      ),
    }),
    async (c) => {
      const { q, limit, ...query } = c.req.valid('query');
      const { hits, total, isTotalExact } = await c.env.deps.database.tenant(c.var.workspace.id, (tx) =>
        searchTables(tx, q, filterOf(query), limit),
      );
      const items = hits.map((hit) => ({
        ...tableAnswerOf(hit),
        matched: hit.matched,
        matchedColumns: hit.matchedColumns,
      }));
      return c.json({ items, nextCursor: null, total, isTotalExact }, 200);
    },
  );
}

function filterOf(query: {
  source?: string | undefined;
  environment?: string | undefined;
  database?: string | undefined;
  table?: string | undefined;
  status?: string | undefined;
  removed?: 'exclude' | 'include' | 'only' | undefined;
}): MapFilter {
  const { source, ...rest } = query;
  const entries = Object.entries({ ...rest, dataSource: source }).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as MapFilter;
}

function tableAnswerOf(row: TableSummary): z.infer<typeof TableAnswer> {
  return {
    id: row.id,
    dataSource: row.dataSource,
    environment: row.environment,
    database: row.database,
    table: row.table,
    type: row.type,
    comment: row.comment,
    owner: row.owner,
    primaryKeys: row.primaryKeys,
    partitionKeys: row.partitionKeys,
    mergeEngine: row.mergeEngine,
    columnCount: row.columnCount,
    status: row.status,
    problemCount: row.problemCount,
    schemaId: row.schemaId,
    snapshotId: row.snapshotId,
    rowCount: row.rowCount,
    sizeBytes: row.sizeBytes,
    fileCount: row.fileCount,
    partitionCount: row.partitionCount,
    lastCommitAt: isoOrNull(row.lastCommitAt),
    collectedAt: isoOrNull(row.collectedAt),
    firstSeenAt: iso(row.firstSeenAt),
    removedAt: isoOrNull(row.removedAt),
  };
}

function detailOf(row: TableDetail): z.infer<typeof TableDetailAnswer> {
  return {
    ...tableAnswerOf(row),
    columns: row.columns,
    options: row.options,
    problems: row.problems,
    incarnation: row.incarnation,
    lastSeenAt: iso(row.lastSeenAt),
    requests: row.requests,
    bytesRead: row.bytesRead === null ? null : Number(row.bytesRead),
  };
}

/** The reader's document put together again: its own fields and the partitions that have rows of their own. */
async function fullOf(tx: TenantTransaction, table: TableDetail): Promise<Record<string, unknown>> {
  const document = await withLiveHistory(tx, table.rowId, await getTableDocument(tx, table.rowId));
  const { branches } = document;
  if (!isRecord(branches)) return withPartitions(tx, table, '', document);
  const whole: [string, unknown][] = [];
  for (const [name, view] of Object.entries(branches))
    whole.push([name, isRecord(view) ? await withPartitions(tx, table, name, view) : view]);
  return withPartitions(tx, table, '', { ...document, branches: Object.fromEntries(whole) });
}

/** A view whose files could not be read has no partitions to speak of: null, as the reader says it. */
async function withPartitions(
  tx: TenantTransaction,
  table: TableDetail,
  branch: string,
  view: Record<string, unknown>,
): Promise<Record<string, unknown>> {
  if (!('partitionCount' in view)) return view;
  if (view.partitionCount === null) return { ...view, partitions: null };
  const rows = await listPartitions(tx, table.rowId, { branch, limit: FULL_PARTITIONS + 1 });
  const shown = rows.slice(0, FULL_PARTITIONS);
  const last = shown.at(-1);
  return {
    ...view,
    partitions: shown.map(({ entry }) => entry),
    ...(last && rows.length > FULL_PARTITIONS && { partitionsNextCursor: writeCursor([last.path, last.key]) }),
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
