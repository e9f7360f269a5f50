import { relative } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { fixtureWarehouses, warehousesIn } from './fixtures/unpack.ts';
import { type Answer, type Api, apiOf, dataSource, endedRun } from './support/api.ts';
import { dataFolder, type Platform, removeFolder, startPlatform } from './support/platform.ts';
import { readDirectly } from './support/warehouses.ts';

// Hundreds of tables of all writers, each read by function processes and once directly.
vi.setConfig({ testTimeout: 900_000 });

const data = dataFolder();
let folder: string;
let platform: Platform;
let api: Api;
let warehouses: { source: string; prefix: string }[];

beforeAll(async () => {
  folder = await fixtureWarehouses();
  warehouses = (await warehousesIn(folder)).map(({ root }) => {
    const path = relative(folder, root);
    return { source: `w_${path.replace(/[^A-Za-z0-9]+/g, '_')}`, prefix: `${path}/` };
  });
  platform = await startPlatform({ data, buckets: { dev: folder }, args: ['--no-sample'] });
  api = apiOf(platform, 'sandbox');
});
afterAll(async () => {
  await platform?.stop();
  removeFolder(data);
});

it('holds every table of every fixture warehouse as a direct read sees it, damaged ones too', async () => {
  expect(warehouses.length).toBeGreaterThan(10);
  for (const { source, prefix } of warehouses) {
    const { environments, ...rest } = dataSource(platform, source, `oss://dev/${prefix.slice(0, -1)}`) as Answer;
    await api.post('data-sources', { ...rest, environments: { production: environments.production } });
  }
  let tables = 0;
  for (const { source, prefix } of warehouses) {
    const run = await endedRun(api, source, { timeoutMs: 600_000 });
    expect(run, source).toMatchObject({ phase: 'done', error: null });
    const direct = await readDirectly(folder, prefix);
    const map = new Map<string, Answer>();
    for (const summary of await api.all(`tables?source=${source}&limit=100`))
      map.set(`${summary.database}.${summary.table}`, await api.get(`tables/${summary.id}?full=true`));
    expect([...map.keys()].sort(), source).toEqual([...direct.keys()].sort());
    for (const [name, document] of direct) {
      expect(map.get(name), `${source} ${name}`).toMatchObject(document);
      // Whatever is not wholly read says why.
      if (map.get(name).status !== 'ok') expect(map.get(name).problems, name).not.toHaveLength(0);
    }
    tables += direct.size;
  }
  expect(tables).toBeGreaterThan(300);
});
