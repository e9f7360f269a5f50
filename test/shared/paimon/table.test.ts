import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { AccessDenied, Unreachable } from '../../../shared/errors.ts';
import { openDirectoryStore } from '../../../shared/object-store/directory.ts';
import { probeTable, readTable, type TableMetadata } from '../../../shared/paimon/table.ts';
import { toDocument } from '../../../shared/paimon/table-document.ts';
import { listDatabases, listTables, listTablesWithTokens } from '../../../shared/paimon/warehouse.ts';
import { fixtureWarehouses } from '../../fixtures/unpack.ts';
import { MemoryStore } from './memory-store.ts';
import { TableWriter } from './write-table.ts';

const location = { warehousePrefix: 'lake/', database: 'db', table: 't' };
const root = 'lake/db.db/t/';
let store: MemoryStore;
let table: TableWriter;

beforeEach(() => {
  store = new MemoryStore();
  table = new TableWriter(store, root).schema();
});

function codes(metadata: TableMetadata): string[] {
  return metadata.problems.map(({ severity, code }) => `${severity} ${code}`);
}

describe('live files', () => {
  test('a file moved to another level keeps its name and stays alive', async () => {
    table.commit([{ name: 'x', level: 0 }]).commit([
      { name: 'x', kind: 1, level: 0 },
      { name: 'x', level: 5 },
    ]);
    const { live, status } = await readTable(store, location);
    expect(status).toBe('ok');
    expect([live!.files, live!.records, [...live!.byLevel]]).toEqual([1, 10n, [[5, 1]]]);
  });

  test.each([
    ['partition', { partition: 'b' }],
    ['bucket', { bucket: 1 }],
    ['extra files', { extraFiles: ['x.index'] }],
    ['external path', { externalPath: 'oss://other/x' }],
  ])('a DELETE with another %s cancels nothing', async (_, other) => {
    table.commit([{ name: 'x' }, { name: 'x', ...other }]).commit([{ name: 'x', kind: 1, ...other }]);
    const { live } = await readTable(store, location);
    expect(live!.files).toBe(1);
    expect(live!.partitions).toMatchObject([{ path: 'p=a', files: 1 }]);
  });

  test('the order of ADD and DELETE does not matter', async () => {
    table
      .commit([{ name: 'y', kind: 1 }, { name: 'z' }], { totalRecordCount: 10 })
      .commit([{ name: 'y' }], { totalRecordCount: 10 });
    expect((await readTable(store, location)).live!.files).toBe(1);
  });

  test('sums stay exact beyond 2^53', async () => {
    const huge = 2n ** 62n;
    table.commit([
      { name: 'x', rows: huge, size: huge },
      { name: 'y', rows: 1, size: 3 },
    ]);
    const metadata = await readTable(store, location);
    expect(metadata.live).toMatchObject({ records: huge + 1n, size: huge + 3n, totalsMatch: true });
    expect(toDocument(metadata)).toMatchObject({ totalRecordCount: String(huge + 1n), liveFileSize: String(huge + 3n) });
  });

  test('a manifest cut between two blocks is noticed', async () => {
    table.commit(Array.from({ length: 250 }, (_, i) => ({ name: `f${i}` })));
    const [key, bytes] = [...store.objects].find(([name]) => name.endsWith('manifest/manifest-1'))!;
    // The last block, of 50 rows, and its sync marker go.
    const sync = Buffer.from(bytes).lastIndexOf('0123456789abcdef', bytes.length - 17);
    store.put(key, bytes.subarray(0, sync + 16));
    const metadata = await readTable(store, location);
    expect(codes(metadata)).toEqual(['degraded manifest-unreadable']);
    expect(metadata.live).toBeUndefined();
  });
});

