import type { ObjectStore } from '../object-store/object-store.ts';
import { addDoneMarks } from './done-marks.ts';
import type { Following } from './follow.ts';
import { branchPrefix, isFolderName, tablePrefix } from './layout.ts';
import { MAX_BRANCHES, MAX_ZONE_LISTS } from './limits.ts';
import { CompleteListing } from './listing.ts';
import { byPath } from './live-state.ts';
import { listRoot, probeTable, type TableLocation } from './probe.ts';
import { Problems } from './problem.ts';
import { Reading } from './reading.ts';
import { SnapshotSums } from './snapshot-sums.ts';
import type { TableMetadata, TableView } from './table-metadata.ts';
import { type Folders, readView, type ViewRequest } from './table-view.ts';
import { resolveZonePaths } from './zone-folders.ts';

export { probeTable, type TableLocation, type TableProbe } from './probe.ts';
export type { Problem, TableStatus } from './problem.ts';
export type { TableMetadata, TableView } from './table-metadata.ts';

export interface ReadTableOptions {
  /** Adds what costs many reads: live files of every snapshot and tag, done marks, folders that metadata does not tell. */
  full?: boolean;
  /**
   * Reads the newest schema and the newest snapshot, and older ones only where these cannot be read. Ids are complete all the
   * same; `schemas` and `snapshots` hold what was read. Not together with `full`.
   */
  latestOnly?: boolean;
  /** Adds commits to what an earlier read left there, instead of reading all manifests; takes what this one leaves. */
  following?: Following;
  signal?: AbortSignal | undefined;
}

/**
 * Reads all metadata of a table. Damage never throws: it becomes `problems` and `status`. Throws only when the store cannot be
 * asked: Unreachable, AccessDenied, NotFound (storage bucket).
 *
 * Cost without `full`: two LISTs (one more for each of tag, consumer, changelog and branch folders that are there), and a GET
 * for each schema, snapshot, hint, tag and consumer file, two manifest lists, each manifest of the current snapshot, and its
 * index manifest and statistics file if it has any. With `latestOnly`, one schema and one snapshot. Branches cost the same
 * again, but for the manifests.
 */
export async function readTable(
  store: ObjectStore,
  location: TableLocation,
  options: ReadTableOptions = {},
): Promise<TableMetadata> {
  const first = await readOnce(store, location, options);
  if (!first.missedCurrent) return first.metadata;
  // Expired, rolled back or written while we read: what is current now decides. Once, so that a busy table has an end.
  const now = await probeTable(store, location, first.metadata.changeToken, { signal: options.signal });
  if (now.changeToken === first.metadata.changeToken) return first.metadata;
  return (await readOnce(store, location, options)).metadata;
}

async function readOnce(
  store: ObjectStore,
  location: TableLocation,
  options: ReadTableOptions,
): Promise<{ metadata: TableMetadata; missedCurrent: boolean }> {
  const { database, table, warehousePrefix } = location;
  const { signal, full = false, latestOnly = false, following } = options;
  if (full && latestOnly) throw new Error('full and latestOnly exclude each other');
  const root = tablePrefix(warehousePrefix, database, table);
  const problems = new Problems();
  const reading = new Reading(store, problems, signal);
  const [files, folders] = await Promise.all([listRoot(store, root, { signal }), listFolders(store, root, signal)]);
  if (files.schemas.length === 0)
    return { metadata: withoutSchema(location, root, files.changeToken, problems), missedCurrent: false };
  const sums = full ? new SnapshotSums(reading, root) : undefined;
  const extra = { latestOnly, ...(sums && { sums }), ...(following && { following }) };
  const view = await readView(reading, { branch: '', root, tableRoot: root, files, folders, ...extra });
  const branches = folders.branch ? await readBranches(reading, root, extra) : new Map<string, TableView | undefined>();
  for (const each of [view, ...branches.values()]) if (each) await addFolderFacts(reading, root, each, full);
  return {
    metadata: {
      ...view,
      database,
      table,
      status: problems.status,
      problems: problems.finish(),
      changeToken: files.changeToken,
      branches,
    },
    missedCurrent: reading.missedCurrent,
  };
}

