/**
 * Pure: an object's key → which table it belongs to and what kind of object it is. Position decides, because users may
 * rename data files. Source: the layout of a Paimon filesystem catalog.
 */

export type ObjectKind =
  | 'schema'
  | 'snapshot'
  | 'hint'
  | 'tag'
  | 'changelog'
  | 'consumer'
  | 'manifest'
  | 'index'
  | 'statistics'
  | 'service'
  | 'iceberg'
  | 'partition-done'
  | 'data'
  | 'temporary'
  | 'marker'
  | 'other';

export interface ObjectIdentity {
  database: string;
  table: string;
  /** Undefined is the main branch, or a kind that branches share. */
  branch?: string;
  kind: ObjectKind;
}

/** What an object of a kind means to the map. */
export type Effect =
  /** Schemas and snapshots: a probe of the table shows whether anything is new. */
  | 'probe'
  /** Not to be seen by a probe: tags, and everything of a branch. */
  | 'reread'
  /**
   * Manifests and data come before the commit and may belong to one that fails; statistics and indexes are named by a
   * snapshot; consumers are rewritten at every checkpoint of every reader, and sweeps are enough for them.
   */
  | 'none';

export function effectOf({ kind, branch }: ObjectIdentity): Effect {
  switch (kind) {
    case 'schema':
    case 'snapshot':
    case 'hint':
      return branch === undefined ? 'probe' : 'reread';
    case 'tag':
      return 'reread';
    default:
      return 'none';
  }
}

/** `warehousePrefix` ends in `/` or is empty. Undefined for keys outside any table of that warehouse. Never throws. */
export function identifyObject(key: string, warehousePrefix: string): ObjectIdentity | undefined {
  if (!key.startsWith(warehousePrefix)) return undefined;
  const [folder, table, ...rest] = key.slice(warehousePrefix.length).split('/');
  if (!folder?.endsWith('.db') || folder === '.db') return undefined;
  const database = folder.slice(0, -'.db'.length);
  // A table is a folder: something must lie below it.
  if (!table || rest.length === 0 || !isName(table) || !isName(database)) return undefined;
  if (rest[0] !== 'branch') return { database, table, kind: kindOf(rest) };
  // Names may hold any character but a slash, line breaks too.
  const branch = rest[1]?.startsWith('branch-') ? rest[1].slice('branch-'.length) : '';
  if (branch === '' || rest.length < 3) return { database, table, kind: rest.at(-1) === '' ? 'marker' : 'other' };
  return { database, table, branch, kind: kindOf(rest.slice(2)) };
}

function isName(name: string): boolean {
  return name !== '.' && name !== '..';
}

function kindOf(path: readonly string[]): ObjectKind {
  const [folder, ...below] = path;
  const base = path.at(-1)!;
  if (base === '') return 'marker';
  if (base.startsWith('.') || base.endsWith('.tmp') || path.includes('_temporary')) return 'temporary';
  const isDirect = below.length === 1;
  switch (below.length === 0 ? undefined : folder) {
    case 'schema':
      return isDirect && /^schema-\d+$/.test(base) ? 'schema' : 'other';
    case 'snapshot':
      if (!isDirect) return 'other';
      return /^snapshot-\d+$/.test(base) ? 'snapshot' : isHint(base) ? 'hint' : 'other';
    case 'tag':
      return isDirect && base.startsWith('tag-') && base !== 'tag-' ? 'tag' : 'other';
    case 'changelog':
      return 'changelog';
    case 'consumer':
      return 'consumer';
    case 'manifest':
      return 'manifest';
    case 'index':
      return 'index';
    case 'statistics':
      return 'statistics';
    case 'service':
      return 'service';
    case 'metadata':
      return 'iceberg';
  }
  if (path.some((part, index) => index < path.length - 1 && /^bucket-(\d+|postpone)$/.test(part))) return 'data';
  return base === '_SUCCESS' ? 'partition-done' : 'other';
}

function isHint(name: string): boolean {
  return name === 'LATEST' || name === 'EARLIEST';
}
