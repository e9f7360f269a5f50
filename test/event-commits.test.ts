import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { type Answer, type Api, apiOf, dataSource, endedRun } from './support/api.ts';
import { paimonClient, runPaimon } from './support/paimon-java.ts';
import { dataFolder, type Platform, removeFolder, startPlatform } from './support/platform.ts';

vi.setConfig({ testTimeout: 600_000 });

/** Paimon writes through the local endpoint; object events alone bring its commits into the ledger. */

const lake = dataFolder();
const data = dataFolder();
let client: string;
let platform: Platform;
let api: Api;

beforeAll(async () => {
  client = await paimonClient();
  mkdirSync(join(lake, 'wh'));
  platform = await startPlatform({ data, buckets: { lake }, args: ['--no-sample'] });
  api = apiOf(platform);
});
afterAll(async () => {
  await platform?.stop();
  removeFolder(data);
  removeFolder(lake);
});

const paimon = (...commands: string[][]) => {
  const { accessKeyId, accessKeySecret } = platform.credentials;
  return runPaimon(client, { url: platform.oss, keys: [accessKeyId, accessKeySecret], warehouse: 'oss://lake/wh' }, commands);
};
const tables = () => api.all('tables?source=live&environment=production&limit=100');
const commitsOf = async (name: string): Promise<Answer[]> => {
  const table = (await tables()).find((each) => each.table === name);
  return table ? api.all(`tables/${table.id}/commits?limit=100`) : [];
};
const idsOf = async (name: string) => (await commitsOf(name)).map((commit) => commit.snapshotId);
const upTo = (count: number) => Array.from({ length: count }, (_, i) => String(i + 1));
const applied = (name: string, count: number) =>
  expect.poll(() => idsOf(name), { timeout: 60_000, interval: 200 }).toEqual(upTo(count));

it('sixty commits over three tables are in the ledger once each, and add up to what Paimon reads', async () => {
  await api.post('data-sources', dataSource(platform, 'live', 'oss://lake/wh'));
  for (const environment of ['production', 'development'])
    expect(await endedRun(api, 'live', { environment })).toMatchObject({ phase: 'done' });
  const runs = (await api.all('collection-runs')).map((run) => run.id);

  await paimon(['write', 'shop', 'orders', '10'], ['write', 'shop', 'mistake', '10'], ['alter', 'shop', 'orders', 'note']);
  await applied('mistake', 10);
  const dropped = (await tables()).find((each) => each.table === 'mistake');
  const [, , orders, returns] = await paimon(
    ['drop', 'shop', 'mistake'],
    ['write', 'shop', 'orders', '20'],
    ['read', 'shop', 'orders'],
    ['write', 'shop', 'returns', '20'],
  );
  await applied('orders', 30);
  await applied('returns', 20);

  for (const [name, read] of [
    ['orders', orders!],
    ['returns', returns!],
  ] as const) {
    const { id } = (await tables()).find((each) => each.table === name);
    await expect
      .poll(async () => (await api.get(`tables/${id}?full=true`)).latestSnapshotId, { timeout: 20_000 })
      .toBe(read.snapshotId);
    const table = await api.get(`tables/${id}?full=true`);
    expect(table).toMatchObject({
      status: 'ok',
      liveFileRowCount: read.rows,
      partitionCount: read.partitions,
      latestSchemaId: read.schemaId,
      totalsMatch: true,
    });
    const commits = await commitsOf(name);
    const sum = (added: string, deleted: string) =>
      commits.reduce((total, commit) => total + Number(commit[added]) - Number(commit[deleted]), 0);
    expect(sum('rowsAdded', 'rowsDeleted')).toBe(read.rows);
    expect(sum('filesAdded', 'filesDeleted')).toBe(table.liveFileCount);
    expect(sum('bytesAdded', 'bytesDeleted')).toBe(table.liveFileSize);
  }
  // The drop is seen too, by a look that the events asked for; no other run was needed.
  await expect
    .poll(async () => (await tables()).map((each) => each.table).sort(), { timeout: 60_000 })
    .toEqual(['orders', 'returns']);
  expect((await api.all(`tables/${dropped.id}/commits?limit=100`)).map((commit) => commit.snapshotId)).toEqual(upTo(10));
  const later = (await api.all('collection-runs')).filter((run) => !runs.includes(run.id));
  expect(later.map((run) => run.cause).filter((cause) => cause !== 'event')).toEqual([]);

  const feed = (await api.all('changes?limit=1000')).filter((entry) => entry.subject.includes('/production/'));
  const fed = feed
    .filter((entry) => entry.type === 'commit.applied')
    .map((entry) => `${entry.data.table} ${entry.data.snapshotId}`);
  expect(fed).toHaveLength(60);
  expect(new Set(fed).size).toBe(60);
});
