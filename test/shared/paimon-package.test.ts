import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import * as source from '../../shared/paimon-package.ts';
import { fixtureWarehouses } from '../fixtures/unpack.ts';

test('the reader stands by itself under its public name', async () => {
  const warehouse = join(await fixtureWarehouses(), 'written-java-2.0.0/main');
  // In a process of its own, by the package's name, as users have it: the built file and nothing of this checkout's sources.
  const program = `
    const { listDatabases, listTables, openDirectoryStore, readTable, schemaTimeline, toDocument, ...rest } = await import('paimon-datamap/paimon');
    const store = openDirectoryStore(${JSON.stringify(warehouse)});
    const tables = (await listTables(store, '', 'sales')).items;
    const table = await readTable(store, { warehousePrefix: '', database: 'sales', table: 'accounts_large' });
    console.log(JSON.stringify({
      databases: (await listDatabases(store, '')).items, tables: tables.length, status: table.status, files: table.live.files,
      steps: schemaTimeline(table).length, document: Object.keys(toDocument(table)).length, rest: Object.keys(rest).sort(),
    }));`;
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
  const store = source.openDirectoryStore(warehouse);
  const table = await source.readTable(store, { warehousePrefix: '', database: 'sales', table: 'accounts_large' });
  expect(JSON.parse(output)).toEqual({
    databases: (await source.listDatabases(store, '')).items,
    tables: (await source.listTables(store, '', 'sales')).items.length,
    status: 'ok',
    files: table.live!.files,
    steps: table.schemas.length,
    document: Object.keys(source.toDocument(table)).length,
    rest: [
      'AccessDenied',
      'CompleteListing',
      'NotFound',
      'Unreachable',
      'listTablesWithTokens',
      'metered',
      'newMeter',
      'probeTable',
      'readBranch',
      'readFileDetails',
      'schemaChanges',
    ],
  });
});

test('types come with it', () => {
  const entry = JSON.parse(readFileSync('package.json', 'utf8')).exports['./paimon'];
  expect(existsSync(entry.types)).toBe(true);
});