describe('requests', () => {
  test('a cold read costs two listings and one GET an object', async () => {
    table.commit([{ name: 'a' }]).commit([{ name: 'b' }]);
    await readTable(store, location);
    expect(store.requests.toSorted()).toEqual(
      [
        `list ${root}s`,
        `list ${root}`,
        `get ${root}schema/schema-0`,
        `get ${root}snapshot/snapshot-1`,
        `get ${root}snapshot/snapshot-2`,
        `get ${root}snapshot/LATEST`,
        `get ${root}snapshot/EARLIEST`,
        ...['manifest-list-3', 'manifest-list-5', 'manifest-1', 'manifest-4'].map((name) => `get ${root}manifest/${name}`),
      ].sort(),
    );
  });

  test('latestOnly reads one schema and one snapshot, and the state is the same', async () => {
    table.schema(1).schema(2, { comment: 'newest' });
    table
      .commit([{ name: 'a' }])
      .commit([{ name: 'b' }])
      .commit([{ name: 'c' }]);
    const whole = await readTable(store, location);
    store.requests.length = 0;
    const latest = await readTable(store, location, { latestOnly: true });
    expect(store.requests.filter((request) => /get .*(?:schema|snapshot)-\d/.test(request)).sort()).toEqual([
      `get ${root}schema/schema-2`,
      `get ${root}snapshot/snapshot-3`,
    ]);
    const { schemas, snapshots, ...rest } = whole;
    expect(latest).toEqual({ ...rest, schemas: schemas.slice(-1), snapshots: snapshots.slice(-1) });
  });

  test('latestOnly gives the state of real tables', async () => {
    const real = openDirectoryStore(join(await fixtureWarehouses(), 'written-java-2.0.0/main'));
    let compared = 0;
    for (const database of (await listDatabases(real, '')).items) {
      for (const name of (await listTables(real, '', database)).items) {
        const place = { warehousePrefix: '', database, table: name };
        const whole = await readTable(real, place);
        if (whole.status !== 'ok' || whole.problems.length > 0) continue;
        const { schemas, snapshots, branches: _, ...rest } = whole;
        expect(await readTable(real, place, { latestOnly: true })).toMatchObject({
          ...rest,
          schemas: schemas.slice(-1),
          snapshots: snapshots.slice(-1),
        });
        compared++;
      }
    }
    expect(compared).toBeGreaterThan(50);
  });

  test('latestOnly steps back from what cannot be read, as far as needed', async () => {
    table.schema(1);
    table
      .commit([{ name: 'a' }])
      .commit([{ name: 'b' }])
      .commit([{ name: 'c' }]);
    store.put(`${root}schema/schema-1`, '{');
    store.put(`${root}snapshot/snapshot-3`, '{');
    const whole = await readTable(store, location);
    const latest = await readTable(store, location, { latestOnly: true });
    expect(latest).toEqual({ ...whole, snapshots: whole.snapshots.slice(-1) });
    expect([latest.status, latest.lastReadable!.snapshot.id, latest.schema!.id]).toEqual(['broken', 2n, 0n]);
  });

  test('manifests with DELETE entries are fetched once', async () => {
    table.commit([{ name: 'a' }, { name: 'b' }]).commit([{ name: 'a', kind: 1 }]);
    await readTable(store, location);
    const gets = store.requests.filter((request) => request.includes('/manifest/manifest-') && !request.includes('-list-'));
    expect(new Set(gets).size).toBe(gets.length);
  });

  test('a probe costs one request and sees commits, alters and rewritten snapshots', async () => {
    table.commit([{ name: 'a' }]);
    const first = await probeTable(store, location);
    store.requests.length = 0;
    expect(await probeTable(store, location, first.changeToken)).toEqual({ ...first, exists: true });
    expect(store.requests).toEqual([`list ${root}s`]);
    expect((await readTable(store, location)).changeToken).toBe(first.changeToken);
    store.put(`${root}tag/tag-x`, '{}');
    store.put(`${root}p=a/bucket-0/data-1.parquet`, 'x');
    expect((await probeTable(store, location)).changeToken).toBe(first.changeToken);

    table.commit([{ name: 'b' }]);
    const second = await probeTable(store, location);
    expect(second.changeToken).not.toBe(first.changeToken);
    store.put(`${root}snapshot/snapshot-2`, `${Buffer.from(store.objects.get(`${root}snapshot/snapshot-2`)!)} `);
    const third = await probeTable(store, location);
    expect(third.changeToken).not.toBe(second.changeToken);
    table.schema(1);
    expect((await probeTable(store, location)).changeToken).not.toBe(third.changeToken);
  });

  test('many keys that begin with s cost two requests once that is known', async () => {
    table.commit([{ name: 'a' }]);
    for (let i = 0; i < 40; i++) store.put(`${root}shop=${i}/bucket-0/data.parquet`, 'x');
    store.pageSize = 10;
    const first = await probeTable(store, location);
    expect(first.exists).toBe(true);
    store.requests.length = 0;
    expect(await probeTable(store, location, first.changeToken)).toEqual(first);
    expect(store.requests).toEqual([`list ${root}schema/`, `list ${root}snapshot/`]);
    expect((await readTable(store, location)).changeToken).toBe(first.changeToken);
  });

  test('the newest snapshot is found over all pages, by number', async () => {
    for (let i = 0; i < 12; i++) table.commit([{ name: `f${i}` }]);
    store.pageSize = 4;
    const metadata = await readTable(store, location);
    expect(metadata.latest!.id).toBe(12n);
    expect(metadata.snapshotIds).toHaveLength(12);
    expect(metadata.status).toBe('ok');
  });
});

