import { createRoute, z } from '@hono/zod-openapi';
import { INSTALLATION, readAudit, type StoredAuditRow } from '../../../shared/store/audit-log.ts';
import type { App } from '../app.ts';
import { DEFAULT_LIMIT, MAX_LIMIT } from '../cursor.ts';
import { answers, Int64, iso, listOf, Time, token, WorkspaceParams } from '../schemas.ts';

const AuditAnswer = z
  .object({
    workspaceId: z.int().describe('0: the installation'),
    sequence: Int64.describe('1, 2, 3 … in this log, without gaps'),
    at: Time,
    tokenId: z.uuid().nullable(),
    actor: z.string().describe('Name of the token'),
    address: z.string().nullable(),
    requestId: z.string().nullable(),
    action: z.string().openapi({ example: 'POST /data-sources/{name}/collect' }),
    target: z.string(),
    outcome: z.enum(['done', 'refused', 'failed']),
    code: z.string().nullable().describe('Why not: code of the problem'),
    detail: z.string().nullable().describe('What was asked, as JSON text; secrets as fingerprints'),
    hash: z.string().describe('SHA-256 over the row and the hash of the one before'),
  })
  .openapi('AuditRow');

const Sequence = z.string().regex(/^\d{1,18}$/, 'a sequence: digits');
const query = z.strictObject({
  after: Sequence.optional().describe('In order from the row after this one; left out: the newest first'),
  cursor: z
    .string()
    .regex(/^(after|before)-\d{1,18}$/, 'is not a nextCursor of this list')
    .optional(),
  actor: z.string().min(1).max(200).optional().describe('Part of the name'),
  action: z.string().min(1).max(200).optional().describe('Part of the action'),
  limit: z.coerce.number().int().min(1).max(MAX_LIMIT).default(DEFAULT_LIMIT),
});

const tags = ['Audit log'];
const description = 'Rows are only ever added. The hash of each covers the one before, so that changes show.';

/** Who changed what, for administrators. */
export function addAudit(app: App): void {
  app.openapi(
    createRoute({
      method: 'get',
      path: '/api/v1/workspaces/{workspace}/audit',
      tags,
      summary: 'Who changed what in this workspace',
      description,
      security: token,
      request: { params: WorkspaceParams, query },
      responses: answers(listOf(AuditAnswer), 'Rows'),
    }),
    async (c) => {
      const { id } = c.var.workspace;
      const asked = c.req.valid('query');
      return c.json(pageOf(await c.env.deps.database.tenant(id, (tx) => readAudit(tx, id, pageAsked(asked))), asked), 200);
    },
  );
  app.openapi(
    createRoute({
      method: 'get',
      path: '/api/v1/audit',
      tags,
      summary: 'Who changed what belongs to no workspace, or tried to without knowing one',
      description,
      security: token,
      request: { query },
      responses: answers(listOf(AuditAnswer), 'Rows'),
    }),
    async (c) => {
      const asked = c.req.valid('query');
      const rows = await c.env.deps.database.system((tx) => readAudit(tx, INSTALLATION, pageAsked(asked)));
      return c.json(pageOf(rows, asked), 200);
    },
  );
}

type Asked = z.infer<typeof query>;

function pageAsked({ after, cursor, actor, action, limit }: Asked) {
  const [direction, sequence] = cursor?.split('-') ?? (after === undefined ? [] : ['after', after]);
  const place = sequence === undefined ? {} : { [direction!]: BigInt(sequence) };
  return { ...place, actor, action, limit: limit + 1 };
}

function pageOf(rows: StoredAuditRow[], asked: Asked) {
  const items = rows.slice(0, asked.limit).map((row) => ({ ...row, sequence: String(row.sequence), at: iso(row.at) }));
  const direction = asked.after !== undefined || asked.cursor?.startsWith('after') ? 'after' : 'before';
  return { items, nextCursor: rows.length > asked.limit ? `${direction}-${items.at(-1)!.sequence}` : null };
}
