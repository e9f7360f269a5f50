import { createRoute, z } from '@hono/zod-openapi';
import { EnvironmentName } from '../../../shared/messages.ts';
import { approveRemovals, createRun } from '../../../shared/store/collection-runs.ts';
import { gateOf } from '../../../shared/store/connectivity-tests.ts';
import { findDataSource } from '../../../shared/store/data-sources.ts';
import type { TenantTransaction } from '../../../shared/store/database.ts';
import { getRun, listRuns, listRunTables, type RunSummary } from '../../../shared/store/run-reads.ts';
import { type App, change } from '../app.ts';
import { pageOf, pageQuery, readCursor } from '../cursor.ts';
import { notFound, Problem } from '../problem.ts';
import {
  accepted,
  answers,
  body,
  IdParams,
  Int64,
  iso,
  isoOrNull,
  listOf,
  NullableTime,
  SourceParams,
  Time,
  token,
  WorkspaceParams,
} from '../schemas.ts';

const Phase = z.enum(['queued', 'planning', 'collecting', 'done', 'failed', 'cancelled', 'needs-approval']);
const TableName = z.strictObject({ database: z.string().min(1).max(1_000), table: z.string().min(1).max(1_000) });
const NamedTable = z.object({ database: z.string(), table: z.string() });

const RunAnswer = z
  .object({
    id: z.uuid(),
    dataSource: z.string(),
    environment: EnvironmentName,
    cause: z.enum(['connected', 'timer', 'request', 'event']),
    requestedBy: z.string(),
    phase: Phase,
    requestedTables: z.array(NamedTable).nullable().describe('Only these; null: the whole environment'),
    databasesFound: z.int().nullable(),
    tablesFound: z.int().nullable(),
    tablesQueued: z.int(),
    tablesRead: z.int(),
    tablesUnchanged: z.int(),
    tablesFailed: z.int(),
    tablesDegraded: z.int().describe('Of those read: some part could not be read'),
    tablesBroken: z.int().describe('Of those read: nothing that can be shown'),
    tablesRemoved: z.int(),
    heldRemovals: z.unknown().describe('What would be removed, when the phase is needs-approval'),
    requests: z.int().describe('Requests to the object store'),
    bytes: Int64.describe('Bytes read from the object store'),
    seconds: z.number().nullable().describe('From start to end, or to now'),
    error: z.object({ code: z.string(), message: z.string() }).nullable(),
    requestedAt: Time,
    startedAt: NullableTime,
    plannedAt: NullableTime,
    finishedAt: NullableTime,
  })
  .openapi('CollectionRun');

const RunTableAnswer = z
  .object({
    database: z.string(),
    table: z.string(),
    state: z.string(),
    status: z.enum(['ok', 'degraded', 'broken']).nullable(),
    error: z.object({ code: z.string(), message: z.string() }).nullable(),
    requests: z.int(),
    bytes: Int64,
    finishedAt: NullableTime,
  })
  .openapi('CollectionRunTable');

const CollectInput = z
  .strictObject({
    environment: EnvironmentName.default('production'),
    tables: z.array(TableName).min(1).max(500).optional().describe('Only these; left out: the whole environment'),
  })
  .openapi('CollectInput');
const RunInput = CollectInput.extend({ dataSource: z.string().min(1) }).openapi('CollectionRunInput');

const tags = ['Collection'];

