import { createRoute, z } from '@hono/zod-openapi';
import { ROLES, roleIn } from '../../../shared/store/tokens.ts';
import {
  ensureWorkspace,
  findWorkspace,
  listWorkspaces,
  requiredEnvironments,
  WORKSPACE_NAME,
  type Workspace,
} from '../../../shared/store/workspaces.ts';
import type { App } from '../app.ts';
import { recordDone } from '../audit.ts';
import { Problem } from '../problem.ts';
import { answers, body, created, iso, listOf, Time, token, WorkspaceParams } from '../schemas.ts';

const WorkspaceAnswer = z
  .object({
    name: z.string(),
    kind: z.enum(['standard', 'basic']),
    requiredEnvironments: z.array(z.string()).describe('All of these must be Connected before a data source is collected'),
    role: z.enum(ROLES).nullable().describe('What the token may do here'),
    createdAt: Time,
  })
  .openapi('Workspace');
const WorkspaceInput = z
  .strictObject({
    name: z.string().regex(WORKSPACE_NAME, 'lower case letters, digits, - and _, a letter first, 63 at most'),
    kind: z.enum(['standard', 'basic']),
  })
  .openapi('WorkspaceInput');

export function addWorkspaces(app: App): void {
  app.openapi(
    createRoute({
      method: 'get',
      path: '/api/v1/workspaces',
      tags: ['Workspaces'],
      summary: 'List the workspaces that the token may see',
      security: token,
      responses: answers(listOf(WorkspaceAnswer), 'By name'),
    }),
    async (c) => {
      const all = await c.env.deps.database.system(listWorkspaces);
      const mine = all.flatMap((workspace) => {
        const role = roleIn(c.var.principal, workspace.id);
        return role ? [answerOf(workspace, role)] : [];
      });
      return c.json({ items: mine, nextCursor: null }, 200);
    },
  );

  app.openapi(
    createRoute({
      method: 'post',
      path: '/api/v1/workspaces',
      tags: ['Workspaces'],
      summary: 'Make a workspace',
      security: token,
      request: { body: body(WorkspaceInput) },
      responses: created(WorkspaceAnswer, 'Made'),
    }),
    async (c) => {
      const { name, kind } = c.req.valid('json');
      const workspace = await c.env.deps.database.system(async (tx) => {
        if (await findWorkspace(tx, name)) throw new Problem(409, 'name-taken', `A workspace named '${name}' exists already.`);
        const made = await ensureWorkspace(tx, name, kind);
        await recordDone(c, tx);
        return made;
      });
      return c.json(answerOf(workspace, roleIn(c.var.principal, workspace.id) ?? null), 201);
    },
  );

  app.openapi(
    createRoute({
      method: 'get',
      path: '/api/v1/workspaces/{workspace}',
      tags: ['Workspaces'],
      summary: 'One workspace',
      security: token,
      request: { params: WorkspaceParams },
      responses: answers(WorkspaceAnswer, 'The workspace'),
    }),
    async (c) => c.json(answerOf(c.var.workspace, roleIn(c.var.principal, c.var.workspace.id) ?? null), 200),
  );
}

function answerOf(workspace: Workspace, role: (typeof ROLES)[number] | null): z.infer<typeof WorkspaceAnswer> {
  return {
    name: workspace.name,
    kind: workspace.kind,
    requiredEnvironments: [...requiredEnvironments(workspace.kind)],
    role,
    createdAt: iso(workspace.createdAt),
  };
}
