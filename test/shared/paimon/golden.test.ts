import { describe, expect, test } from 'vitest';
import { openDirectoryStore } from '../../../shared/object-store/directory.ts';
import { readTable } from '../../../shared/paimon/table.ts';
import type { PlainObject } from '../../../shared/paimon/table-document.ts';
import { listDatabases, listTables } from '../../../shared/paimon/warehouse.ts';
import { fixtureWarehouses, warehousesIn } from '../../fixtures/unpack.ts';
import { compareDocument, printed, readExpected } from './expected.ts';

/** Every warehouse of the fixtures, or of DATAMAP_WAREHOUSES where that is set: every value of every expected.json. */
const folders = [
  ...new Set([await fixtureWarehouses(), ...(process.env.DATAMAP_WAREHOUSES ? [process.env.DATAMAP_WAREHOUSES] : [])]),
];
const warehouses = (await Promise.all(folders.map(warehousesIn))).flat();
const isDamaged = (name: string): boolean => name.endsWith('damaged');

/** Without a schema file a folder is no table: what it once was cannot be known (test/fixtures/README.md). */
const UNKNOWABLE: Record<string, readonly string[]> = { schema_folder_missing: ['latestSchemaId', 'schemaIds', 'fieldCount'] };

test('there are warehouses to compare', () => {
  expect(warehouses.length).toBeGreaterThanOrEqual(15);
});

describe.each(warehouses.filter(({ name }) => !isDamaged(name)))('$name', ({ root, expectedFile }) => {
  test('every table is found, and nothing else', async () => {
    const expected = await readExpected(expectedFile);
    const store = openDirectoryStore(root);
    for (const database of (await listDatabases(store, '')).items) {
      const tables = await listTables(store, '', database);
      expect(new Set(tables.items)).toEqual(new Set(Object.keys(expected.databases[database] ?? {})));
    }
    const found = new Set((await listDatabases(store, '')).items);
    // An empty database is an empty folder, which copies of a warehouse leave out.
    const withTables = Object.keys(expected.databases).filter(
      (database) => Object.keys(expected.databases[database]!).length > 0,
    );
    expect([...found]).toEqual(expect.arrayContaining(withTables));
  });

  test('every value of every table', async () => {
    const expected = await readExpected(expectedFile);
    const store = openDirectoryStore(root);
    const wrong: string[] = [];
    let values = 0;
    for (const [database, tables] of Object.entries(expected.databases)) {
      for (const [table, document] of Object.entries(tables)) {
        const metadata = await readTable(store, { warehousePrefix: '', database, table }, { full: true });
        const comparison = compareDocument(document, printed(metadata));
        values += comparison.values;
        for (const difference of comparison.differences) wrong.push(`${database}.${table} ${difference}`);
        if (metadata.status !== 'ok') wrong.push(`${database}.${table} is ${metadata.status}: ${metadata.problems[0]?.message}`);
      }
    }
    expect(wrong).toEqual([]);
    expect(values).toBeGreaterThan(30 * Object.values(expected.databases).flatMap(Object.keys).length);
  });
});

describe.each(warehouses.filter(({ name }) => isDamaged(name)))('$name', async ({ root, expectedFile }) => {
  const expected = await readExpected(expectedFile);
  const store = openDirectoryStore(root);
  const cases = Object.entries(expected.databases).flatMap(([database, tables]) =>
    Object.entries(tables).map(([table, of]) => ({ database, table, of })),
  );

  test.each(cases)('$table', async ({ database, table, of }) => {
    const metadata = await readTable(store, { warehousePrefix: '', database, table }, { full: true });
    const document = printed(metadata);
    expect(metadata.status).toBe(of.expectedStatus);
    const wanted = { ...(of.expected as PlainObject) };
    for (const name of UNKNOWABLE[table] ?? []) {
      expect(of.known).toEqual([]);
      delete wanted[name];
    }
    expect(compareDocument(wanted, document).differences).toEqual([]);
    if (of.truth !== undefined) expect(compareDocument(of.truth, document).differences).toEqual([]);
    if (metadata.status !== 'ok') {
      const worst = metadata.problems[0]!;
      expect(worst.severity).toBe(metadata.status);
      expect(worst.object).toMatch(
        new RegExp(`^${database}\\.db/${table}/(?:schema|snapshot|manifest|tag|consumer|branch|statistics)/`),
      );
      expect(worst.message).toMatch(/expected .*found /);
    }
  });
});
