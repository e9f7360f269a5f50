import { createRoute, z } from '@hono/zod-openapi';
import { type LedgerRow, listCommits } from '../../../shared/store/commit-ledger.ts';
import { getTable } from '../../../shared/store/map-reads.ts';
import type { App } from '../app.ts';
import { pageOf, pageQuery, readCursor } from '../cursor.ts';
import { notFound } from '../problem.ts';
import { answers, IdParams, Int64, iso, isoOrNull, listOf, NullableInt64, NullableTime, Time, token } from '../schemas.ts';

const Gap = z.object({
  fromSnapshotId: Int64,
  toSnapshotId: Int64,
  cause: z
    .enum(['first-seen', 'expired', 'missing', 'unreadable', 'too-many'])
    .describe('first-seen: older than the first look; expired: gone before we came; too-many: more than one look takes'),
});

const CommitAnswer = z
  .object({
    incarnation: z.int().describe('Raised when a table of this name was dropped and made again'),
    appliedAt: Time,
    gap: Gap.nullable().describe('Ids of commits that nobody saw; every other field is then null'),
    snapshotId: NullableInt64,
    identity: z.string().nullable().describe('Tells commits of one id apart: ids are used again after a rollback'),
    schemaId: NullableInt64,
    commitKind: z.string().nullable(),
    commitUser: z.string().nullable(),
    commitIdentifier: NullableInt64,
    watermark: NullableInt64,
    timeMillis: NullableInt64.describe("Writer's clock"),
    eventAt: NullableTime.describe('The object event that led here; null: a sweep or a person'),
    totalRows: NullableInt64,
    deltaRows: NullableInt64,
    changelogRows: NullableInt64,
    rowsAdded: NullableInt64.describe('Rows in files, unmerged; null: the delta manifests were gone'),
    rowsDeleted: NullableInt64,
    filesAdded: NullableInt64,
    filesDeleted: NullableInt64,
    bytesAdded: NullableInt64,
    bytesDeleted: NullableInt64,
    partitionsTouched: z.int().nullable(),
    bucketsTouched: z.int().nullable(),
  })
  .openapi('Commit');

export function addCommits(app: App): void {
  app.openapi(
    createRoute({
      method: 'get',
      path: '/api/v1/workspaces/{workspace}/tables/{id}/commits',
      tags: ['Data map'],
      summary: 'The commit ledger of a table, oldest first',
      description: 'One entry for each applied commit and for each range that nobody saw. Outlives the snapshots themselves.',
      security: token,
      request: {
        params: IdParams,
        query: z.strictObject({
          ...pageQuery,
          branch: z.string().min(1).max(500).optional().describe('Left out: the main branch'),
        }),
      },
      responses: answers(listOf(CommitAnswer), 'In the order in which they were applied'),
    }),
    async (c) => {
      const { cursor, limit, branch = '' } = c.req.valid('query');
      const after = readCursor(cursor, z.tuple([z.string().regex(/^\d{1,18}$/)]))?.[0];
      const rows = await c.env.deps.database.tenant(c.var.workspace.id, async (tx) => {
        const table = await getTable(tx, c.req.valid('param').id);
        return table && listCommits(tx, table.rowId, { branch, limit: limit + 1, after });
      });
      if (!rows) throw notFound();
      return c.json(
        pageOf(rows, limit, (row) => [row.id], answerOf),
        200,
      );
    },
  );
}

function answerOf({ id: _, gapTo, gapCause, ...row }: LedgerRow): z.infer<typeof CommitAnswer> {
  const gap =
    gapTo !== null && gapCause !== null ? { fromSnapshotId: row.snapshotId, toSnapshotId: gapTo, cause: gapCause } : null;
  return {
    ...row,
    snapshotId: gap ? null : row.snapshotId,
    appliedAt: iso(row.appliedAt),
    eventAt: isoOrNull(row.eventAt),
    gap,
  };
}
