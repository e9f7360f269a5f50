import type { TableName } from './collection-runs.ts';

/** How leases and wake marks name a table. A slash cannot be in either name, a dot can: `a.b` + `c` is not `a` + `b.c`. */
export function tableKeyOf({ database, table }: TableName): string {
  return `${database}/${table}`;
}

export function parseTableKey(key: string): TableName {
  const slash = key.indexOf('/');
  return { database: key.slice(0, slash), table: key.slice(slash + 1) };
}
