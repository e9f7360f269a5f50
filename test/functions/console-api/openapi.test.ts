// The shared schemas first, before zod learns of OpenAPI: the description must not depend on the order of imports.
import '../../../shared/data-source.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dataSource, type Harness, startHarness } from './harness.ts';

interface Schema {
  $ref?: string;
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
}
// biome-ignore lint/suspicious/noExplicitAny: a document under test
let document: any;
let api: Harness;
beforeAll(async () => {
  api = await startHarness();
  const answer = await api.call('GET', '/api/v1/openapi.json', { whole: true, as: null });
  expect(answer.status, answer.text).toBe(200);
  document = answer.body;
});
afterAll(() => api.close());

function* nodes(value: unknown): Generator<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) yield value as Record<string, unknown>;
  for (const item of Object.values(value)) yield* nodes(item);
}

function resolve(ref: string): unknown {
  return ref
    .slice(2)
    .split('/')
    .reduce((at: unknown, key) => (at as Record<string, unknown> | undefined)?.[key], document);
}

describe('the OpenAPI document', () => {
  it('is 3.1, with references that lead somewhere and operations that can be told apart', () => {
    expect(document.openapi).toBe('3.1.0');
    for (const node of nodes(document)) if (typeof node.$ref === 'string') expect(resolve(node.$ref), node.$ref).toBeDefined();
    const ids: string[] = [];
    for (const [path, operations] of Object.entries<Record<string, Record<string, unknown>>>(document.paths))
      for (const [method, operation] of Object.entries(operations)) {
        const where = `${method} ${path}`;
        ids.push(operation.operationId as string);
        const declared = ((operation.parameters ?? []) as { in: string; name: string }[]).filter((each) => each.in === 'path');
        expect(declared.map(({ name }) => name).sort(), where).toEqual(
          [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]!).sort(),
        );
        expect(operation.summary, where).toBeTruthy();
        expect(operation.security, where).toEqual([{ token: [] }]);
        expect(operation['x-required-role'], where).toMatch(/^(any|viewer|operator|administrator)/);
        expect(Object.keys(operation.responses as object), where).toContain('default');
      }
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('describes what is written for a data source, secret included, and no secret in any answer', () => {
    const written = document.components.schemas.NewDataSource;
    expect(Object.keys(written.properties)).toEqual(expect.arrayContaining(['name', 'catalog', 'environments', 'draft']));
    expect(JSON.stringify(written)).toContain('accessKeySecret');
    expect(JSON.stringify(document.components.schemas.DataSource)).not.toContain('"accessKeySecret"');
  });
});

/** References followed, and an extended schema as one. */
function whole(given: Schema): Schema {
  if (given.$ref) return whole(resolve(given.$ref) as Schema);
  const { allOf, ...own } = given;
  const parts = [...(allOf ?? []).map(whole), own];
  return Object.assign({}, ...parts, {
    ...(parts.some((part) => part.properties) && { properties: Object.assign({}, ...parts.map((part) => part.properties)) }),
    required: parts.flatMap((part) => part.required ?? []),
  });
}

/** Where a value departs from its schema; properties that are not declared count. */
function departures(value: unknown, given: Schema, where: string): string[] {
  const schema = whole(given);
  const options = schema.anyOf ?? schema.oneOf;
  if (options) {
    const all = options.map((option) => departures(value, option, where));
    return all.some((found) => found.length === 0) ? [] : (all[0] ?? []);
  }
  if ('const' in schema && value !== schema.const) return [`${where} is not ${JSON.stringify(schema.const)}`];
  if (schema.enum && !schema.enum.includes(value)) return [`${where} is not one of ${JSON.stringify(schema.enum)}`];
  const type = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
  const types = schema.type === undefined ? undefined : [schema.type].flat();
  if (types && !types.includes(type) && !(type === 'number' && types.includes('integer') && Number.isInteger(value)))
    return [`${where} is ${type}, not ${types.join('|')}`];
  if (Array.isArray(value))
    return schema.items ? value.flatMap((item, i) => departures(item, schema.items!, `${where}[${i}]`)) : [];
  if (type !== 'object' || !schema.properties) return [];
  const object = value as Record<string, unknown>;
  const { properties } = schema;
  const isOpen = schema.additionalProperties !== undefined && schema.additionalProperties !== false;
  return [
    ...(schema.required ?? []).filter((name) => !(name in object)).map((name) => `${where}.${name} is missing`),
    ...Object.entries(object).flatMap(([name, item]) =>
      properties[name]
        ? departures(item, properties[name], `${where}.${name}`)
        : isOpen
          ? []
          : [`${where}.${name} is not declared`],
    ),
  ];
}

it('answers as the document says, with nothing undeclared', async () => {
  const made = await api.call('POST', '/data-sources', { body: dataSource('described') });
  await api.db.query("update environment set connection_state = 'connected', tested_config_version = config_version");
  const run = await api.call('POST', '/collection-runs', { body: { dataSource: 'described' } });
  const environmentId = made.body.environments.production.id;
  await api.db.query(
    "insert into collection_run_table (workspace_id, run_id, database_name, table_name, state) values ($1, $2, 'db', 't', 'read')",
    [api.workspaces.default, run.body.id],
  );
  await api.db.query(
    `with d as (insert into catalog_database (workspace_id, environment_id, name) values ($1, $2, 'db') returning id),
          t as (insert into catalog_table (workspace_id, environment_id, database_id, name) select $1, $2, id, 'orders' from d returning id),
          s as (insert into table_search (workspace_id, table_id, environment_id, name, document, column_document)
                select $1, id, $2, 'orders', '''orders'''::tsvector, '''orders'''::tsvector from t)
     insert into table_state (workspace_id, table_id, status, problems, collected_at)
     select $1, id, 'ok', '[{"code":"c","severity":"warning","object":"o","message":"m"}]', now() from t`,
    [api.workspaces.default, environmentId],
  );
  const [table] = (await api.call('GET', '/tables')).body.items;
  await api.db.query(
    `insert into commit_ledger (workspace_id, table_id, incarnation, branch, snapshot_id, identity, gap_to_snapshot_id, gap_cause)
     select workspace_id, id, 1, '', entry.* from catalog_table cross join (values (1, null, 4, 'expired'), (5, '5/x', null, null)) as entry`,
  );
  const W = '/api/v1/workspaces/{workspace}';
  const E = `${W}/data-sources/{name}/environments/{environment}`;
  const test = await api.call('POST', '/data-sources/described/environments/production/connectivity-tests', { body: {} });
  const asked: [string, string, string, unknown?][] = [
    ['get', W, ''],
    ['post', `${W}/data-sources`, '/data-sources', dataSource('second')],
    ['get', `${W}/data-sources`, '/data-sources'],
    ['get', `${W}/data-sources/{name}`, '/data-sources/described'],
    ['put', `${W}/data-sources/{name}`, '/data-sources/described', { ...dataSource('described'), version: 1 }],
    ['patch', `${W}/data-sources/{name}`, '/data-sources/described', { version: 2, description: 'x' }],
    ['get', `${W}/data-sources/{name}/deletion-preview`, '/data-sources/described/deletion-preview'],
    ['post', `${W}/data-sources/{name}/clone`, '/data-sources/described/clone', { name: 'third' }],
    ['get', `${E}/connectivity-tests`, '/data-sources/described/environments/production/connectivity-tests'],
    ['get', `${E}/connectivity-tests/{id}`, `/data-sources/described/environments/production/connectivity-tests/${test.body.id}`],
    ['get', `${E}/event-setup`, '/data-sources/described/environments/production/event-setup'],
    ['get', `${E}/policies`, '/data-sources/described/environments/production/policies'],
    ['get', `${W}/collection-runs`, '/collection-runs'],
    ['get', `${W}/collection-runs/{id}`, `/collection-runs/${run.body.id}`],
    ['get', `${W}/collection-runs/{id}/tables`, `/collection-runs/${run.body.id}/tables`],
    ['get', `${W}/databases`, '/databases'],
    ['get', `${W}/tables`, '/tables?offset=0'],
    ['get', `${W}/tables/{id}`, `/tables/${table.id}?full=true`],
    ['get', `${W}/tables/{id}/snapshots`, `/tables/${table.id}/snapshots`],
    ['get', `${W}/tables/{id}/partitions`, `/tables/${table.id}/partitions`],
    ['get', `${W}/tables/{id}/commits`, `/tables/${table.id}/commits`],
    ['get', `${W}/search`, '/search?q=orders'],
    ['get', `${W}/changes`, '/changes'],
    ['post', `${W}/tokens`, '/tokens', { name: 't', role: 'viewer' }],
    ['get', `${W}/tokens`, '/tokens'],
    ['get', `${W}/audit`, '/audit'],
  ];
  for (const [method, template, path, body] of asked) {
    const answer = await api.call(method.toUpperCase(), path, body === undefined ? {} : { body });
    const schema = document.paths[template][method].responses[answer.status]?.content['application/json'].schema;
    expect(schema, `${method} ${path}: ${answer.status} ${answer.text}`).toBeDefined();
    expect(departures(answer.body, schema, 'answer'), `${method} ${path}`).toEqual([]);
    if ('items' in answer.body && !/snapshots|partitions/.test(path)) expect(answer.body.items.length, path).toBeGreaterThan(0);
  }
  const problem = await api.call('GET', '/tables?limit=many');
  expect(departures(problem.body, document.components.schemas.Problem, 'problem')).toEqual([]);
});

it('T24: shows the API as a page without scripts or foreign hosts', async () => {
  for (const path of ['/', '/api/v1/docs']) {
    const { text, headers } = await api.call('GET', path, { whole: true, as: null });
    expect(headers.get('content-type')).toMatch(/^text\/html/);
    expect(text).not.toMatch(/<script|javascript:|(src|href)="(https?:)?\/\//i);
    expect(headers.get('content-security-policy')).toContain("style-src 'self'");
  }
  const { text } = await api.call('GET', '/api/v1/docs', { whole: true, as: null });
  for (const path of Object.keys(document.paths)) expect(text).toContain(`<code>${path}</code>`);
  expect((await api.call('GET', '/api/v1/docs.css', { whole: true, as: null })).headers.get('content-type')).toMatch(
    /^text\/css/,
  );
});
