import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACCESS } from '../../../functions/console-api/access.ts';
import { createApp } from '../../../functions/console-api/app.ts';
import { createToken } from '../../../shared/store/tokens.ts';
import { type Answer, dataSource, type Harness, startHarness } from './harness.ts';

let api: Harness;
beforeAll(async () => {
  api = await startHarness();
  await api.call('POST', '/data-sources', { body: dataSource('mine') });
});
afterAll(() => api.close());

const ROLES = ['viewer', 'operator', 'administrator'] as const;
const routes = Object.entries(ACCESS).map(([route, access]) => {
  const [method, path] = route.split(' ') as [string, string];
  return { route, method, path, access };
});
const inWorkspace = routes.filter(({ path }) => path.startsWith('/api/v1/workspaces/:workspace'));

/** The route with real names in it; ids of nothing. */
function pathOf(path: string, workspace: string): string {
  return path
    .replace(':workspace', workspace)
    .replace(':name', 'mine')
    .replace(':environment', 'production')
    .replace(':id', randomUUID());
}

function call(
  method: string,
  path: string,
  as: Parameters<Harness['call']>[2] extends infer O ? NonNullable<O>['as' & keyof O] : never,
) {
  return api.call(method, path, { whole: true, as: as as never, ...(method === 'GET' ? {} : { body: {} }) });
}

function comparable({ status, body, headers }: Answer) {
  return { status, body, type: headers.get('content-type'), cache: headers.get('cache-control') };
}

describe('the list of routes', () => {
  it('T17: names exactly the routes that there are', () => {
    const registered = createApp()
      .routes.filter(({ method }) => method !== 'ALL')
      .map(({ method, path }) => `${method} ${path}`);
    expect([...new Set(registered)].sort()).toEqual(Object.keys(ACCESS).sort());
  });

  it('opens only the description of the API and the signs of life', () => {
    const open = routes.filter(({ access }) => access === 'open').map(({ route }) => route);
    expect(open).toEqual([
      'GET /',
      'GET /healthz',
      'GET /readyz',
      'GET /api/v1/openapi.json',
      'GET /api/v1/docs',
      'GET /api/v1/docs.css',
    ]);
  });
});

describe.each(routes.filter(({ access }) => access !== 'open'))('$route', ({ method, path }) => {
  it('answers 401 without a token, before it looks at anything else', async () => {
    const answer = await call(method, pathOf(path, 'default'), null as never);
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toContain('Bearer');
  });
});

describe.each(inWorkspace)('$route', ({ method, path, access }) => {
  it('T16: answers a stranger as if the workspace were not there', async () => {
    const foreign = await call(method, pathOf(path, 'default'), 'stranger' as never);
    const absent = await call(method, pathOf(path, 'nowhere'), 'stranger' as never);
    expect(foreign.status).toBe(404);
    expect(comparable(foreign)).toEqual(comparable(absent));
  });

  it('T18: lets exactly its role and those above pass, and refuses the others before it validates', async () => {
    for (const role of ROLES) {
      const { status } = await call(method, pathOf(path, 'default'), role as never);
      if (ROLES.indexOf(role) < ROLES.indexOf(access as (typeof ROLES)[number])) expect([role, status]).toEqual([role, 403]);
      else expect([401, 403]).not.toContain(status);
    }
  });
});

it('T16: answers an id of another workspace exactly as an unknown one', async () => {
  const theirs = await api.call('POST', '/api/v1/workspaces/other/data-sources', {
    whole: true,
    as: 'stranger',
    body: dataSource('theirs'),
  });
  expect(theirs.status, theirs.text).toBe(201);
  const environmentId = theirs.body.environments.production.id;
  const runId = randomUUID();
  await api.db.query(
    "insert into collection_run (workspace_id, id, environment_id, cause, requested_by) values ($1, $2, $3, 'request', 'x')",
    [api.workspaces.other, runId, environmentId],
  );
  const [database] = await api.db.query<{ id: string }>(
    "insert into catalog_database (workspace_id, environment_id, name) values ($1, $2, 'db') returning id",
    [api.workspaces.other, environmentId],
  );
  const [table] = await api.db.query<{ id: string }>(
    "insert into catalog_table (workspace_id, environment_id, database_id, name) values ($1, $2, $3, 't') returning public_id as id",
    [api.workspaces.other, environmentId, database!.id],
  );
  for (const [known, unknown] of [
    ['/data-sources/theirs', '/data-sources/nobodys'],
    [`/collection-runs/${runId}`, `/collection-runs/${randomUUID()}`],
    [`/collection-runs/${runId}/tables`, `/collection-runs/${randomUUID()}/tables`],
    [`/tables/${table!.id}`, `/tables/${randomUUID()}`],
    [`/tables/${table!.id}/partitions`, `/tables/${randomUUID()}/partitions`],
    [`/tables/${table!.id}/commits`, `/tables/${randomUUID()}/commits`],
  ]) {
    const foreign = await api.call('GET', known!);
    expect(foreign.status, known).toBe(404);
    expect(comparable(foreign)).toEqual(comparable(await api.call('GET', unknown!)));
  }
  for (const list of ['/tables', '/databases', '/collection-runs', '/changes'])
    expect((await api.call('GET', list)).text).not.toContain('theirs');
  expect((await api.call('GET', '/tables?search=t')).body.items).toEqual([]);
  expect((await api.call('GET', '/search?q=t')).body.total).toBe(0);
});

