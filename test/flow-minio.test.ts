import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { type Answer, type Api, apiOf, dataSource, endedRun } from './support/api.ts';
import { dataFolder, type Platform, removeFolder, startPlatform } from './support/platform.ts';
import { copySample, readDirectly } from './support/warehouses.ts';

// Whole collections in processes of their own: slow where the machine is busy.
vi.setConfig({ testTimeout: 300_000 });

const lake = dataFolder();
const data = dataFolder();
let platform: Platform;
let api: Api;

/** Building MinIO takes minutes on a machine that never did. */
const FIRST_START_MS = 20 * 60_000;
const start = () => startPlatform({ data, buckets: { lake }, args: ['--minio'], readyTimeoutMs: FIRST_START_MS });

beforeAll(async () => {
  copySample(join(lake, 'wh'), ['clickstream', 'functional', '销售部']);
  platform = await start();
  api = apiOf(platform);
}, FIRST_START_MS);
afterAll(async () => {
  await platform?.stop();
  removeFolder(data);
  removeFolder(lake);
});

async function expectMapEqualsWarehouse(): Promise<number> {
  const direct = await readDirectly(lake, 'wh/');
  const summaries = await api.all('tables?source=lake&environment=production&limit=100');
  expect(summaries.map((table: Answer) => `${table.database}.${table.table}`).sort()).toEqual([...direct.keys()].sort());
  for (const summary of summaries)
    expect(await api.get(`tables/${summary.id}?full=true`), summary.table).toMatchObject(
      direct.get(`${summary.database}.${summary.table}`),
    );
  return summaries.length;
}

it('collects the same from MinIO as a direct read of the directory gives', async () => {
  expect(platform.output()).toContain('MinIO behind it');
  await api.post('data-sources', dataSource(platform, 'lake', 'oss://lake/wh'));
  for (const environment of ['development', 'production'])
    expect(await endedRun(api, 'lake', { environment })).toMatchObject({ phase: 'done', tablesFailed: 0, error: null });
  expect(await expectMapEqualsWarehouse()).toBe(10);
});

it('collects the sample of the first start by itself', async () => {
  const sandbox = apiOf(platform, 'sandbox');
  expect(await endedRun(sandbox, 'sample')).toMatchObject({ phase: 'done', tablesFailed: 0, tablesFound: 29 });
  expect(await sandbox.all('tables?source=sample&limit=100')).toHaveLength(29);
});

it('goes on after a restart: objects are not copied again, an unchanged warehouse costs two requests a table', async () => {
  expect((await platform.stop()).code).toBe(0);
  platform = await start();
  api = apiOf(platform);
  expect(platform.output()).not.toContain('copying');
  const runs = (await api.all('collection-runs')).map((run: Answer) => run.id);
  await api.post('collection-runs', { dataSource: 'lake', environment: 'production' });
  const run = await endedRun(api, 'lake', { notBefore: runs });
  expect(run).toMatchObject({ phase: 'done', tablesRead: 0, tablesUnchanged: 10, tablesFailed: 0 });
  expect(run.requests).toBeLessThanOrEqual(2 * 10 + 1 + 3);
  await expectMapEqualsWarehouse();
});
