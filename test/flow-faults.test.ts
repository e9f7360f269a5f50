import { spawnSync } from 'node:child_process';
import { readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Answer, type Api, apiOf, dataSource, endedRun } from './support/api.ts';
import { dataFolder, type Platform, removeFolder, startPlatform } from './support/platform.ts';
import { copySample, readDirectly } from './support/warehouses.ts';

// Whole collections in processes of their own: slow where the machine is busy.
vi.setConfig({ testTimeout: 300_000 });

const lake = dataFolder();
const data = dataFolder();
let platform: Platform;
let api: Api;

beforeAll(async () => {
  copySample(join(lake, 'wh'));
  platform = await startPlatform({ data, buckets: { lake }, args: ['--no-sample', '--faults'] });
  api = apiOf(platform, 'sandbox');
});
afterAll(async () => {
  await platform?.stop();
  removeFolder(data);
  removeFolder(lake);
});

/** One environment is enough here: the workspace is basic. */
function source(name: string, warehouse = 'oss://lake/wh'): object {
  const { environments, ...rest } = dataSource(platform, name, warehouse) as Answer;
  return { ...rest, environments: { production: environments.production } };
}

async function tablesOf(name: string): Promise<Map<string, Answer>> {
  const summaries = await api.all(`tables?source=${name}&limit=100`);
  const tables = await Promise.all(summaries.map((summary: Answer) => api.get(`tables/${summary.id}?full=true`)));
  return new Map(tables.map((table) => [`${table.database}.${table.table}`, table]));
}

async function expectMapEqualsWarehouse(name: string): Promise<void> {
  const direct = await readDirectly(lake, 'wh/');
  const map = await tablesOf(name);
  expect([...map.keys()].sort()).toEqual([...direct.keys()].sort());
  for (const [table, document] of direct) expect(map.get(table), table).toMatchObject(document);
}