describe('a table that changes while it is read', () => {
  test('is read again when its snapshot expired meanwhile', async () => {
    table.commit([{ name: 'a' }]);
    let changed = false;
    store.before = (request) => {
      if (changed || request !== `get ${root}manifest/manifest-list-0`) return;
      changed = true;
      table.commit([{ name: 'b' }]);
      for (const gone of ['snapshot/snapshot-1', 'manifest/manifest-list-0', 'manifest/manifest-list-2'])
        store.objects.delete(root + gone);
      store.put(`${root}snapshot/EARLIEST`, '2');
    };
    const metadata = await readTable(store, location);
    expect(changed).toBe(true);
    expect(metadata).toMatchObject({ status: 'ok', latest: { id: 2n }, live: { files: 2 } });
  });

  test('is read again when the newest snapshot was rolled back', async () => {
    table.commit([{ name: 'a' }]).commit([{ name: 'b' }]);
    let changed = false;
    store.before = (request) => {
      if (changed || request !== `get ${root}snapshot/snapshot-2`) return;
      changed = true;
      store.objects.delete(`${root}snapshot/snapshot-2`);
      store.put(`${root}snapshot/LATEST`, '1');
    };
    const metadata = await readTable(store, location);
    expect(metadata).toMatchObject({ status: 'ok', latest: { id: 1n }, live: { files: 1 } });
  });

  test('is read twice at most', async () => {
    table.commit([{ name: 'a' }]);
    store.before = (request) => {
      if (request.startsWith(`get ${root}snapshot/snapshot-`)) {
        store.objects.delete(request.slice(4));
        table.commit([{ name: 'again' }]);
      }
    };
    const metadata = await readTable(store, location);
    expect(metadata.status).toBe('broken');
    expect(store.requests.filter((request) => request === `list ${root}`)).toHaveLength(2);
  });

  test('a commit between listing and hint is no damage', async () => {
    table.commit([{ name: 'a' }]);
    let changed = false;
    store.before = (request) => {
      if (changed || request !== `get ${root}snapshot/LATEST`) return;
      changed = true;
      table.commit([{ name: 'b' }]);
    };
    expect(await readTable(store, location)).toMatchObject({ status: 'ok', problems: [], latest: { id: 2n } });
  });

  test('an old snapshot that expired since the listing is left out', async () => {
    table.commit([{ name: 'a' }]).commit([{ name: 'b' }]);
    store.before = (request) => {
      if (request === `get ${root}snapshot/snapshot-1`) store.objects.delete(`${root}snapshot/snapshot-1`);
    };
    const metadata = await readTable(store, location);
    expect(metadata.snapshotIds).toEqual([2n]);
    expect(metadata.status).toBe('ok');
  });
});

describe('what a store throws', () => {
  test.each([
    ['a refusal', new AccessDenied('the object', 'not-authorized', { permission: 'oss:GetObject' })],
    ['silence', new Unreachable('host', 'timeout')],
  ])('%s goes through from any request', async (_, error) => {
    table.commit([{ name: 'a' }]);
    await readTable(store, location);
    for (const failing of new Set(store.requests)) {
      store.before = (request) => {
        if (request === failing) throw error;
      };
      await expect(readTable(store, location)).rejects.toBe(error);
    }
  });
});

