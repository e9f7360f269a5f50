import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { recordOf } from '../../../functions/collect-tables/table-record.ts';
import { openDirectoryStore } from '../../../shared/object-store/directory.ts';
import { readTable } from '../../../shared/paimon/table.ts';
import { toDocument } from '../../../shared/paimon/table-document.ts';
import { listDatabases, listTables } from '../../../shared/paimon/warehouse.ts';
import { applyTable } from '../../../shared/store/table-map.ts';
import { fixtureWarehouses, warehousesIn } from '../../fixtures/unpack.ts';
import { dataSource, type Harness, startHarness } from './harness.ts';

let api: Harness;
/** What the reader said of each table, by `<source>.<database>.<table>`. */
const read = new Map<string, Record<string, unknown>>();

beforeAll(async () => {
  api = await startHarness();
  const warehouses = await warehousesIn(await fixtureWarehouses());
  for (const [i, { root }] of warehouses.entries()) await collect(`source_${i}`, root);
});
afterAll(() => api.close());

/** Reads a whole warehouse and writes it into the map as the collector does. */
async function collect(name: string, root: string): Promise<void> {
  const made = await api.call('POST', '/data-sources', { body: dataSource(name) });
  const place = { environmentId: made.body.environments.production.id, dataSourceName: name, environment: 'production' };
  const store = openDirectoryStore(root);
  const databases = (await listDatabases(store, '')).items;
  await api.db.query('insert into catalog_database (workspace_id, environment_id, name) select $1, $2, unnest($3::text[])', [
    api.workspaces.default,
    place.environmentId,
    databases,
  ]);
  for (const database of databases)
    for (const table of (await listTables(store, '', database)).items) {
      const metadata = await readTable(store, { warehousePrefix: '', database, table });
      await api.db.database.tenant(api.workspaces.default, (tx) =>
        applyTable(tx, place, recordOf(metadata, { requests: 3, bytes: 1234 }), undefined, 1n),
      );
      read.set(`${name}.${database}.${table}`, JSON.parse(JSON.stringify(toDocument(metadata))));
    }
}

// biome-ignore lint/suspicious/noExplicitAny: answers are data under test
async function all(path: string): Promise<any[]> {
  const items = [];
  let cursor: string | null = null;
  do {
    const page = await api.call('GET', `${path}${path.includes('?') ? '&' : '?'}${cursor ? `cursor=${cursor}` : ''}`, {
      as: 'viewer',
    });
    expect(page.status, page.text).toBe(200);
    items.push(...page.body.items);
    cursor = page.body.nextCursor;
  } while (cursor);
  return items;
}

const first = async () => (await api.call('GET', '/tables?limit=1')).body.items[0];
const keyOf = (table: { dataSource: string; database: string; table: string }) =>
  `${table.dataSource}.${table.database}.${table.table}`;

describe('tables', () => {
  it('are all listed once, by name, at any page size', async () => {
    for (const limit of [97, 500]) {
      const tables = await all(`/tables?limit=${limit}`);
      expect(tables.map(keyOf).sort()).toEqual([...read.keys()].sort());
      const names = tables.map((table) => table.table);
      expect(names).toEqual([...names].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)));
    }
    expect(read.size).toBeGreaterThan(60);
  });

  it('are counted for a grid that jumps', async () => {
    const page = await api.call('GET', '/tables?offset=5&limit=3');
    expect(page.body).toMatchObject({ total: read.size });
    expect(page.body.items.map(keyOf)).toEqual((await all('/tables?limit=500')).slice(5, 8).map(keyOf));
    expect((await api.call('GET', '/tables?offset=5&cursor=abc')).status).toBe(400);
  });

  it('answer every field of the reader’s document, equal to it', async () => {
    // A quarter of them, spread over all writers: the flow test compares whole warehouses.
    for (const table of (await all('/tables?limit=500')).filter((_, i) => i % 4 === 0)) {
      const { body } = await api.call('GET', `/tables/${table.id}?full=true`, { as: 'viewer' });
      const expected = read.get(keyOf(table))!;
      for (const [field, value] of Object.entries(expected))
        expect(byPath(body[field]), `${keyOf(table)} ${field}`).toEqual(byPath(value));
      expect(body).toMatchObject({
        database: table.database,
        table: table.table,
        status: table.status,
        requests: 3,
        bytesRead: 1234,
      });
    }
  });

  it('are found by words, by the beginning of the last one, by whole names and by parts', async () => {
    const find = async (search: string) =>
      (await all(`/tables?search=${encodeURIComponent(search)}`)).map((table) => table.table);
    expect(await find('append bitm')).toContain('append_with_bitmap');
    expect(await find('append_with_bitm')).toContain('append_with_bitmap');
    expect(await find('ppend_with_bitma')).toContain('append_with_bitmap');
    expect(await find('no such table anywhere')).toEqual([]);
    expect(await find("'; drop table catalog_table; --")).toEqual([]);
    expect(await find('%')).toEqual([]);
    for (const text of ['\\', "'", '*', ':', '&', '(', '!', '<->', '中文', '_', 'a:*b'])
      expect((await api.call('GET', `/tables?search=${encodeURIComponent(text)}`)).status, text).toBe(200);
  });

  it('are narrowed by source, environment, database, status and name', async () => {
    const count = async (query: string) => (await api.call('GET', `/tables?offset=0&limit=1&${query}`)).body.total;
    expect(await count('source=source_0')).toBe([...read.keys()].filter((key) => key.startsWith('source_0.')).length);
    expect(await count('environment=development')).toBe(0);
    expect(await count('environment=production')).toBe(read.size);
    const one = await first();
    expect(await count(`database=${one.database}&table=${one.table}&source=${one.dataSource}`)).toBe(1);
    const statuses = await Promise.all(['ok', 'degraded', 'broken'].map((status) => count(`status=${status}`)));
    expect(statuses.reduce((a, b) => a + b)).toBe(read.size);
    expect((await api.call('GET', '/tables?environment=staging')).status).toBe(400);
    expect((await api.call('GET', '/tables?sort=name')).body.errors[0].path).toBe('query.sort');
  });

  it('leave tombstones out unless asked', async () => {
    const one = await first();
    await api.db.query('update catalog_table set removed_at = now() where public_id = $1', [one.id]);
    const ids = async (query: string) => (await all(`/tables?limit=500&${query}`)).map((table) => table.id);
    expect(await ids('')).not.toContain(one.id);
    expect(await ids('removed=only')).toEqual([one.id]);
    expect(await ids('removed=include')).toHaveLength(read.size);
    expect((await api.call('GET', `/tables/${one.id}`)).body.removedAt).not.toBeNull();
    await api.db.query('update catalog_table set removed_at = null');
  });
});