export function addCollectionRuns(app: App): void {
  app.openapi(
    createRoute({
      method: 'get',
      path: '/api/v1/workspaces/{workspace}/collection-runs',
      tags,
      summary: 'List collection runs',
      security: token,
      request: {
        params: WorkspaceParams,
        query: z.strictObject({
          ...pageQuery,
          source: z.string().optional(),
          environment: EnvironmentName.optional(),
          phase: Phase.optional(),
        }),
      },
      responses: answers(listOf(RunAnswer), 'Newest first'),
    }),
    async (c) => {
      const { cursor, limit, source, environment, phase } = c.req.valid('query');
      const after = readCursor(cursor, z.tuple([z.string().regex(/^\d{4}-[0-9 :.+-]+$/), z.uuid()]));
      const rows = await c.env.deps.database.tenant(c.var.workspace.id, (tx) =>
        listRuns(tx, {
          limit: limit + 1,
          ...(source && { dataSource: source }),
          ...(environment && { environment }),
          ...(phase && { phase }),
          ...(after && { after: { cursorAt: after[0], id: after[1] } }),
        }),
      );
      return c.json(
        pageOf(rows, limit, (row) => [row.cursorAt, row.id], answerOf),
        200,
      );
    },
  );

  app.openapi(
    createRoute({
      method: 'post',
      path: '/api/v1/workspaces/{workspace}/collection-runs',
      tags,
      summary: 'Collect an environment, or some of its tables',
      description:
        'Refused with 409 `gate-closed` and the reason while the environments that the workspace needs are not all Connected.',
      security: token,
      request: { params: WorkspaceParams, body: body(RunInput) },
      responses: accepted(RunAnswer, 'Will be collected; read the run for its progress'),
    }),
    async (c) => {
      const { dataSource, ...input } = c.req.valid('json');
      return c.json(await change(c, (tx) => collect(tx, dataSource, input, c.var.principal.name)), 202);
    },
  );

  app.openapi(
    createRoute({
      method: 'post',
      path: '/api/v1/workspaces/{workspace}/data-sources/{name}/collect',
      tags,
      summary: 'Collect one environment of this data source',
      security: token,
      request: { params: SourceParams, body: body(CollectInput) },
      responses: accepted(RunAnswer, 'Will be collected; read the run for its progress'),
    }),
    async (c) => {
      const input = c.req.valid('json');
      return c.json(await change(c, (tx) => collect(tx, c.req.valid('param').name, input, c.var.principal.name)), 202);
    },
  );

  app.openapi(
    createRoute({
      method: 'get',
      path: '/api/v1/workspaces/{workspace}/collection-runs/{id}',
      tags,
      summary: 'One collection run',
      security: token,
      request: { params: IdParams },
      responses: answers(RunAnswer, 'The run as of now'),
    }),
    async (c) => {
      const run = await c.env.deps.database.tenant(c.var.workspace.id, (tx) => getRun(tx, c.req.valid('param').id));
      if (!run) throw notFound();
      return c.json(answerOf(run), 200);
    },
  );

  app.openapi(
    createRoute({
      method: 'post',
      path: '/api/v1/workspaces/{workspace}/collection-runs/{id}/approve-removals',
      tags,
      summary: 'Approve the removals that a run held back',
      description: 'Starts a new run that may carry them out, as far as the tables are still gone then.',
      security: token,
      request: { params: IdParams },
      responses: accepted(RunAnswer, 'The new run'),
    }),
    async (c) => {
      const answer = await change(c, async (tx) => {
        const held = await getRun(tx, c.req.valid('param').id);
        if (!held) throw notFound();
        if (held.phase !== 'needs-approval')
          throw new Problem(409, 'nothing-held', `The run holds no removals back: its phase is ${held.phase}.`);
        return answerOf((await getRun(tx, await approveRemovals(tx, held.id, c.var.principal.name)))!);
      });
      return c.json(answer, 202);
    },
  );

  app.openapi(
    createRoute({
      method: 'get',
      path: '/api/v1/workspaces/{workspace}/collection-runs/{id}/tables',
      tags,
      summary: 'The tables of a run with what came of each',
      security: token,
      request: {
        params: IdParams,
        query: z.strictObject({
          ...pageQuery,
          state: z.enum(['queued', 'read', 'unchanged', 'failed', 'missing', 'removed', 'held']).optional(),
          problems: z.enum(['true', 'false']).optional().describe('true: only tables that failed or were not fully read'),
        }),
      },
      responses: answers(listOf(RunTableAnswer), 'By database and table'),
    }),
    async (c) => {
      const { cursor, limit, state, problems } = c.req.valid('query');
      const after = readCursor(cursor, z.tuple([z.string(), z.string()]));
      const rows = await c.env.deps.database.tenant(c.var.workspace.id, (tx) =>
        listRunTables(tx, c.req.valid('param').id, {
          limit: limit + 1,
          withProblems: problems === 'true',
          ...(state && { state }),
          ...(after && { after: { database: after[0], table: after[1] } }),
        }),
      );
      if (!rows) throw notFound();
      const page = pageOf(
        rows,
        limit,
        (row) => [row.database, row.table],
        (row) => ({
          database: row.database,
          table: row.table,
          state: row.state,
          status: row.status,
          error: row.errorCode === null ? null : { code: row.errorCode, message: row.errorMessage ?? '' },
          requests: row.requests,
          bytes: row.bytes.toString(),
          finishedAt: isoOrNull(row.finishedAt),
        }),
      );
      return c.json(page, 200);
    },
  );
}

async function collect(
  tx: TenantTransaction,
  name: string,
  input: z.infer<typeof CollectInput>,
  requestedBy: string,
): Promise<z.infer<typeof RunAnswer>> {
  const source = await findDataSource(tx, name);
  const environment = source?.environments.find((candidate) => candidate.name === input.environment);
  if (!source || !environment) throw notFound();
  const gate = await gateOf(tx, source.id);
  if (!gate.open) throw new Problem(409, 'gate-closed', gate.reason, { members: { waitingFor: gate.waitingFor } });
  if (!gate.environmentIds.includes(environment.id) && environment.connectionState !== 'connected')
    throw new Problem(409, 'gate-closed', `The environment ${environment.name} is not Connected: test it first.`, {
      members: { waitingFor: [environment.name] },
    });
  const id = await createRun(tx, {
    environmentId: environment.id,
    cause: 'request',
    requestedBy,
    ...(input.tables && { tables: input.tables }),
  });
  return answerOf((await getRun(tx, id))!);
}

function answerOf(run: RunSummary): z.infer<typeof RunAnswer> {
  const { errorCode, errorMessage, bytes, requestedAt, startedAt, plannedAt, finishedAt } = run;
  return {
    id: run.id,
    dataSource: run.dataSource,
    environment: run.environment,
    cause: run.cause,
    requestedBy: run.requestedBy,
    phase: run.phase,
    requestedTables: run.requestedTables,
    databasesFound: run.databasesFound,
    tablesFound: run.tablesFound,
    tablesQueued: run.tablesQueued,
    tablesRead: run.tablesRead,
    tablesUnchanged: run.tablesUnchanged,
    tablesFailed: run.tablesFailed,
    tablesDegraded: run.tablesDegraded,
    tablesBroken: run.tablesBroken,
    tablesRemoved: run.tablesRemoved,
    heldRemovals: run.heldRemovals,
    requests: run.requests,
    bytes: bytes.toString(),
    seconds: startedAt ? Math.max(0, ((finishedAt ?? new Date()).getTime() - startedAt.getTime()) / 1000) : null,
    error: errorCode === null ? null : { code: errorCode, message: errorMessage ?? '' },
    requestedAt: iso(requestedAt),
    startedAt: isoOrNull(startedAt),
    plannedAt: isoOrNull(plannedAt),
    finishedAt: isoOrNull(finishedAt),
  };
}