/** Reads one branch as if it were the table; undefined when there is no such branch. Costs as `readTable`. */
export async function readBranch(
  store: ObjectStore,
  location: TableLocation,
  branch: string,
  options: ReadTableOptions = {},
): Promise<TableMetadata | undefined> {
  const tableRoot = tablePrefix(location.warehousePrefix, location.database, location.table);
  const problems = new Problems();
  const reading = new Reading(store, problems, options.signal);
  if (!isFolderName(branch)) return undefined;
  const sums = options.full ? new SnapshotSums(reading, tableRoot) : undefined;
  const files = await listRoot(store, branchPrefix(tableRoot, branch), { signal: options.signal });
  if (files.schemas.length === 0 && files.snapshots.length === 0) return undefined;
  const latestOnly = options.latestOnly === true;
  const view = await readOneBranch(reading, tableRoot, branch, { latestOnly, ...(sums && { sums }) });
  if (view === undefined) return undefined;
  await addFolderFacts(reading, tableRoot, view, options.full === true);
  return {
    ...view,
    database: location.database,
    table: location.table,
    status: problems.status,
    problems: problems.finish(),
    changeToken: files.changeToken,
    branches: new Map(),
  };
}

/** What only partition folders tell: names that hold a writer's wall clock and, with `full`, done marks. */
async function addFolderFacts(reading: Reading, root: string, view: TableView, full: boolean): Promise<void> {
  await resolveZonePaths(reading, root, view, full ? Number.POSITIVE_INFINITY : MAX_ZONE_LISTS);
  view.live?.partitions.sort(byPath);
  if (full) await addDoneMarks(reading, root, view);
}

/** A folder without a schema is no table: nothing of it is given, whatever else lies there. */
function withoutSchema(location: TableLocation, root: string, changeToken: string, problems: Problems): TableMetadata {
  problems.add(
    'schema-none',
    'broken',
    `${root}schema/`,
    'expected a schema file, found none: not a table, or one that lost its schemas',
  );
  return {
    database: location.database,
    table: location.table,
    status: problems.status,
    problems: problems.finish(),
    changeToken,
    branch: '',
    type: 'table',
    schemaIds: [],
    schemas: [],
    snapshotIds: [],
    unreadableSnapshotIds: [],
    snapshots: [],
    tags: [],
    unreadableTags: [],
    consumers: new Map(),
    unreadableConsumers: [],
    changelogIds: [],
    branches: new Map(),
  };
}

/** Child folders of the table, if they fit one page; with more (partitions), every folder may be there. */
async function listFolders(
  store: ObjectStore,
  root: string,
  signal: AbortSignal | undefined,
): Promise<Folders & { branch: boolean }> {
  const page = await store.list({ prefix: root, delimiter: '/', ...(signal ? { signal } : {}) });
  const names = new Set(page.prefixes.map((prefix) => prefix.slice(root.length, -1)));
  const has = (name: string): boolean => page.nextToken !== undefined || names.has(name);
  return {
    tag: has('tag'),
    consumer: has('consumer'),
    changelog: has('changelog'),
    branch: has('branch'),
    manifest: has('manifest'),
  };
}

async function readBranches(
  reading: Reading,
  tableRoot: string,
  extra: Pick<ViewRequest, 'sums' | 'following' | 'latestOnly'>,
): Promise<Map<string, TableView | undefined>> {
  const folder = `${tableRoot}branch/`;
  const listing = await CompleteListing.read(reading.store, { prefix: folder, delimiter: '/', signal: reading.signal });
  const names = listing.items.flatMap(({ key, object }) => {
    const name = key.slice(folder.length, -1);
    return !object && name.startsWith('branch-') && name.length > 7 ? [name.slice(7)] : [];
  });
  if (names.length > MAX_BRANCHES) {
    reading.problems.add(
      'branch-over-limit',
      'degraded',
      folder,
      `expected at most ${MAX_BRANCHES} branches, found ${names.length}: the rest is not read`,
    );
  }
  const branches = new Map<string, TableView | undefined>();
  for (const name of names.slice(0, MAX_BRANCHES)) branches.set(name, await readOneBranch(reading, tableRoot, name, extra));
  return branches;
}

async function readOneBranch(
  reading: Reading,
  tableRoot: string,
  branch: string,
  extra: Pick<ViewRequest, 'sums' | 'following' | 'latestOnly'>,
): Promise<TableView | undefined> {
  const root = branchPrefix(tableRoot, branch);
  const [files, folders] = await Promise.all([
    listRoot(reading.store, root, { signal: reading.signal }),
    listFolders(reading.store, root, reading.signal),
  ]);
  if (files.schemas.length === 0) {
    reading.problems.add('branch-without-schema', 'degraded', root, 'expected a schema file in the branch, found none');
    return undefined;
  }
  return readView(reading, { branch, root, tableRoot, files, folders, ...extra });
}