describe('parts of a table', () => {
  const idOf = async (table: string) => (await all(`/tables?table=${table}`))[0].id;
  const part = (id: string, rest: string) => all(`/tables/${id}/${rest}`);

  it('are snapshots, schemas, partitions, tags and branches, each in pages', async () => {
    const id = await idOf('pk_btree_partitioned_e2e');
    const document = read.get(keyOf((await api.call('GET', `/tables/${id}`)).body))!;
    expect(await part(id, 'snapshots?limit=2')).toEqual(document.snapshots);
    expect((await part(id, 'schemas')).length).toBe((document.schemaIds as unknown[]).length);
    expect(byPath(await part(id, 'partitions?limit=1'))).toEqual(byPath(document.partitions));
    expect((await part(id, 'tags')).map((tag) => tag.name)).toEqual(Object.keys(document.tags as object));
    expect((await part(id, 'branches')).map((branch) => branch.name)).toEqual(['fallback']);
    expect(byPath(await part(id, 'partitions?branch=fallback'))).toEqual(
      byPath((document.branches as Record<string, { partitions: unknown }>).fallback!.partitions),
    );
    expect(await part(id, 'snapshots?branch=fallback')).toEqual(
      (document.branches as Record<string, { snapshots: unknown }>).fallback!.snapshots,
    );
    expect((await api.call('GET', `/tables/${id}/snapshots?branch=__proto__`)).status).toBe(404);
    const counted = await api.call('GET', `/tables/${id}/partitions?offset=0&limit=1&prefix=pt`);
    expect(counted.body.total).toBe((document.partitions as unknown[]).length);
  });
});

describe('search', () => {
  it('puts exact names first, and finds columns when tables are few', async () => {
    const { body } = await api.call('GET', '/search?q=append_with_bitmap', { as: 'viewer' });
    expect(body.items[0]).toMatchObject({ table: 'append_with_bitmap', matched: 'table' });
    const columns = await api.call('GET', '/search?q=movieId');
    expect(columns.body.items[0]).toMatchObject({ table: 'paimon_partitioned', matched: 'columns', matchedColumns: ['movieId'] });
    expect((await api.call('GET', '/search?q=%20')).body).toMatchObject({ items: [], total: 0 });
  });
});

describe('databases and changes', () => {
  it('list each database with its number of tables', async () => {
    const databases = await all('/databases?limit=3');
    expect(databases.reduce((sum, database) => sum + database.tableCount, 0)).toBe(read.size);
  });

  it('number every change once, in order', async () => {
    const changes = await all('/changes?limit=50');
    expect(changes.map((change) => Number(change.sequence))).toEqual(changes.map((_, i) => i + 1));
    expect(new Set(changes.map((change) => change.id)).size).toBe(changes.length);
    expect((await api.call('GET', `/changes?after=${changes.length}`)).body).toEqual({ items: [], nextCursor: null });
  });
});

/** Lists of partitions are compared by what is in them: the reader and the database sort by different keys. */
function byPath(value: unknown): unknown {
  if (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((item) => typeof item === 'object' && item !== null && 'hex' in item)
  )
    return [...value].sort((a, b) => (a.hex < b.hex ? -1 : 1));
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, byPath(item)]));
  return value;
}
