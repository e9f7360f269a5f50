import { createRoute, z } from '@hono/zod-openapi';
import { CollectionScope, DataSourceInput, EnvironmentInput, type Finding } from '../../../shared/data-source.ts';
import { type EnvironmentName, QUEUES } from '../../../shared/messages.ts';
import { announce } from '../../../shared/store/change-feed.ts';
import {
  createDataSource,
  deleteDataSource,
  findDataSource,
  getDataSource,
  listDataSources,
  previewDeletion,
  type StoredDataSource,
  updateDataSource,
} from '../../../shared/store/data-sources.ts';
import type { TenantTransaction } from '../../../shared/store/database.ts';
import { enqueue } from '../../../shared/store/outbox.ts';
import { type App, type ConsoleApi, change } from '../app.ts';
import { judge, sealWith } from '../configuration.ts';
import { pageOf, pageQuery, readCursor } from '../cursor.ts';
import { DataSourceAnswer, dataSourceAnswer, inputOf, withoutNulls } from '../data-source-answer.ts';
import { notFound, Problem } from '../problem.ts';
import { answers, body, created, listOf, problems, SourceParams, token, WorkspaceParams } from '../schemas.ts';

const version = z.int().positive().optional().describe('The version that the change is meant for; or the header If-Match');
// Made anew here: a schema from before zod learnt of OpenAPI, whoever imported it first, cannot be named.
const NewDataSource = z.strictObject(DataSourceInput.shape).openapi('NewDataSource');
const Save = z.strictObject({ ...DataSourceInput.shape, version }).openapi('DataSourceInput');

const EnvironmentPatch = z
  .strictObject({
    ...Object.fromEntries(Object.entries(EnvironmentInput.shape).map(([name, field]) => [name, field.nullable()])),
    scope: CollectionScope.nullable().optional(),
  })
  .openapi('EnvironmentPatch');
const Patch = z
  .strictObject({
    version,
    name: DataSourceInput.shape.name.optional(),
    catalog: z.string().max(255).nullable().optional(),
    description: z.string().max(4_000).nullable().optional(),
    draft: z.boolean().optional(),
    environments: z
      .strictObject({ development: EnvironmentPatch.nullable().optional(), production: EnvironmentPatch.nullable().optional() })
      .optional(),
  })
  .openapi('DataSourcePatch');

const removeEnvironments = z
  .enum(['true', 'false'])
  .optional()
  .describe('true: an environment that is left out may go although tables were collected of it');
const Preview = z
  .object({
    environments: z.int(),
    databases: z.int(),
    tables: z.int(),
    partitions: z.int(),
    connectivityTests: z.int(),
    collectionRuns: z.int(),
  })
  .openapi('DeletionPreview');

const tags = ['Data sources'];
const collection = '/api/v1/workspaces/{workspace}/data-sources';
const one = `${collection}/{name}`;

