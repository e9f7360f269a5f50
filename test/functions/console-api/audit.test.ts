import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACCESS } from '../../../functions/console-api/access.ts';
import { Unreachable } from '../../../shared/errors.ts';
import { datamap, serve } from '../../cli/command-line.ts';
import { dataSource, environment, type Harness, startHarness, withKeys } from './harness.ts';

let api: Harness;
beforeAll(async () => {
  api = await startHarness();
  await api.call('POST', '/data-sources', { body: dataSource('mine') });
});
afterAll(() => api.close());

interface Row {
  sequence: string;
  actor: string;
  action: string;
  target: string;
  outcome: string;
  code: string | null;
  detail: string | null;
}
async function newest(limit = 1): Promise<Row[]> {
  return (await api.call('GET', `/audit?limit=${limit}`)).body.items;
}
const counted = async () => (await api.db.query<{ n: number }>('select count(*)::int as n from audit_log'))[0]!.n;

const mutating = Object.keys(ACCESS)
  .map((route) => route.split(' ') as [string, string])
  .filter(([method]) => method !== 'GET');

function pathOf(path: string, workspace = 'default'): string {
  return path
    .replace(':workspace', workspace)
    .replace(':name', 'mine')
    .replace(':environment', 'production')
    .replace(':id', randomUUID());
}

describe.each(mutating)('P17: %s %s', (method, path) => {
  it('leaves exactly one row for each call whose caller is known, whatever comes of it', async () => {
    for (const as of ['everywhere', 'administrator', 'viewer', 'stranger'] as const) {
      const before = await counted();
      const { status } = await api.call(method, pathOf(path), { whole: true, as, body: {} });
      expect(await counted(), `${as}: ${status}`).toBe(before + 1);
      const [row] = await api.db.query<{ actor: string; action: string; outcome: string; workspace_id: number }>(
        'select actor, action, outcome, workspace_id from audit_log order by at desc, sequence desc limit 1',
      );
      expect(row).toMatchObject({ actor: as, outcome: status < 400 ? 'done' : status < 500 ? 'refused' : 'failed' });
      expect(row!.action.startsWith(`${method} /`)).toBe(true);
      // Who does not know a workspace writes into none.
      const known = path.includes(':workspace') && as !== 'stranger';
      expect(row!.workspace_id, as).toBe(known ? api.workspaces.default : 0);
    }
    const before = await counted();
    await api.call(method, pathOf(path), { whole: true, as: null, body: {} });
    expect(await counted()).toBe(before);
  });
});