describe('names inside metadata', () => {
  test('cannot lead out of the manifest folder', async () => {
    table.commit([{ name: 'a' }], { deltaManifestList: '../../secret', indexManifest: '../x', statistics: 'a/b' });
    const metadata = await readTable(store, location);
    expect(codes(metadata)).toEqual([
      'degraded index-manifest-unreadable',
      'degraded manifest-list-unreadable',
      'degraded statistics-unreadable',
    ]);
    expect(store.requests.filter((request) => request.includes('..') || request.includes('secret'))).toEqual([]);
  });

  test('such as __proto__ are plain data', async () => {
    const names = ['__proto__', 'constructor', 'toString'];
    table.schema(0, {
      fields: names.map((name, id) => ({ id, name, type: 'STRING' })),
      partitionKeys: ['__proto__'],
      options: JSON.parse('{"__proto__": "1", "constructor": "2"}'),
    });
    table.commit([{ name: 'a' }]);
    store.put(`${root}consumer/consumer-__proto__`, '{"nextSnapshot": 3}');
    store.put(`${root}tag/tag-__proto__`, store.objects.get(`${root}snapshot/snapshot-1`)!);
    store.put(`${root}branch/branch-__proto__/schema/schema-0`, store.objects.get(`${root}schema/schema-0`)!);
    const document = JSON.parse(JSON.stringify(toDocument(await readTable(store, location))));
    expect(Object.keys(document.options)).toEqual(['__proto__', 'constructor']);
    expect(Object.keys(document.partitions[0].partition)).toEqual(['__proto__']);
    expect(Object.keys(document.consumers)).toEqual(['__proto__']);
    expect(Object.keys(document.tags)).toEqual(['__proto__']);
    expect(Object.keys(document.branches)).toEqual(['__proto__']);
    expect(({} as Record<string, unknown>)['1']).toBeUndefined();
  });

  test.each(['', '.', '..', 'a/b', 'a\0b'])('a table called %j is refused', async (name) => {
    await expect(readTable(store, { ...location, table: name })).rejects.toThrow(RangeError);
    await expect(probeTable(store, { ...location, database: name })).rejects.toThrow(RangeError);
    expect(store.requests).toEqual([]);
  });
});

describe('listings', () => {
  test('of a warehouse: databases, tables and their tokens', async () => {
    table.commit([{ name: 'a' }]);
    new TableWriter(store, 'lake/db.db/u/').schema(3);
    for (const stray of [
      'lake/README',
      'lake/not_a_database/x',
      'lake/.db/x',
      'lake/db.db/README',
      'lake/db.db/folder/x',
      'lake/db.db/half/snapshot/snapshot-1',
    ])
      store.put(stray, 'x');
    store.put('lake/db.db/lost/snapshot/snapshot-1', 'x');
    store.put('lake/db.db/lost/manifest/manifest-1', 'x');
    store.put('lake/empty.db/', '');
    store.pageSize = 2;
    expect((await listDatabases(store, 'lake/')).items).toEqual(['db', 'empty']);
    expect((await listTables(store, 'lake/', 'db')).items).toEqual(['t', 'u']);
    const { changeTokens, withoutSchema } = await listTablesWithTokens(store, 'lake/', 'db');
    expect([...changeTokens.keys()].sort()).toEqual(['t', 'u']);
    expect(changeTokens.get('t')).toBe((await probeTable(store, location)).changeToken);
    expect(withoutSchema).toEqual(['lost']);
  });

  const pages: [string, (prefix: string, token: string | undefined) => { keys: string[]; nextToken?: string }][] = [
    ['the same page again and again', (prefix) => ({ keys: [`${prefix}a.db/`], nextToken: 'same' })],
    [
      'keys that go back',
      (prefix, token) => (token ? { keys: [`${prefix}a.db/`] } : { keys: [`${prefix}b.db/`], nextToken: 'n' }),
    ],
    ['keys outside of the prefix', () => ({ keys: ['elsewhere/a.db/'] })],
  ];
  test.each(pages)('with %s are no complete listing', async (_, answer) => {
    store.list = async ({ prefix, token }) => {
      const { keys, nextToken } = answer(prefix, token);
      return { objects: [], prefixes: keys, ...(nextToken ? { nextToken } : {}) };
    };
    await expect(listDatabases(store, 'lake/')).rejects.toThrow(Unreachable);
  });
});
