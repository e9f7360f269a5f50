import { cpSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { openDirectoryStore } from '../../shared/object-store/directory.ts';
import { readTable } from '../../shared/paimon/table.ts';
import { toDocument } from '../../shared/paimon/table-document.ts';
import { listDatabases, listTablesWithTokens } from '../../shared/paimon/warehouse.ts';
import type { Answer } from './api.ts';

/** Copies databases of the sample (all, or those named) into a warehouse folder of its own. */
export function copySample(into: string, databases?: readonly string[]): void {
  mkdirSync(into, { recursive: true });
  for (const name of readdirSync('sample/warehouse'))
    if (!databases || databases.includes(name.replace(/\.db$/, '')))
      cpSync(join('sample/warehouse', name), join(into, name), { recursive: true });
}

/** What a direct read of the warehouse at `prefix` of a bucket's folder says of every table, by `database.table`. */
export async function readDirectly(bucketFolder: string, prefix: string): Promise<Map<string, Answer>> {
  const store = openDirectoryStore(bucketFolder);
  const documents = new Map<string, Answer>();
  for (const database of (await listDatabases(store, prefix)).items) {
    const { tables, withoutSchema } = await listTablesWithTokens(store, prefix, database);
    for (const table of [...tables.items, ...withoutSchema]) {
      const metadata = await readTable(store, { warehousePrefix: prefix, database, table });
      documents.set(`${database}.${table}`, JSON.parse(JSON.stringify(toDocument(metadata))));
    }
  }
  return documents;
}