describe('the audit log', () => {
  it('says who did what to what, and keeps secrets as fingerprints only', async () => {
    const body = dataSource('keyed', { environments: { development: environment(), production: withKeys() } });
    const saved = await api.call('POST', '/data-sources', { body, as: 'operator' });
    expect(saved.status, saved.text).toBe(201);
    const [row] = await newest();
    expect(row).toMatchObject({
      actor: 'operator',
      action: 'POST /data-sources',
      target: '/data-sources',
      outcome: 'done',
      code: null,
    });
    const detail = JSON.parse(row!.detail!);
    expect(detail.environments.production).toMatchObject({
      accessKeyId: 'LTAI5tTestTestTestTest',
      accessKeySecret: expect.stringMatching(/^sha256:[0-9a-f]{8}$/),
    });
    // A refused body may hold a secret under any name.
    const wrong = { ...body, name: 'wrong', accesKeySecret: 'marker-secret-4410' };
    expect((await api.call('POST', '/data-sources', { body: wrong })).status).toBe(400);
    expect((await newest())[0]).toMatchObject({ outcome: 'refused', code: 'invalid', detail: null });
    expect(JSON.stringify(await api.db.query('select * from audit_log'))).not.toContain('marker-secret');
  });

  it('has the row of a change in its transaction, and a row for one that was taken back', async () => {
    const { tenant } = api.deps.database;
    const before = await counted();
    api.deps.database.tenant = (id, work) =>
      tenant(id, async (tx) => {
        await work(tx);
        throw new Unreachable('database', 'cut');
      });
    const cut = await api.call('POST', '/data-sources', { body: dataSource('cut') }).finally(() => {
      api.deps.database.tenant = tenant;
    });
    expect(cut.status).toBe(503);
    expect(await counted()).toBe(before + 1);
    expect((await newest())[0]).toMatchObject({ outcome: 'failed', code: 'unavailable' });
    expect((await api.call('GET', '/data-sources/cut')).status).toBe(404);
  });

  it('numbers rows without gaps when many write at once', async () => {
    const [{ sequence: from }] = (await newest()) as [Row];
    await Promise.all(
      Array.from({ length: 12 }, (_, i) => api.call('POST', '/tokens', { body: { name: `t${i}`, role: 'viewer' } })),
    );
    const { body } = await api.call('GET', `/audit?after=${from}&limit=500`);
    expect(body.items.map((row: Row) => Number(row.sequence) - Number(from))).toEqual(
      Array.from({ length: 12 }, (_, i) => i + 1),
    );
    const paged = await api.call('GET', `/audit?after=${from}&limit=5`);
    const next = await api.call('GET', `/audit?after=${from}&limit=5&cursor=${paged.body.nextCursor}`);
    expect(next.body.items).toEqual(body.items.slice(5, 10));
    const filtered = await api.call('GET', '/audit?actor=OPERAT&action=data-sources');
    expect(filtered.body.items.length).toBeGreaterThan(0);
    for (const row of filtered.body.items)
      expect([row.actor, row.action]).toEqual(['operator', expect.stringContaining('data-sources')]);
  });

  it('shows a workspace its own rows, and the rest to who administers everything', async () => {
    await api.call('POST', '/api/v1/workspaces', { whole: true, as: 'everywhere', body: { name: 'made', kind: 'basic' } });
    const whole = await api.call('GET', '/api/v1/audit?limit=500', { whole: true, as: 'everywhere' });
    expect(whole.body.items[0]).toMatchObject({
      workspaceId: 0,
      action: 'POST /workspaces',
      detail: '{"name":"made","kind":"basic"}',
    });
    expect((await api.call('GET', '/api/v1/audit', { whole: true, as: 'administrator' })).status).toBe(403);
    expect((await api.call('GET', '/audit', { as: 'operator' })).status).toBe(403);
    const theirs = await api.call('GET', '/api/v1/workspaces/other/audit', { whole: true, as: 'stranger' });
    expect(theirs.body.items).toEqual([]);
  });

  it('T34: can be changed or shortened by no function', async () => {
    const { database } = api.deps;
    for (const sql of ['update audit_log set actor = $1', 'delete from audit_log where actor <> $1', 'truncate audit_log'])
      for (const run of [
        () => database.system((tx) => tx.query(sql, sql.includes('$1') ? ['x'] : [])),
        () => database.tenant(api.workspaces.default, (tx) => tx.query(sql, sql.includes('$1') ? ['x'] : [])),
      ])
        await expect(run()).rejects.toMatchObject({ code: '42501' });
  });
});

describe('datamap audit', () => {
  it('T34: finds rows that were changed, moved or taken out by whoever owns the database', async () => {
    const server = await serve(api);
    const run = (...args: string[]) =>
      datamap(['audit', ...args], { DATAMAP_URL: server.url, DATAMAP_TOKEN: api.tokens.everywhere });
    const verify = async (...args: string[]) => {
      const { code, out } = await run('verify', '--json', ...args);
      return { code, ...JSON.parse(out) };
    };
    const good = await verify();
    expect(good).toMatchObject({ code: 0, whole: true });
    expect(Number(good.rows)).toBeGreaterThan(50);
    expect(await verify('--installation')).toMatchObject({ code: 0, whole: true });
    expect((await run('verify', '--expect', good.head)).out).toContain('is whole');
    const listed = await run('list', '--limit', '2', '--json');
    expect(listed.out.trim().split('\n')).toHaveLength(2);
    expect((await run('list', '--actor', 'operator')).out).toMatch(/POST \/data-sources +\/data-sources +done/);

    const change = (sql: string) => api.db.query(sql.replace(' where ', ` where workspace_id = ${api.workspaces.default} and `));
    const [{ actor }] = (await change('select actor from audit_log where sequence = 2')) as [{ actor: string }];
    await change("update audit_log set actor = 'somebody' where sequence = 2");
    expect(await verify()).toMatchObject({ code: 1, whole: false, problem: expect.stringMatching(/^row 2 is not/) });
    await change(`update audit_log set actor = '${actor}' where sequence = 2`);

    const swap = async () => {
      await change('update audit_log set sequence = sequence - 7 where sequence in (3, 4)');
      await change('update audit_log set sequence = -sequence where sequence < 0');
    };
    await swap();
    expect(await verify()).toMatchObject({ code: 1, problem: expect.stringMatching(/^row 3 is not/) });
    await swap();
    expect(await verify()).toMatchObject({ code: 0, whole: true });

    await change(`delete from audit_log where sequence = ${good.rows}`);
    expect(await verify('--expect', good.head)).toMatchObject({ code: 1, problem: expect.stringContaining('is not there') });
    await change('delete from audit_log where sequence = 5');
    expect(await verify()).toMatchObject({ code: 1, problem: 'row 5 is missing: row 6 follows' });
    await server.close();
  });
});
