/** Where Paimon puts what. Every key of a table is made here; names found on storage are taken apart here. */

/** The key prefix of a table: below the warehouse, ends in `/`. Refuses names that could lead elsewhere. */
export function tablePrefix(warehousePrefix: string, database: string, table: string): string {
  return `${databasePrefix(warehousePrefix, database)}${checkName(table)}/`;
}

export function databasePrefix(warehousePrefix: string, database: string): string {
  return `${warehousePrefix}${checkName(database)}.db/`;
}

/** Where a branch keeps its own schema, snapshot, tag, changelog and consumer files; manifests stay with the table. */
export function branchPrefix(tableRoot: string, branch: string): string {
  return `${tableRoot}branch/branch-${checkName(branch)}/`;
}

export const schemaKey = (root: string, id: bigint): string => `${root}schema/schema-${id}`;
export const snapshotKey = (root: string, id: bigint): string => `${root}snapshot/snapshot-${id}`;
export const changelogKey = (root: string, id: bigint): string => `${root}changelog/changelog-${id}`;
export const tagKey = (root: string, name: string): string => `${root}tag/tag-${name}`;
export const consumerKey = (root: string, id: string): string => `${root}consumer/consumer-${id}`;
export const manifestKey = (tableRoot: string, name: string): string => `${tableRoot}manifest/${name}`;
export const statisticsKey = (tableRoot: string, name: string): string => `${tableRoot}statistics/${name}`;

/** A database, table or branch name that is one folder name. */
export function isFolderName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !name.includes('\0');
}

/** A name inside metadata that must stay in its folder, such as a manifest's: no separators, bounded. */
export function isFileName(name: string): boolean {
  return name.length <= 1024 && isFolderName(name);
}

function checkName(name: string): string {
  if (!isFolderName(name)) throw new RangeError(`${JSON.stringify(name)} cannot be the name of a database, table or branch`);
  return name;
}

/** `sales.db/` → `sales`; undefined for folders that are no databases. */
export function databaseOfFolder(folder: string): string | undefined {
  return folder.endsWith('.db/') && folder.length > 4 ? folder.slice(0, -4) : undefined;
}

/** The number in `snapshot-12`; undefined where the name does not fit exactly (`snapshot-4.bak`, `snapshot-`). */
export function idOf(name: string, kind: 'schema' | 'snapshot' | 'changelog'): bigint | undefined {
  if (!name.startsWith(`${kind}-`)) return undefined;
  const digits = name.slice(kind.length + 1);
  // Java reads a long: more digits are no id.
  if (!/^(?:0|[1-9]\d{0,18})$/.test(digits)) return undefined;
  const id = BigInt(digits);
  return id <= 9223372036854775807n ? id : undefined;
}

/** Names that Paimon and its file systems leave for a moment, and marker objects. */
export function isTemporary(name: string): boolean {
  return name === '' || name.startsWith('.') || name.endsWith('.tmp');
}
