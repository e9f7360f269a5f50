import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  type BrowsePlace,
  environmentIdentity,
  listAccountBuckets,
  openBrowseStore,
} from '../../shared/credentials/environment-store.ts';
import { AccessDenied, InvalidInput, NotFound } from '../../shared/errors.ts';
import { browseFolders, listBuckets, MAX_FOLDERS_PER_PAGE } from '../../shared/folder-browser.ts';
import { type ConnectivityScene, connectivityScene } from '../support/connectivity.ts';

let scene: ConnectivityScene;
let place: BrowsePlace;

beforeAll(async () => {
  scene = await connectivityScene();
  scene.copy('research.db', 'lake/wh/research.db');
  for (let i = 0; i < 60; i++) scene.put(`many/folder-${String(i).padStart(2, '0')}/x/file`, 'x');
  scene.put('many/folder-00/a.db/t/schema/schema-0', '{}');
  scene.put('many/other/file', 'x');
  scene.put('lake/hollow/a.db/.keep', '');
  const config = scene.environment();
  place = {
    region: 'cn-hangzhou',
    endpoint: scene.oss.url,
    identity: await environmentIdentity(config, scene.seal(config), scene.access.settings),
  };
});
afterEach(() => scene.oss.setFaults([]));
afterAll(() => scene.close());

const browse = (prefix: string, more: object = {}) =>
  browseFolders(openBrowseStore(place, 'lake', scene.access), { bucket: 'lake', prefix, ...more });

describe('folders', () => {
  test('are marked with what they look like', async () => {
    const { folders, here } = await browse('lake/');
    expect(folders).toEqual([
      { name: 'hollow', prefix: 'lake/hollow/', location: 'oss://lake/lake/hollow', kind: 'folder' },
      { name: 'wh', prefix: 'lake/wh/', location: 'oss://lake/lake/wh', kind: 'warehouse' },
    ]);
    expect(here).toBe('folder');
    expect((await browse('lake/wh/')).folders).toMatchObject([{ name: 'research.db', kind: 'database' }]);
    expect((await browse('lake/wh/')).here).toBe('warehouse');
    const tables = await browse('lake/wh/research.db/');
    expect(tables.here).toBe('database');
    expect(new Set(tables.folders.map(({ kind }) => kind))).toEqual(new Set(['table']));
    expect((await browse(tables.folders[0]!.prefix)).here).toBe('table');
  });

  test('come in pages that together hold each once', async () => {
    const names: string[] = [];
    let token: string | undefined;
    do {
      const page = await browse('many/', { limit: 25, ...(token && { token }) });
      names.push(...page.folders.map(({ name }) => name));
      token = page.nextToken;
    } while (token);
    expect(names).toHaveLength(61);
    expect(new Set(names).size).toBe(61);
  });

  test('are searched by the beginning of their name', async () => {
    expect((await browse('many/', { search: 'folder-0' })).folders.map(({ name }) => name)).toHaveLength(10);
    expect((await browse('many/', { search: 'oth' })).folders.map(({ name }) => name)).toEqual(['other']);
    expect((await browse('many/', { search: 'x' })).folders).toEqual([]);
  });

  test('cost a bounded number of requests a page, whatever limit is asked for', async () => {
    scene.oss.clearRequests();
    const page = await browse('many/', { limit: 1_000_000 });
    expect(page.folders.length).toBe(MAX_FOLDERS_PER_PAGE);
    expect(page.requests).toBeLessThanOrEqual(1 + 2 * MAX_FOLDERS_PER_PAGE);
    expect(scene.oss.requests()).toHaveLength(page.requests);
  });

  test('that may not be looked into are unknown, and the others are still told', async () => {
    scene.oss.setFaults([{ operations: ['ListObjectsV2'], prefix: 'lake/hollow/', code: 'AccessDenied', status: 403 }]);
    expect((await browse('lake/')).folders.map(({ kind }) => kind)).toEqual(['unknown', 'warehouse']);
  });

  test('of a place that may not be listed are an error that names the permission', async () => {
    scene.oss.setFaults([{ operations: ['ListObjectsV2'], code: 'AccessDenied', status: 403 }]);
    await expect(browse('lake/')).rejects.toMatchObject({ constructor: AccessDenied, detail: { permission: 'oss:ListObjects' } });
  });

  test('of a bucket that is not there are an error', async () => {
    const store = openBrowseStore(place, 'nosuchlake', scene.access);
    await expect(browseFolders(store, { bucket: 'nosuchlake', prefix: '' })).rejects.toThrow(NotFound);
  });

  test.each([{ prefix: 'lake' }, { prefix: '/lake/' }, { search: 'a/b' }, { token: 'nonsense' }, { token: 'e30' }])(
    'are not asked for with %o',
    async (wrong) => {
      await expect(browse('lake/', wrong)).rejects.toThrow(InvalidInput);
    },
  );
});

describe('storage buckets', () => {
  const ask = (request: object) => listAccountBuckets(place, request, scene.access);

  test('are listed with their region', async () => {
    const { buckets } = await listBuckets(ask, { region: 'cn-hangzhou' });
    expect(buckets).toMatchObject([{ name: 'lake', region: 'cn-hangzhou', isInRegion: true }]);
    expect((await listBuckets(ask, { region: 'cn-beijing' })).buckets).toMatchObject([{ isInRegion: false }]);
    expect((await listBuckets(ask, { region: 'cn-hangzhou', search: 'x' })).buckets).toEqual([]);
  });

  test('that the identity may not list are an error that names the permission', async () => {
    scene.oss.setFaults([{ operations: ['ListBuckets'], code: 'AccessDenied', status: 403 }]);
    await expect(listBuckets(ask, { region: 'cn-hangzhou' })).rejects.toMatchObject({
      constructor: AccessDenied,
      detail: { permission: 'oss:ListBuckets' },
    });
  });

  test('and folders can be seen with a role, content cannot', async () => {
    const identity = await environmentIdentity(scene.withRole(), undefined, scene.access.settings);
    const asRole = { ...place, identity };
    expect((await listAccountBuckets(asRole, {}, scene.access)).buckets).toHaveLength(1);
    const store = openBrowseStore(asRole, 'lake', scene.access);
    expect((await browseFolders(store, { bucket: 'lake', prefix: 'lake/' })).folders).toHaveLength(2);
    await expect(store.get('lake/wh/research.db/invoices_evolved/schema/schema-0')).rejects.toThrow(AccessDenied);
  });
});
