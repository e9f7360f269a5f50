import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { permittedEndpoints } from '../../../shared/data-source-rules/endpoint.ts';
import { startDirectoryOss, type TestOss } from '../../support/oss.ts';
import { dataSource, type Harness, startHarness, withKeys } from './harness.ts';

let api: Harness;
let oss: TestOss;
let keys: Record<string, string>;
beforeAll(async () => {
  oss = await startDirectoryOss();
  api = await startHarness();
  api.deps.settings = { ...api.deps.settings, permitted: permittedEndpoints(oss.url) };
  for (const folder of ['teams/sales/shop.db/orders/schema', 'teams/sales/shop.db/orders/snapshot', 'teams/raw/files'])
    mkdirSync(join(oss.directory, folder), { recursive: true });
  writeFileSync(join(oss.directory, 'teams/sales/shop.db/orders/schema/schema-0'), '{}');
  writeFileSync(join(oss.directory, 'teams/sales/shop.db/orders/snapshot/snapshot-1'), '{}');
  writeFileSync(join(oss.directory, 'teams/raw/files/a.csv'), 'a');
  keys = {
    accessMode: 'accessKey',
    accessKeyId: oss.keys.accessKeyId,
    accessKeySecret: oss.keys.accessKeySecret.reveal(),
    region: 'cn-hangzhou',
    endpoint: oss.url,
  };
});
afterAll(async () => {
  await api.close();
  await oss.close();
});

it('leads from buckets to a marked warehouse without saving anything', async () => {
  const buckets = await api.call('POST', '/folders', { as: 'operator', body: keys });
  expect(buckets.status, buckets.text).toBe(200);
  expect(buckets.body.items).toMatchObject([{ name: 'lake', kind: 'bucket', location: 'oss://lake' }]);
  const folders = await api.call('POST', '/folders', { as: 'operator', body: { ...keys, bucket: 'lake', prefix: 'teams/' } });
  expect(folders.body.items.map(({ name, kind }: { name: string; kind: string }) => [name, kind])).toEqual([
    ['raw', 'folder'],
    ['sales', 'warehouse'],
  ]);
  expect(folders.body.items[1].location).toBe('oss://lake/teams/sales');
  expect(buckets.text + folders.text).not.toContain(keys.accessKeySecret);
});

it('uses the stored secret of a saved environment, and only where it was entered for', async () => {
  const environments = { development: withKeys(keys), production: withKeys({ ...keys, warehouse: 'oss://lake/teams/sales' }) };
  const saved = await api.call('POST', '/data-sources', { body: dataSource('browsed', { environments }) });
  expect(saved.status, saved.text).toBe(201);
  const page = await api.call(
    'GET',
    '/data-sources/browsed/environments/production/folders?bucket=lake&prefix=teams/sales/shop.db/',
    {
      as: 'operator',
    },
  );
  expect(page.body, page.text).toMatchObject({ items: [{ name: 'orders', kind: 'table' }], here: 'database' });
  const { accessKeySecret: _, ...withoutSecret } = keys;
  const at = { ...withoutSecret, dataSource: 'browsed', environment: 'production', bucket: 'lake' };
  expect((await api.call('POST', '/folders', { body: at })).status).toBe(200);
  const elsewhere = await api.call('POST', '/folders', { body: { ...at, endpoint: 'oss-cn-hangzhou.aliyuncs.com' } });
  expect(elsewhere).toMatchObject({ status: 400, body: { errors: [{ path: 'accessKeySecret' }] } });
});

it('says what the storage refused and what to do', async () => {
  const wrong = await api.call('POST', '/folders', { body: { ...keys, accessKeySecret: 'marker-secret-31', bucket: 'lake' } });
  expect(wrong).toMatchObject({ status: 422, body: { code: 'access-key-secret-wrong' } });
  expect(wrong.body.remedy.length).toBeGreaterThan(10);
  expect(wrong.text).not.toContain('marker-secret');
  const absent = await api.call('POST', '/folders', { body: { ...keys, bucket: 'nothing-here' } });
  expect(absent).toMatchObject({ status: 422, body: { code: 'bucket-not-found' } });
});

it('T1: connects to no host that is not an endpoint', async () => {
  for (const endpoint of [
    'http://169.254.169.254',
    'http://127.0.0.1:1',
    'localhost',
    'example.com@100.100.100.200',
    'oss-cn-hangzhou.aliyuncs.com.evil.org:80',
  ])
    expect((await api.call('POST', '/folders', { body: { ...keys, endpoint, bucket: 'lake' } })).status, endpoint).toBe(400);
});