describe('tokens', () => {
  const check = (token: string) => api.call('GET', '/data-sources', { as: { token } });

  it('T20: are shown once, kept as a hash only, and end at once when revoked', async () => {
    const made = await api.call('POST', '/tokens', { body: { name: 'ci', role: 'viewer' } });
    expect(made.status, made.text).toBe(201);
    expect(made.body.token).toMatch(/^dm_[A-Za-z0-9_-]{43}$/);
    expect((await check(made.body.token)).status).toBe(200);
    const list = await api.call('GET', '/tokens');
    expect(list.text).not.toContain(made.body.token);
    expect(list.body.items.find((item: { id: string }) => item.id === made.body.id).lastUsedAt).not.toBeNull();
    const rows = await api.db.query("select t::text || encode(token_hash, 'escape') as row from api_token t");
    expect(JSON.stringify(rows)).not.toContain(made.body.token.slice(3));
    expect((await api.call('DELETE', `/tokens/${made.body.id}`)).status).toBe(204);
    expect((await check(made.body.token)).status).toBe(401);
  });

  it('T20: expire', async () => {
    const made = await api.call('POST', '/tokens', { body: { name: 'short', role: 'viewer', expiresInDays: 1 } });
    await api.db.query("update api_token set expires_at = clock_timestamp() - interval '1 second' where id = $1", [made.body.id]);
    expect((await check(made.body.token)).status).toBe(401);
    expect((await api.call('POST', '/tokens', { body: { name: 'long', role: 'viewer', expiresInDays: 366 } })).status).toBe(400);
  });

  it('are not accepted when they are mangled, or in another place than the header', async () => {
    for (const token of [
      `${api.tokens.viewer}x`,
      api.tokens.viewer.slice(0, -1),
      'dm_',
      `Bearer ${api.tokens.viewer}`,
      "dm_' or 1=1 --",
    ])
      expect((await check(token)).status, token).toBe(401);
    expect((await api.call('GET', `/data-sources?token=${api.tokens.viewer}`, { as: null })).status).toBe(401);
  });

  it('of one workspace end no others: a foreign one looks unknown', async () => {
    const [row] = await api.db.query<{ id: string }>("select id from api_token where name = 'stranger'");
    expect((await api.call('DELETE', `/tokens/${row!.id}`)).status).toBe(404);
    expect((await api.call('GET', '/api/v1/workspaces/other/data-sources', { whole: true, as: 'stranger' })).status).toBe(200);
  });

  it('with several workspaces lose only the one whose administrator revokes them', async () => {
    const both = await api.db.database.system((tx) =>
      createToken(tx, {
        name: 'both',
        createdBy: 'test',
        grants: [
          { workspaceId: api.workspaces.default, role: 'viewer' },
          { workspaceId: api.workspaces.other, role: 'viewer' },
        ],
      }),
    );
    const token = both.token.reveal();
    expect((await api.call('DELETE', `/tokens/${both.id}`)).status).toBe(204);
    expect((await check(token)).status).toBe(404);
    expect((await api.call('GET', '/api/v1/workspaces/other/data-sources', { whole: true, as: { token } })).status).toBe(200);
  });

  it('list the workspaces that they may see, and no others', async () => {
    const names = async (as: 'viewer' | 'stranger' | 'everywhere') =>
      (await api.call('GET', '/api/v1/workspaces', { whole: true, as })).body.items.map((item: { name: string }) => item.name);
    expect(await names('viewer')).toEqual(['default']);
    expect(await names('stranger')).toEqual(['other']);
    expect(await names('everywhere')).toEqual(['default', 'lab', 'other']);
  });
});