async function setFaults(faults: object[]): Promise<void> {
  const response = await fetch(`${platform.oss}/_faults`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${platform.credentials.apiToken}`, 'content-type': 'application/json' },
    body: JSON.stringify(faults),
  });
  expect(response.ok, `PUT /_faults: HTTP ${response.status}`).toBe(true);
}

/** Function processes of this platform that run the named bundle. */
function processesOf(name: string): number[] {
  return spawnSync('ps', ['-e', '-ww', '-o', 'pid=,ppid=,args='], { encoding: 'utf8' })
    .stdout.split('\n')
    .map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line))
    .filter((found) => found !== null && Number(found[2]) === platform.process.pid && found[3]!.includes(`functions/${name}/`))
    .map((found) => Number(found![1]));
}

/** How many invocations lost their process so far. */
function interruptions(): number {
  return readFileSync(join(data, 'logs', 'platform.log'), 'utf8').split('Process exited unexpectedly').length - 1;
}

/** Repeatable "random" numbers in [0, 1): a failing seed can be run again. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32;
  };
}

describe('function processes that are killed', () => {
  // Slow answers stretch the collection, so that a kill falls into it.
  it.each([11, 12])(
    'at a random moment of a collection leave the map as it would have been (seed %i)',
    async (seed) => {
      const next = random(seed);
      const name = `killed_${seed}`;
      await setFaults([{ operations: ['GetObject', 'ListObjectsV2', 'ListObjects'], delayMs: 60 }]);
      await api.post('data-sources', source(name));
      const interruptedBefore = interruptions();
      const phase = async () =>
        (await api.all('collection-runs')).find((run: Answer) => run.dataSource === name)?.phase ?? 'none';
      for (const [victim, phases] of [
        ['plan-collection', ['planning', 'collecting']],
        ['collect-tables', ['collecting']],
        ['collect-tables', ['collecting']],
      ] as const) {
        await expect.poll(async () => phases.includes((await phase()) as never), { timeout: 90_000, interval: 20 }).toBe(true);
        await new Promise((later) => setTimeout(later, next() * 700));
        for (const pid of processesOf(victim)) process.kill(pid, 'SIGKILL');
      }
      await setFaults([]);
      // A killed message comes again after 10 to 20 s; a lease that died with its holder is free after 30 s and the minute timer.
      const run = await endedRun(api, name, { timeoutMs: 240_000 });
      expect(run).toMatchObject({ phase: 'done', tablesFailed: 0, tablesQueued: 0 });
      // Not only idle processes were hit.
      expect(interruptions()).toBeGreaterThan(interruptedBefore);
      await expectMapEqualsWarehouse(name);
    },
    300_000,
  );
});

describe('a listing that fails', () => {
  it.each([
    [
      'is refused half-way',
      [{ operations: ['ListObjectsV2', 'ListObjects'], prefix: 'wh/research.db/', status: 403, code: 'AccessDenied' }],
    ],
    ['breaks', [{ operations: ['ListObjectsV2', 'ListObjects'], prefix: 'wh/iot.db/', status: 500, code: 'InternalError' }]],
  ])(
    'removes nothing when it %s (P3)',
    async (how, faults) => {
      const name = how === 'breaks' ? 'broken_listing' : 'refused_listing';
      await api.post('data-sources', source(name));
      expect(await endedRun(api, name)).toMatchObject({ phase: 'done' });
      const before = [...(await tablesOf(name)).keys()];
      const runs = (await api.all('collection-runs')).map((run: Answer) => run.id);
      await setFaults(faults);
      try {
        await api.post('collection-runs', { dataSource: name, environment: 'production' });
        await expect
          .poll(
            async () => {
              const run = (await api.all('collection-runs')).find(
                (one: Answer) => one.dataSource === name && !runs.includes(one.id),
              );
              // Either it has ended, or it waits for its next attempt; in both cases the listing was tried.
              return run?.phase === 'failed' || (await faultHits()) > 0;
            },
            { timeout: 60_000, interval: 200 },
          )
          .toBe(true);
        expect([...(await tablesOf(name)).keys()]).toEqual(before);
      } finally {
        await setFaults([]);
      }
      // And nothing goes afterwards either.
      await endedRun(api, name, { notBefore: runs, timeoutMs: 120_000 });
      expect([...(await tablesOf(name)).keys()]).toEqual(before);
    },
    240_000,
  );

  async function faultHits(): Promise<number> {
    const response = await fetch(`${platform.oss}/_faults`, {
      headers: { authorization: `Bearer ${platform.credentials.apiToken}` },
    });
    const { hits } = (await response.json()) as { hits: number[] };
    return hits.reduce((a, b) => a + b, 0);
  }
});

describe('a table that is really gone', () => {
  it('becomes a tombstone at the next collection, and comes back when it is restored', async () => {
    await api.post('data-sources', source('tombstones'));
    await endedRun(api, 'tombstones');
    const gone = join(lake, 'wh', 'iot.db', 'visits_unaware');
    const aside = join(lake, 'aside');
    let runs = (await api.all('collection-runs')).map((run: Answer) => run.id);
    renameSync(gone, aside);
    try {
      await api.post('collection-runs', { dataSource: 'tombstones', environment: 'production' });
      expect(await endedRun(api, 'tombstones', { notBefore: runs })).toMatchObject({ phase: 'done', tablesRemoved: 1 });
      expect((await tablesOf('tombstones')).has('iot.visits_unaware')).toBe(false);
      const [tombstone] = await api.all('tables?source=tombstones&removed=only');
      expect(tombstone).toMatchObject({ database: 'iot', table: 'visits_unaware', removedAt: expect.any(String) });
    } finally {
      renameSync(aside, gone);
      rmSync(aside, { recursive: true, force: true });
    }
    runs = (await api.all('collection-runs')).map((run: Answer) => run.id);
    await api.post('collection-runs', { dataSource: 'tombstones', environment: 'production' });
    expect(await endedRun(api, 'tombstones', { notBefore: runs })).toMatchObject({ phase: 'done', tablesRemoved: 0 });
    expect((await tablesOf('tombstones')).get('iot.visits_unaware')).toMatchObject({ removedAt: null });
  }, 120_000);
});

describe('the platform itself', () => {
  it('killed in the middle of a collection goes on after a restart on the same folder (P13)', async () => {
    await setFaults([{ operations: ['GetObject'], delayMs: 50 }]);
    await api.post('data-sources', source('restarted'));
    await expect
      .poll(async () => (await api.all('collection-runs')).find((run: Answer) => run.dataSource === 'restarted')?.phase, {
        timeout: 60_000,
        interval: 50,
      })
      .toBe('collecting');
    await platform.kill();
    platform = await startPlatform({ data, buckets: { lake }, args: ['--no-sample', '--faults'] });
    api = apiOf(platform, 'sandbox');
    expect(await endedRun(api, 'restarted', { timeoutMs: 180_000 })).toMatchObject({ phase: 'done', tablesFailed: 0 });
    await expectMapEqualsWarehouse('restarted');
  }, 240_000);
});
