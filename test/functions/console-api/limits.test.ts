import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MAX_SIGN_IN_FAILURES } from '../../../shared/store/request-limits.ts';
import { datamap, serve } from '../../cli/command-line.ts';
import { dataSource, type Harness, startHarness } from './harness.ts';

let api: Harness;
beforeAll(async () => {
  api = await startHarness();
});
afterAll(() => api.close());

const WRONG = { token: `dm_${'x'.repeat(43)}` };

describe('requests of a token', () => {
  it('are refused beyond its rate, whoever else asks meanwhile, and say what is left', async () => {
    // So slow that none comes back within the test.
    api.deps.requestLimit = { perSecond: 0.001, burst: 8 };
    const first = await api.call('GET', '/data-sources', { as: 'viewer' });
    expect(first.headers.get('ratelimit-policy')).toBe('"token";q=8;w=8000');
    expect(first.headers.get('ratelimit')).toBe('"token";r=7;t=1000');
    const many = await Promise.all(Array.from({ length: 12 }, () => api.call('GET', '/data-sources', { as: 'viewer' })));
    expect(many.filter(({ status }) => status === 200)).toHaveLength(7);
    const refused = many.find(({ status }) => status === 429)!;
    expect(refused.body.code).toBe('rate-limited');
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(refused.headers.get('ratelimit')).toContain(';r=0;');
    expect((await api.call('GET', '/data-sources', { as: 'operator' })).status).toBe(200);
    // A refused call changes nothing and is nobody's business.
    expect((await api.call('POST', '/data-sources', { as: 'viewer', body: {} })).status).toBe(429);
    delete api.deps.requestLimit;
  });

  it('come back with time, also when the clock was set back', async () => {
    const set = (remaining: number, updatedAt: string) =>
      api.db.query(
        `update request_allowance set remaining = $1, updated_at = clock_timestamp() + $2::interval
         where token_id = (select id from api_token where name = 'viewer')`,
        [remaining, updatedAt],
      );
    await set(0, '-2 s');
    const after = await api.call('GET', '/data-sources', { as: 'viewer' });
    expect(Number(/r=(\d+)/.exec(after.headers.get('ratelimit')!)![1])).toBeGreaterThanOrEqual(99);
    await set(0, '1 h');
    expect((await api.call('GET', '/data-sources', { as: 'viewer' })).headers.get('ratelimit')).toContain('r=199;');
    await set(0, '-1 day');
    expect((await api.call('GET', '/data-sources', { as: 'viewer' })).headers.get('ratelimit')).toContain('r=199;');
  });

  it('are made again by the command line after the pause that the server names', async () => {
    api.deps.requestLimit = { perSecond: 0.8, burst: 1 };
    const server = await serve(api);
    const env = { DATAMAP_URL: server.url, DATAMAP_TOKEN: api.tokens.everywhere };
    for (const args of [['workspace', 'list'], ['runs'], ['token', 'list']]) {
      const ran = await datamap(args, env);
      expect(ran.code, ran.err).toBe(0);
    }
    await server.close();
    delete api.deps.requestLimit;
  });
});

describe('without a good token', () => {
  const ask = (from: string | undefined, as: typeof WRONG | null | 'viewer' = WRONG) =>
    api.call('GET', '/data-sources', { as, ...(from && { from }) });

  it('an address that shows too many wrong ones is told to stop; a good one still works from there', async () => {
    for (let i = 0; i < MAX_SIGN_IN_FAILURES; i++) expect((await ask('192.0.2.1')).status).toBe(401);
    const refused = await ask('192.0.2.1');
    expect(refused).toMatchObject({ status: 429, body: { code: 'too-many-sign-ins' } });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(500);
    await ask('192.0.2.1');
    expect((await ask('192.0.2.1', 'viewer')).status).toBe(200);
    expect((await ask('192.0.2.2')).status).toBe(401);
    const { body } = await api.call('GET', '/api/v1/audit?action=sign', { whole: true, as: 'everywhere' });
    expect(body.items).toMatchObject([{ address: '192.0.2.1', outcome: 'refused', code: 'too-many-sign-ins' }]);
  });

  it('a window that is over counts no more, and its rows go', async () => {
    await api.db.query("update sign_in_failure set since = since - interval '11 min'");
    expect((await ask('192.0.2.1')).status).toBe(401);
    expect(await api.db.query('select address, count from sign_in_failure')).toEqual([{ address: '192.0.2.1', count: 1 }]);
  });

  it('an address that asks without any is slowed down, the pages that are open are not', async () => {
    const statuses = async (path: string, from: string) =>
      (await Promise.all(Array.from({ length: 100 }, () => api.call('GET', path, { whole: true, as: null, from })))).map(
        ({ status }) => status,
      );
    const closed = await statuses('/api/v1/workspaces', '192.0.2.9');
    expect(closed.slice(0, 20).every((status) => status === 401)).toBe(true);
    expect(closed).toContain(429);
    expect(new Set(await statuses('/healthz', '192.0.2.9'))).toEqual(new Set([200]));
    expect((await ask('192.0.2.9', 'viewer')).status).toBe(200);
    // Where the platform does not say who asks, nobody pays for another.
    expect((await ask(undefined, null)).status).toBe(401);
  });
});

describe('what a workspace may hold', () => {
  it('is bounded: data sources', async () => {
    await api.db.query(
      `insert into data_source (workspace_id, id, name, external_id) select $1, gen_random_uuid(), 'filled_' || n, 'x' from generate_series(1, 200) as n`,
      [api.workspaces.default],
    );
    expect(await api.call('POST', '/data-sources', { body: dataSource('onemore') })).toMatchObject({
      status: 409,
      body: { code: 'limit-reached' },
    });
  });

  it('is bounded: living tokens', async () => {
    await api.db.query(
      `with made as (insert into api_token (id, name, token_hash, created_by, expires_at)
         select gen_random_uuid(), 'filled', sha256(n::text::bytea), 'x', now() + interval '1 day' from generate_series(1, 100) as n returning id)
       insert into api_token_grant select id, $1, 'viewer' from made`,
      [api.workspaces.default],
    );
    const make = () => api.call('POST', '/tokens', { body: { name: 'onemore', role: 'viewer' } });
    expect(await make()).toMatchObject({ status: 409, body: { code: 'limit-reached' } });
    await api.db.query("update api_token set revoked_at = now() where name = 'filled'");
    expect((await make()).status).toBe(201);
  });
});

it('bounds texts and lists of a body, and names them', async () => {
  const body = { ...dataSource('big'), description: 'é'.repeat(40_000), tags: Array.from({ length: 10_001 }, () => 1) };
  expect(await api.call('POST', '/data-sources', { body })).toMatchObject({
    status: 400,
    body: {
      errors: [
        { path: 'description', code: 'too-long' },
        { path: 'tags', code: 'too-many' },
      ],
    },
  });
  expect((await api.call('GET', `/search?q=${'x'.repeat(257)}`)).status).toBe(400);
});