describe('T17: paths', () => {
  it.each([
    '/api/v1//workspaces/default/tables',
    '/api/v1/workspaces/default//tables',
    '/api/v1/workspaces/default/tables;x=1',
    '/api/v1/workspaces/default%2ftables',
    '/api/v1/workspaces/default/%2e%2e%2fother/tables',
    '/api/v1/workspaces/default%5ctables',
    '/healthz%00',
    '/api/v1/workspaces/default/data-sources/a%252fb',
  ])('refuses %s before it looks at the token', async (path) => {
    const answer = await api.call('GET', path, { whole: true, as: null });
    expect(answer.status).toBe(400);
    expect(answer.body.code).toBe('ambiguous-path');
  });

  it.each([
    '/healthz/../api/v1/workspaces/default/tables',
    '/healthz;/../api/v1/workspaces/default/tables',
    '/api/v1/docs/../workspaces/default/tables',
    '/API/v1/docs',
    '/api/v1/docs/',
    '/healthz/',
    '/metrics',
    '/api/v1',
    '/nothing',
  ])('opens nothing by %s', async (path) => {
    expect((await api.call('GET', path, { whole: true, as: null })).status).toBe(401);
  });

  it('answers unknown paths 404 to who is signed in', async () => {
    expect((await api.call('GET', '/nothing', { whole: true })).status).toBe(404);
    expect((await api.call('POST', '/tables', { body: {} })).status).toBe(404);
  });
});

describe('bodies', () => {
  const post = (body: string, headers: Record<string, string> = {}) => api.call('POST', '/data-sources', { body, headers });

  it('are bounded in size and depth before they are parsed', async () => {
    expect((await post(`{"name":"${'x'.repeat(1024 * 1024)}"}`)).status).toBe(413);
    const deep = await post('['.repeat(100_000) + ']'.repeat(100_000));
    expect(deep).toMatchObject({ status: 400, body: { errors: [{ code: 'too-deep' }] } });
    const text = await post(JSON.stringify({ name: '[[[[{{{{'.repeat(30) }));
    expect(text.body.errors[0].code).not.toBe('too-deep');
  });

  it('must be JSON, and what is not is never repeated in the answer', async () => {
    const broken = await post('{"name": "x", "accessKeySecret": marker-secret-77}');
    expect(broken).toMatchObject({ status: 400, body: { errors: [{ code: 'not-json' }] } });
    expect(broken.text).not.toContain('marker-secret');
    expect((await post('name=x', { 'content-type': 'application/x-www-form-urlencoded' })).status).toBe(415);
  });
});

it('T24: sends the headers that keep browsers from doing more than asked', async () => {
  for (const path of ['/', '/api/v1/docs', '/api/v1/openapi.json', '/api/v1/workspaces/default/tables', '/nothing']) {
    const { headers } = await api.call('GET', path, { whole: true });
    expect(headers.get('content-security-policy'), path).toMatch(/^default-src 'none'/);
    expect(headers.get('content-security-policy'), path).not.toContain('unsafe');
    expect(headers.get('x-content-type-options'), path).toBe('nosniff');
    expect(headers.get('referrer-policy'), path).toBe('no-referrer');
  }
});

it('answers who asks for figures, but only administrators of everything or their viewers', async () => {
  expect((await api.call('GET', '/metrics', { whole: true, as: 'administrator' })).status).toBe(403);
  const { text } = await api.call('GET', '/metrics', { whole: true, as: 'everywhere' });
  expect(text).toMatch(/^datamap_outbox_messages 0$/m);
  expect(text).toMatch(/^datamap_environment_connected\{workspace="default",source="mine",environment="production"\} 0$/m);
});

it('is ready while the database answers with the schema that this program knows', async () => {
  expect((await api.call('GET', '/readyz', { whole: true, as: null })).body).toEqual({ ready: true, problems: [] });
  await api.db.query(
    "insert into outbox (workspace_id, queue_name, message, created_at) values ($1, $2, $3, now() - interval '10 min')",
    [api.workspaces.default, 'q', '{}'],
  );
  const stuck = await api.call('GET', '/readyz', { whole: true, as: null });
  expect(stuck).toMatchObject({ status: 503, body: { ready: false } });
  await api.db.query('delete from outbox');
});
