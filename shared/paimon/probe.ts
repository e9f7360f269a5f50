import { compareBytes } from '../object-store/byte-order.ts';
import type { ObjectInfo, ObjectStore } from '../object-store/object-store.ts';
import { idOf, tablePrefix } from './layout.ts';
import { CompleteListing } from './listing.ts';

/** One table of a warehouse. `warehousePrefix` ends in `/` or is empty. */
export interface TableLocation {
  warehousePrefix: string;
  database: string;
  table: string;
}

export interface NumberedFile {
  id: bigint;
  object: ObjectInfo;
}

/** What one look at `schema/` and `snapshot/` shows. */
export interface RootFiles {
  /** Ascending by id. */
  schemas: NumberedFile[];
  snapshots: NumberedFile[];
  hints: { latest?: ObjectInfo; earliest?: ObjectInfo };
  /** Keys in the two folders whose names do not fit. */
  strays: string[];
  /** Too many keys for one page: the folders were listed apart, and should be the next time. */
  listedApart: boolean;
  changeToken: string;
}

export interface TableProbe {
  /** A schema file is there: that alone makes a folder a table. */
  exists: boolean;
  /** Equal tokens: the newest schema and the newest snapshot are the same objects with the same content. */
  changeToken: string;
}

/**
 * Whether a table is there and whether it moved. One LIST of `<table>/s`, which shows `schema/` and `snapshot/` at once; two
 * LISTs where a previous token says that this page overflows (a thousand snapshots, or a partition column that begins with
 * `s`); one more per further thousand snapshots. Tags, branches and consumers do not show.
 */
export async function probeTable(
  store: ObjectStore,
  location: TableLocation,
  previousToken?: string,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<TableProbe> {
  const root = tablePrefix(location.warehousePrefix, location.database, location.table);
  const files = await listRoot(store, root, { previousToken, signal: options.signal });
  return { exists: files.schemas.length > 0, changeToken: files.changeToken };
}

/** Lists what decides the state of a table or branch; see `probeTable` for the cost. */
export async function listRoot(
  store: ObjectStore,
  root: string,
  options: { previousToken?: string | undefined; signal?: AbortSignal | undefined },
): Promise<RootFiles> {
  const { signal } = options;
  if (!options.previousToken?.startsWith('apart;')) {
    const firstPage = await store.list({ prefix: `${root}s`, ...(signal ? { signal } : {}) });
    if (firstPage.nextToken === undefined) {
      const whole = await CompleteListing.read(store, { prefix: `${root}s`, signal, firstPage });
      return sortFiles(
        root,
        whole.items.flatMap((item) => item.object ?? []),
        false,
      );
    }
  }
  const folders = await Promise.all(
    ['schema/', 'snapshot/'].map((folder) => CompleteListing.read(store, { prefix: root + folder, signal })),
  );
  return sortFiles(
    root,
    folders.flatMap((folder) => folder.items.flatMap((item) => item.object ?? [])),
    true,
  );
}

function sortFiles(root: string, objects: ObjectInfo[], listedApart: boolean): RootFiles {
  const files: RootFiles = { schemas: [], snapshots: [], hints: {}, strays: [], listedApart, changeToken: '' };
  for (const object of objects) {
    const [folder, name, ...deeper] = object.key.slice(root.length).split('/');
    if (name === undefined || name === '' || (folder !== 'schema' && folder !== 'snapshot')) continue;
    const id = deeper.length === 0 ? idOf(name, folder) : undefined;
    if (id !== undefined) (folder === 'schema' ? files.schemas : files.snapshots).push({ id, object });
    else if (folder === 'snapshot' && deeper.length === 0 && name === 'LATEST') files.hints.latest = object;
    else if (folder === 'snapshot' && deeper.length === 0 && name === 'EARLIEST') files.hints.earliest = object;
    else files.strays.push(object.key);
  }
  const byId = (a: NumberedFile, b: NumberedFile): number => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
  files.schemas.sort(byId);
  files.snapshots.sort(byId);
  files.strays.sort(compareBytes);
  files.changeToken = `${listedApart ? 'apart' : 'one'};${mark('schema', files.schemas.at(-1))};${mark('snapshot', files.snapshots.at(-1))}`;
  return files;
}

function mark(kind: string, newest: NumberedFile | undefined): string {
  return newest === undefined ? kind : `${kind}-${newest.id}:${newest.object.etag}`;
}