export function addDataSources(app: App): void {
  app.openapi(
    createRoute({
      method: 'get',
      path: collection,
      tags,
      summary: 'List data sources',
      security: token,
      request: {
        params: WorkspaceParams,
        query: z.strictObject({
          ...pageQuery,
          search: z.string().min(1).max(255).optional().describe('Part of name, catalog or warehouse'),
        }),
      },
      responses: answers(listOf(DataSourceAnswer), 'By name'),
    }),
    async (c) => {
      const { cursor, limit, search } = c.req.valid('query');
      const after = readCursor(cursor, z.tuple([z.string()]));
      const page = await c.env.deps.database.tenant(c.var.workspace.id, async (tx) => {
        const rows = await listDataSources(tx, {
          limit: limit + 1,
          ...(search && { search }),
          ...(after && { after: after[0] }),
        });
        const { items, nextCursor } = pageOf(
          rows,
          limit,
          (row) => [row.name],
          (row) => row,
        );
        const answered = [];
        for (const source of items) answered.push(await dataSourceAnswer(tx, source));
        return { items: answered, nextCursor };
      });
      return c.json(page, 200);
    },
  );

  app.openapi(
    createRoute({
      method: 'post',
      path: collection,
      tags,
      summary: 'Save a new data source',
      description:
        'Judged by the rules at once: errors answer 400 with the fields, unless `draft` is true. What is not a draft is then tested in every environment, and collected when all that the workspace needs are Connected.',
      security: token,
      request: { params: WorkspaceParams, body: body(NewDataSource) },
      responses: created(DataSourceAnswer, 'Saved'),
    }),
    async (c) => {
      const input = c.req.valid('json');
      const answer = await change(c, (tx) => create(c, tx, input));
      return c.json(answer, 201, { etag: etagOf(answer.version), location: `${new URL(c.req.url).pathname}/${answer.name}` });
    },
  );

  app.openapi(
    createRoute({
      method: 'get',
      path: one,
      tags,
      summary: 'One data source',
      security: token,
      request: { params: SourceParams },
      responses: answers(DataSourceAnswer, 'As saved, without secrets'),
    }),
    async (c) => {
      const answer = await c.env.deps.database.tenant(c.var.workspace.id, async (tx) =>
        dataSourceAnswer(tx, await found(tx, c.req.valid('param').name)),
      );
      return c.json(answer, 200, { etag: etagOf(answer.version) });
    },
  );

  app.openapi(
    createRoute({
      method: 'put',
      path: one,
      tags,
      summary: 'Replace a data source',
      description:
        'A secret that is left out is kept, unless access mode, AccessKey, region, endpoint or bucket changed. 409 holds the `current` data source when another change came first.',
      security: token,
      request: { params: SourceParams, query: z.strictObject({ removeEnvironments }), body: body(Save) },
      responses: answers(DataSourceAnswer, 'Saved'),
    }),
    async (c) => {
      const { version: inBody, ...input } = c.req.valid('json');
      const expected = expectedVersion(c.req.header('if-match'), inBody);
      const answer = await change(c, async (tx) => {
        const before = await found(tx, c.req.valid('param').name);
        return update(c, tx, before, input, expected, c.req.valid('query').removeEnvironments === 'true');
      });
      return c.json(answer, 200, { etag: etagOf(answer.version) });
    },
  );

  app.openapi(
    createRoute({
      method: 'patch',
      path: one,
      tags,
      summary: 'Change some fields of a data source',
      description: 'Fields left out stay; null empties one; an environment that is null is removed.',
      security: token,
      request: { params: SourceParams, query: z.strictObject({ removeEnvironments }), body: body(Patch) },
      responses: answers(DataSourceAnswer, 'Saved'),
    }),
    async (c) => {
      const { version: inBody, ...patch } = c.req.valid('json');
      const expected = expectedVersion(c.req.header('if-match'), inBody);
      const answer = await change(c, async (tx) => {
        const before = await found(tx, c.req.valid('param').name);
        const input = laidOver(before, patch);
        return update(c, tx, before, input, expected, c.req.valid('query').removeEnvironments === 'true');
      });
      return c.json(answer, 200, { etag: etagOf(answer.version) });
    },
  );

  app.openapi(
    createRoute({
      method: 'get',
      path: `${one}/deletion-preview`,
      tags,
      summary: 'What deleting the data source would remove',
      security: token,
      request: { params: SourceParams },
      responses: answers(Preview, 'Counts'),
    }),
    async (c) => {
      const preview = await c.env.deps.database.tenant(c.var.workspace.id, async (tx) =>
        previewDeletion(tx, (await found(tx, c.req.valid('param').name)).id),
      );
      return c.json(preview, 200);
    },
  );

  app.openapi(
    createRoute({
      method: 'delete',
      path: one,
      tags,
      summary: 'Delete a data source and all that was collected of it',
      description: 'The warehouse itself is not touched. `confirm` must repeat the name; without it 409 says what would go.',
      security: token,
      request: { params: SourceParams, query: z.strictObject({ confirm: z.string().optional() }) },
      responses: { 204: { description: 'Deleted' }, ...problems },
    }),
    async (c) => {
      const { name } = c.req.valid('param');
      const ifMatch = c.req.header('if-match');
      await change(c, async (tx) => {
        const source = await found(tx, name);
        if (c.req.valid('query').confirm !== name)
          throw new Problem(
            409,
            'confirmation-needed',
            `Deleting removes what is listed in 'removes'. Repeat with ?confirm=${name}.`,
            {
              members: { removes: await previewDeletion(tx, source.id) },
            },
          );
        const expected = ifMatch === undefined ? undefined : expectedVersion(ifMatch, undefined);
        if (!(await deleteDataSource(tx, source.id, expected))) throw versionConflict(await dataSourceAnswer(tx, source));
        await announce(tx, { type: 'data-source.removed', subject: name, data: { dataSourceId: source.id } });
      });
      return c.body(null, 204);
    },
  );

  app.openapi(
    createRoute({
      method: 'post',
      path: `${one}/clone`,
      tags,
      summary: 'Save a copy under another name',
      description: 'Secrets are not copied: a copy that needs one is a draft until it is given.',
      security: token,
      request: { params: SourceParams, body: body(z.strictObject({ name: DataSourceInput.shape.name }).openapi('CloneInput')) },
      responses: created(DataSourceAnswer, 'The copy'),
    }),
    async (c) => {
      const { name } = c.req.valid('json');
      const answer = await change(c, async (tx) => {
        const source = await found(tx, c.req.valid('param').name);
        const needsSecret = source.environments.some((environment) => environment.accessMode === 'accessKey');
        return create(c, tx, { ...inputOf(source), name, draft: source.draft || needsSecret });
      });
      return c.json(answer, 201, { etag: etagOf(answer.version) });
    },
  );
}

const MAX_SOURCES = 200;

type Caller = { env: ConsoleApi['Bindings']; var: ConsoleApi['Variables'] };

