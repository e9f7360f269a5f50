import type { ObjectStore } from '../object-store/object-store.ts';
import { mapConcurrently } from './concurrent.ts';
import { databaseOfFolder, databasePrefix, isFolderName } from './layout.ts';
import { CONCURRENT_READS } from './limits.ts';
import { CompleteListing } from './listing.ts';
import { listRoot } from './probe.ts';

export { CompleteListing } from './listing.ts';

export interface ListOptions {
  signal?: AbortSignal | undefined;
}

/**
 * Databases of a filesystem catalog: child folders `<name>.db` of the warehouse, in byte order of their folders. One LIST per
 * 1,000 children. `warehousePrefix` ends in `/` or is empty. Throws what the store throws, and Unreachable for contradicting pages.
 */
export async function listDatabases(
  store: ObjectStore,
  warehousePrefix: string,
  options: ListOptions = {},
): Promise<CompleteListing<string>> {
  const children = await CompleteListing.read(store, { prefix: warehousePrefix, delimiter: '/', signal: options.signal });
  return children.map((child) => {
    const name = child.object ? undefined : databaseOfFolder(child.key.slice(warehousePrefix.length));
    return name !== undefined && isFolderName(name) ? name : undefined;
  });
}

/**
 * Child folders of a database that may be tables: one LIST per 1,000, but nothing is known of their content. For a plan that
 * probes each folder anyway (`probeTable(…).exists`).
 */
export async function listTableFolders(
  store: ObjectStore,
  warehousePrefix: string,
  database: string,
  options: ListOptions = {},
): Promise<CompleteListing<string>> {
  const prefix = databasePrefix(warehousePrefix, database);
  const children = await CompleteListing.read(store, { prefix, delimiter: '/', signal: options.signal });
  return children.map((child) => {
    const name = child.object ? undefined : child.key.slice(prefix.length, -1);
    return name !== undefined && isFolderName(name) ? name : undefined;
  });
}

/** Tables of a database, and what the look that found them showed. */
export interface TableListing {
  tables: CompleteListing<string>;
  /** Change token of each table, as `probeTable` would give it. */
  changeTokens: ReadonlyMap<string, string>;
  /** Folders with snapshots and manifests but no schema: tables that lost it. Folders of half-dropped tables are not among them. */
  withoutSchema: readonly string[];
}

/** Tables of a database: child folders that hold a schema file. One LIST per 1,000 folders and one per folder. */
export async function listTables(
  store: ObjectStore,
  warehousePrefix: string,
  database: string,
  options: ListOptions = {},
): Promise<CompleteListing<string>> {
  return (await listTablesWithTokens(store, warehousePrefix, database, options)).tables;
}

/** As `listTables` at the same cost, with each table's change token: a sweep needs no further probe. */
export async function listTablesWithTokens(
  store: ObjectStore,
  warehousePrefix: string,
  database: string,
  options: ListOptions = {},
): Promise<TableListing> {
  const { signal } = options;
  const folders = await listTableFolders(store, warehousePrefix, database, options);
  const changeTokens = new Map<string, string>();
  const withoutSchema: string[] = [];
  await mapConcurrently(folders.items, CONCURRENT_READS, async (folder) => {
    const root = `${databasePrefix(warehousePrefix, database)}${folder}/`;
    const files = await listRoot(store, root, { signal });
    if (files.schemas.length > 0) changeTokens.set(folder, files.changeToken);
    else if (files.snapshots.length > 0 && (await hasManifests(store, root, signal))) withoutSchema.push(folder);
  });
  return {
    tables: folders.map((folder) => (changeTokens.has(folder) ? folder : undefined)),
    changeTokens,
    withoutSchema: withoutSchema.sort(),
  };
}

/** A drop deletes in order of names, manifests before schemas before snapshots: with manifests left it was no drop. */
async function hasManifests(store: ObjectStore, root: string, signal: AbortSignal | undefined): Promise<boolean> {
  const page = await store.list({ prefix: `${root}manifest/`, maxKeys: 2, ...(signal ? { signal } : {}) });
  return page.objects.some((object) => !object.key.endsWith('/'));
}
