import { createRoute, z } from '@hono/zod-openapi';
import { numberFeed, readChanges } from '../../../shared/store/change-feed.ts';
import type { App } from '../app.ts';
import { answers, Int64, iso, Time, token, WorkspaceParams } from '../schemas.ts';

const ChangeAnswer = z
  .object({
    specversion: z.literal('1.0'),
    id: z.string(),
    source: z.string(),
    type: z.string(),
    subject: z.string(),
    time: Time,
    sequence: Int64.describe('1, 2, 3 … in this workspace, without gaps'),
    data: z.record(z.string(), z.unknown()),
  })
  .openapi('Change');

const Sequence = z.string().regex(/^\d{1,18}$/, 'a sequence: digits');

export function addChanges(app: App): void {
  app.openapi(
    createRoute({
      method: 'get',
      path: '/api/v1/workspaces/{workspace}/changes',
      tags: ['Changes'],
      summary: 'Read the change feed',
      description: 'Start with no `after`, then give the last `sequence` that was handled. An empty page means: nothing new yet.',
      security: token,
      request: {
        params: WorkspaceParams,
        query: z.strictObject({
          after: Sequence.optional().describe('The last sequence already seen'),
          cursor: Sequence.optional().describe('The same, as `nextCursor` gave it'),
          limit: z.coerce.number().int().min(1).max(1_000).default(100),
        }),
      },
      responses: answers(
        z.object({
          items: z.array(ChangeAnswer),
          nextCursor: z.string().nullable().describe('`after` of the next page; null: the end for now'),
        }),
        'Entries as CloudEvents, in order',
      ),
    }),
    async (c) => {
      const { after, cursor, limit } = c.req.valid('query');
      const { workspace } = c.var;
      await numberFeed(c.env.deps.database);
      const rows = await c.env.deps.database.tenant(workspace.id, (tx) =>
        readChanges(tx, BigInt(cursor ?? after ?? 0), limit + 1),
      );
      const items = rows.slice(0, limit).map((row) => ({
        specversion: '1.0' as const,
        id: `${workspace.name}/${row.sequence}`,
        source: `/api/v1/workspaces/${workspace.name}`,
        type: row.type,
        subject: row.subject,
        time: iso(row.createdAt),
        sequence: row.sequence.toString(),
        data: row.data,
      }));
      return c.json({ items, nextCursor: rows.length > limit ? items.at(-1)!.sequence : null }, 200);
    },
  );
}
