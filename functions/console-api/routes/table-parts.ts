import { createRoute, z } from '@hono/zod-openapi';
import { countPartitions, getTable, getTableDocument, listPartitions } from '../../../shared/store/map-reads.ts';
import type { App } from '../app.ts';
import { pageOf, pageQuery, readCursor } from '../cursor.ts';
import { invalid, notFound } from '../problem.ts';
import { answers, IdParams, listOf, token } from '../schemas.ts';

/** Everything of the reader's entry goes out under the reader's names. */
const Entry = z.looseObject({});
const Partition = z
  .looseObject({
    partition: z.unknown().describe('Decoded values by partition key'),
    path: z.string().nullable(),
    hex: z.string().describe('The key as stored'),
    files: z.union([z.number(), z.string()]),
    size: z.union([z.number(), z.string()]).describe('Bytes'),
    records: z.union([z.number(), z.string()]),
  })
  .openapi('Partition');

const branch = z.string().min(1).max(500).optional().describe('Left out: the main branch');
const tags = ['Data map'];

/** The parts of a table that its document holds as an array or as an object by name, and what each is called there. */
const DOCUMENT_PARTS = [
  { path: 'snapshots', field: 'snapshots', summary: 'Snapshots, oldest first' },
  { path: 'schemas', field: 'schemas', summary: 'Schema versions, oldest first' },
  { path: 'files', field: 'files', summary: 'Live files, where they were read' },
  { path: 'tags', field: 'tags', summary: 'Tags' },
  { path: 'branches', field: 'branches', summary: 'Branches' },
  { path: 'consumers', field: 'consumers', summary: 'Consumers' },
] as const;

export function addTableParts(app: App): void {
  for (const part of DOCUMENT_PARTS)
    app.openapi(
      createRoute({
        method: 'get',
        path: `/api/v1/workspaces/{workspace}/tables/{id}/${part.path}`,
        tags,
        summary: `${part.summary} of a table`,
        security: token,
        request: { params: IdParams, query: z.strictObject({ ...pageQuery, branch }) },
        responses: answers(listOf(Entry), part.summary),
      }),
      async (c) => {
        const { cursor, limit, branch: branchName } = c.req.valid('query');
        const start = readCursor(cursor, z.tuple([z.int().nonnegative()]))?.[0] ?? 0;
        const document: Record<string, unknown> | undefined = await c.env.deps.database.tenant(c.var.workspace.id, async (tx) => {
          const table = await getTable(tx, c.req.valid('param').id);
          return table && { ...fallback(table), ...(await getTableDocument(tx, table.rowId)) };
        });
        if (!document) throw notFound();
        const of = branchName === undefined ? document : branchOf(document, branchName);
        const entries = entriesOf(of[part.field]);
        const shown = entries.slice(start, start + limit + 1);
        return c.json(
          pageOf(
            shown,
            limit,
            () => [start + limit],
            (entry) => entry,
          ),
          200,
        );
      },
    );

  app.openapi(
    createRoute({
      method: 'get',
      path: '/api/v1/workspaces/{workspace}/tables/{id}/partitions',
      tags,
      summary: 'Partitions of a table, by path',
      security: token,
      request: {
        params: IdParams,
        query: z.strictObject({
          ...pageQuery,
          limit: z.coerce.number().int().min(1).max(10_000).default(100),
          branch,
          prefix: z.string().max(2_000).optional().describe('Beginning of the path, such as dt=2026-11'),
          offset: z.coerce.number().int().min(0).max(100_000_000).optional(),
        }),
      },
      responses: answers(listOf(Partition).extend({ total: z.int().optional() }), 'By path'),
    }),
    async (c) => {
      const { cursor, limit, branch: branchName, prefix, offset } = c.req.valid('query');
      if (cursor !== undefined && offset !== undefined)
        throw invalid([{ path: 'query.offset', message: 'give either cursor or offset' }]);
      const after = readCursor(cursor, z.tuple([z.string(), z.string()]));
      const found = await c.env.deps.database.tenant(c.var.workspace.id, async (tx) => {
        const table = await getTable(tx, c.req.valid('param').id);
        if (!table) return undefined;
        const name = branchName ?? '';
        const rows = await listPartitions(tx, table.rowId, {
          branch: name,
          limit: limit + 1,
          ...(prefix !== undefined && { prefix }),
          ...(offset !== undefined && { offset }),
          ...(after && { after: { path: after[0], key: after[1] } }),
        });
        return { rows, ...(offset !== undefined && { total: await countPartitions(tx, table.rowId, name, prefix) }) };
      });
      if (!found) throw notFound();
      const page = pageOf(
        found.rows,
        limit,
        (row) => [row.path, row.key],
        (row) => row.entry,
      );
      return c.json({ ...page, ...(found.total !== undefined && { total: found.total }) }, 200);
    },
  );
}

/** What the map itself knows, for a document that does not say it: at least the latest schema. */
function fallback(table: {
  schemaId: string | null;
  columns: unknown[];
  primaryKeys: string[];
  partitionKeys: string[];
  options: unknown;
}): Record<string, unknown> {
  if (table.schemaId === null) return {};
  const { schemaId, columns, primaryKeys, partitionKeys, options } = table;
  return { schemas: [{ id: Number(schemaId), fields: columns, primaryKeys, partitionKeys, options }] };
}

function branchOf(document: Record<string, unknown>, name: string): Record<string, unknown> {
  const { branches } = document;
  if (!isRecord(branches) || !Object.hasOwn(branches, name) || !isRecord(branches[name])) throw notFound();
  return branches[name];
}

/** An object by name becomes a list whose entries carry their `name`; the number of a consumer is the snapshot it reads next. */
function entriesOf(value: unknown): Record<string, unknown>[] {
  if (Array.isArray(value)) return value.filter(isRecord);
  if (!isRecord(value)) return [];
  return Object.entries(value).map(([name, entry]) => (isRecord(entry) ? { name, ...entry } : { name, nextSnapshotId: entry }));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