async function create(c: Caller, tx: TenantTransaction, input: DataSourceInput): Promise<DataSourceAnswer> {
  const findings = await judge(c, tx, input);
  refuseErrors(input, findings);
  const [held] = await tx.query<{ count: number }>('select count(*)::int as count from data_source');
  if (held!.count >= MAX_SOURCES)
    throw new Problem(409, 'limit-reached', `A workspace holds ${MAX_SOURCES} data sources at most.`);
  const id = await createDataSource(tx, input, sealWith(c.env.deps.settings));
  return saved(tx, id, findings, 'data-source.created');
}

async function update(
  c: Caller,
  tx: TenantTransaction,
  before: StoredDataSource,
  input: DataSourceInput,
  expected: number,
  mayRemove: boolean,
): Promise<DataSourceAnswer> {
  if (before.version !== expected) throw versionConflict(await dataSourceAnswer(tx, before));
  const findings = await judge(c, tx, input, before);
  refuseErrors(input, findings);
  if (!mayRemove) await refuseRemoval(tx, before, input);
  if ((await updateDataSource(tx, before, input, expected, sealWith(c.env.deps.settings))) === undefined)
    throw versionConflict(await dataSourceAnswer(tx, (await getDataSource(tx, before.id)) ?? before));
  return saved(tx, before.id, findings, 'data-source.changed');
}

/** The message goes into the outbox with the rows: a 2xx answer means that it will be judged and tested. */
async function saved(tx: TenantTransaction, id: string, findings: Finding[], type: string): Promise<DataSourceAnswer> {
  const source = (await getDataSource(tx, id))!;
  await enqueue(tx, QUEUES.dataSourceSaved, {
    type: 'data-source.saved',
    data: { workspaceId: tx.workspaceId, dataSourceId: id, version: source.version },
  });
  await announce(tx, { type, subject: source.name, data: { dataSourceId: id, version: source.version } });
  return dataSourceAnswer(tx, source, findings);
}

async function found(tx: TenantTransaction, name: string): Promise<StoredDataSource> {
  const source = await findDataSource(tx, name);
  if (!source) throw notFound();
  return source;
}

function refuseErrors(input: DataSourceInput, findings: Finding[]): void {
  const errors = findings.filter((finding) => finding.severity === 'error');
  if (input.draft || errors.length === 0) return;
  throw new Problem(400, 'invalid', `The data source cannot be used as it is: ${errors[0]!.path}: ${errors[0]!.message}`, {
    errors: errors.map(({ path, message, code, remedy }) => ({ path, message, code, ...(remedy && { remedy }) })),
    members: { findings },
  });
}

async function refuseRemoval(tx: TenantTransaction, before: StoredDataSource, input: DataSourceInput): Promise<void> {
  const gone = before.environments.filter((environment) => !input.environments[environment.name]);
  if (gone.length === 0) return;
  const [row] = await tx.query<{ tables: number }>(
    'select count(*)::int as tables from catalog_table where workspace_id = $1 and environment_id = any($2::uuid[])',
    [tx.workspaceId, gone.map((environment) => environment.id)],
  );
  if (row!.tables === 0) return;
  throw new Problem(
    409,
    'confirmation-needed',
    `Leaving out ${gone.map((environment) => environment.name).join(' and ')} removes ${row!.tables} tables from the data map. Repeat with ?removeEnvironments=true if that is meant.`,
  );
}

function laidOver(before: StoredDataSource, patch: Omit<z.infer<typeof Patch>, 'version'>): DataSourceInput {
  const base = inputOf(before);
  const { environments: patched = {}, catalog, description, name, draft } = patch;
  const environments: Partial<Record<EnvironmentName, EnvironmentInput>> = { ...base.environments };
  for (const environment of ['development', 'production'] as const) {
    const fields = patched[environment];
    if (fields === null) delete environments[environment];
    else if (fields !== undefined)
      environments[environment] = withoutNulls({ ...environments[environment], ...fields }) as EnvironmentInput;
  }
  return {
    ...base,
    ...(name !== undefined && { name }),
    ...(draft !== undefined && { draft }),
    ...(catalog !== undefined && { catalog: catalog ?? '' }),
    ...(description !== undefined && { description: description ?? '' }),
    environments,
  };
}

function expectedVersion(ifMatch: string | undefined, inBody: number | undefined): number {
  const inHeader = ifMatch === undefined ? undefined : Number(/^"?(\d{1,9})"?$/.exec(ifMatch)?.[1] ?? Number.NaN);
  const expected = inHeader ?? inBody;
  if (expected === undefined)
    throw new Problem(428, 'version-needed', 'Say which version you change: `version` in the body or the header If-Match.');
  if (Number.isNaN(expected)) throw new Problem(400, 'invalid', 'If-Match: expected one version such as "3"');
  return expected;
}

function versionConflict(current: DataSourceAnswer): Problem {
  return new Problem(
    409,
    'version-conflict',
    `Another change came first: the version is ${current.version} now. Read it and repeat yours.`,
    {
      headers: { etag: etagOf(current.version) },
      members: { current },
    },
  );
}

function etagOf(versionNumber: number): string {
  return `"${versionNumber}"`;
}
