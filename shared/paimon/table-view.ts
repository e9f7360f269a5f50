import { arityOf } from './binary-row.ts';
import { readContainer } from './container.ts';
import type { Doubt, Following } from './follow.ts';
import { checkHints, readChangelogIds, readConsumers, readSchemas, readSnapshots, readTags } from './history.ts';
import { readIndexManifest } from './index-manifest.ts';
import { isFileName, manifestKey, statisticsKey } from './layout.ts';
import { MAX_MANIFEST_BYTES } from './limits.ts';
import { LiveFiles } from './live-files.ts';
import { describeLive, manifestsOf, readLiveFiles } from './live-state.ts';
import { describeSums } from './live-sums.ts';
import { partitionNaming } from './partition-path.ts';
import type { RootFiles } from './probe.ts';
import { type Reading, textOf } from './reading.ts';
import { type Schema, tableTypeOf } from './schema.ts';
import type { Snapshot } from './snapshot.ts';
import type { SnapshotSums } from './snapshot-sums.ts';
import { decodeStatistics } from './statistics.ts';
import type { LiveState, TableView } from './table-metadata.ts';

/** Which folders a table or branch has; all may be there where it is not known. */
export interface Folders {
  tag: boolean;
  consumer: boolean;
  changelog: boolean;
  /** Manifests show that there were commits, even when no snapshot is left. */
  manifest: boolean;
}

export interface ViewRequest {
  branch: string;
  /** Where schemas, snapshots, tags and consumers lie. */
  root: string;
  /** Where manifests and statistics lie: the table's root for branches too. */
  tableRoot: string;
  files: RootFiles;
  folders: Folders;
  /** Given with `full`: live files of every snapshot and tag. */
  sums?: SnapshotSums;
  /** Of schemas and snapshots, only the newest. */
  latestOnly?: boolean;
  /** What an earlier read left. */
  following?: Following;
}

/** Reads a table or a branch. Throws only what the store throws. */
export async function readView(reading: Reading, request: ViewRequest): Promise<TableView> {
  const { root, tableRoot, files, folders, sums, latestOnly } = request;
  const { problems } = reading;
  for (const key of files.strays) {
    problems.add('stray-name', 'warning', key, 'expected the name of a schema or snapshot, found another: left alone');
  }
  const [schemas, history, tags, consumers, changelogIds] = await Promise.all([
    readSchemas(reading, root, files.schemas, latestOnly),
    readSnapshots(reading, root, files.snapshots, latestOnly),
    folders.tag ? readTags(reading, root) : { tags: [], unreadable: [] },
    folders.consumer ? readConsumers(reading, root) : { consumers: new Map<string, bigint>(), unreadable: [] },
    folders.changelog ? readChangelogIds(reading, root) : [],
  ]);
  await checkHints(reading, root, files, history.ids);

  const schemaIds = files.schemas.map((file) => file.id);
  const latestSchemaId = schemaIds.at(-1);
  const schema = schemas.at(-1);
  if (schemas.length === 0) {
    problems.add(
      'schema-none',
      'broken',
      `${root}schema/`,
      schemaIds.length === 0 ? 'expected a schema file, found none: not a table' : 'expected a readable schema, found none',
    );
  }
  const newestId = history.ids.at(-1);
  const newest = history.readable.at(-1);
  const latest = newest?.id === newestId ? newest : undefined;
  checkSchemaOfSnapshots(reading, root, schemas, schemaIds, history.readable, latest);

  const naming = schema && partitionNaming(schema);
  if (schema && naming === undefined && schema.partitionKeys.length > 0) {
    problems.add(
      'schema-partition-untyped',
      'degraded',
      `${root}schema/schema-${schema.id}`,
      `expected known types for the partition columns, found ${schema.partitionKeys.map((key) => `${key} ${schema.fields.find((field) => field.name === key)?.type.text ?? '(no such column)'}`).join(', ')}: values cannot be decoded`,
    );
  }
  const undecodable = (hex: string, error: unknown): void =>
    problems.addThrown(
      'partition',
      'degraded',
      `${root}schema/schema-${schema?.id ?? ''} (_PARTITION ${hex.slice(0, 200)})`,
      error,
    );
  const describe = (live: LiveFiles, snapshot: Snapshot | undefined): LiveState =>
    describeLive(live, naming, snapshot, undecodable);

  const followed =
    latest &&
    (await request.following?.sumsOf(reading, tableRoot, {
      branch: request.branch,
      snapshots: history.readable,
      doubt: followingDoubt(schema?.id === latestSchemaId, history.unreadable),
    }));
  const manifests = latest && !followed ? await manifestsOf(reading, tableRoot, latest, 'degraded') : undefined;
  const [live, index, statistics] = await Promise.all([
    manifests && readLiveFiles(reading, tableRoot, manifests, 'degraded'),
    latest && readIndex(reading, tableRoot, latest),
    latest && readStatistics(reading, tableRoot, latest),
  ]);
  const state = latest && followed ? describeSums(followed, naming, latest, undecodable) : live && describe(live, latest);
  if (latest && manifests && live && state) request.following?.keep(request.branch, latest, state, manifests);
  if (state?.totalsMatch === false) {
    problems.add(
      'snapshot-total-differs',
      'degraded',
      `${root}snapshot/snapshot-${latest!.id}`,
      `expected ${state.records} rows as live files add up to, found totalRecordCount ${latest!.totalRecordCount}: the files are the truth`,
    );
  }

  const view: TableView = {
    branch: request.branch,
    type: schema ? tableTypeOf(schema) : 'table',
    schemaIds,
    schemas,
    snapshotIds: history.ids,
    unreadableSnapshotIds: history.unreadable,
    snapshots: history.readable.map((snapshot) => ({ snapshot })),
    tags: tags.tags.map((tag) => ({ tag })),
    unreadableTags: tags.unreadable,
    consumers: consumers.consumers,
    unreadableConsumers: consumers.unreadable,
    changelogIds,
  };
  if (latestSchemaId !== undefined) view.latestSchemaId = latestSchemaId;
  if (schema) view.schema = schema;
  if (latest) view.latest = latest;
  if (state) view.live = state;
  if (index) view.index = index;
  if (statistics) view.statistics = statistics;
  // Never written, and nothing speaks of former commits: known to be empty.
  if (history.ids.length === 0 && !folders.manifest && tags.tags.length === 0 && schemas.length > 0)
    view.live = describe(new LiveFiles(), undefined);

  const fieldCount =
    schema?.id === latestSchemaId ? schema?.fields.length : await countFields(reading, tableRoot, latestSchemaId, manifests);
  if (fieldCount !== undefined) view.fieldCount = fieldCount;
  if (newestId !== undefined && latest === undefined && newest) {
    const stale = await manifestsOf(reading, tableRoot, newest, 'warning');
    const staleLive = stale && (await readLiveFiles(reading, tableRoot, stale, 'warning'));
    view.lastReadable = { snapshot: newest, ...(staleLive && stale ? { live: sumsOf(staleLive, stale) } : {}) };
  }
  if (sums) await addSums(view, sums);
  return view;
}

/** What could not be read makes a whole read the only one that finds all problems. */
function followingDoubt(isSchemaReadable: boolean, unreadableIds: readonly bigint[]): Doubt | undefined {
  if (!isSchemaReadable) return 'schema-unreadable';
  return unreadableIds.length > 0 ? 'snapshots-unreadable' : undefined;
}

/** Snapshots name the schema of their commit; a missing one leaves the columns of that state unknown. */
function checkSchemaOfSnapshots(
  reading: Reading,
  root: string,
  schemas: readonly Schema[],
  schemaIds: readonly bigint[],
  snapshots: readonly Snapshot[],
  latest: Snapshot | undefined,
): void {
  const there = new Set(schemaIds);
  const missing = new Map<bigint, bigint[]>();
  for (const snapshot of snapshots) {
    if (!there.has(snapshot.schemaId)) missing.set(snapshot.schemaId, [...(missing.get(snapshot.schemaId) ?? []), snapshot.id]);
  }
  for (const [schemaId, ids] of missing) {
    const current = latest?.schemaId === schemaId;
    const shown = `${ids.slice(0, 10).join(', ')}${ids.length > 10 ? ', …' : ''}`;
    reading.problems.add(
      'schema-missing',
      current && schemas.length > 0 ? 'degraded' : 'warning',
      `${root}schema/schema-${schemaId}`,
      `expected the schema that snapshot${ids.length === 1 ? '' : 's'} ${shown} name${ids.length === 1 ? 's' : ''}, found none`,
    );
  }
}

async function readIndex(reading: Reading, tableRoot: string, snapshot: Snapshot) {
  const name = snapshot.indexManifest;
  if (name === undefined) return undefined;
  if (!isFileName(name)) {
    reading.problems.add(
      'index-manifest-unreadable',
      'degraded',
      tableRoot,
      `expected the name of an index manifest, found ${JSON.stringify(name.slice(0, 200))}`,
    );
    return undefined;
  }
  return reading.decode('index-manifest', manifestKey(tableRoot, name), 'degraded', (bytes) => readIndexManifest(bytes, name), {
    maxBytes: MAX_MANIFEST_BYTES,
  });
}

async function readStatistics(reading: Reading, tableRoot: string, snapshot: Snapshot) {
  const name = snapshot.statistics;
  if (name === undefined) return undefined;
  if (!isFileName(name)) {
    reading.problems.add(
      'statistics-unreadable',
      'degraded',
      tableRoot,
      `expected the name of a statistics file, found ${JSON.stringify(name.slice(0, 200))}`,
    );
    return undefined;
  }
  return reading.decode('statistics', statisticsKey(tableRoot, name), 'degraded', (bytes) => decodeStatistics(textOf(bytes)));
}

/**
 * Columns of a schema whose file cannot be read: data files written with it have statistics over all columns, unless they name
 * some. Nothing but the number can be told.
 */
async function countFields(
  reading: Reading,
  tableRoot: string,
  schemaId: bigint | undefined,
  manifests: Awaited<ReturnType<typeof manifestsOf>>,
): Promise<number | undefined> {
  if (schemaId === undefined || manifests === undefined) return undefined;
  let count: number | undefined;
  const columns = ['_FILE._SCHEMA_ID', '_FILE._VALUE_STATS_COLS', '_FILE._WRITE_COLS', '_FILE._VALUE_STATS._MIN_VALUES'];
  for (const manifest of manifests.toReversed()) {
    if (count !== undefined) break;
    await reading.decodeManifest(manifestKey(tableRoot, manifest.fileName), manifest.fileSize, 'warning', (bytes) =>
      readContainer(bytes, columns, ([id, covered, written, least]) => {
        if (
          count === undefined &&
          covered === null &&
          written === null &&
          BigInt(Number(id)) === schemaId &&
          least instanceof Uint8Array
        )
          count = arityOf(least);
      }),
    );
  }
  return count === 0 ? undefined : count;
}

function sumsOf(live: LiveFiles, manifests: readonly { addedFiles: number; deletedFiles: number }[]) {
  const { total } = live;
  return {
    manifests: manifests.length,
    entriesAdd: manifests.reduce((sum, manifest) => sum + manifest.addedFiles, 0),
    entriesDelete: manifests.reduce((sum, manifest) => sum + manifest.deletedFiles, 0),
    files: total.files,
    size: BigInt(total.size),
    records: BigInt(total.records),
    ...(live.deleteRecords === null ? {} : { deleteRecords: BigInt(live.deleteRecords) }),
  };
}

async function addSums(view: TableView, sums: SnapshotSums): Promise<void> {
  // One after the other: each reads its manifests at once, and most are known from the one before.
  for (const entry of view.snapshots) {
    const live = await sums.sumsOf(entry.snapshot);
    if (live) entry.live = live;
  }
  for (const entry of view.tags) {
    const live = await sums.sumsOf(entry.tag.snapshot);
    if (live) entry.live = live;
  }
}
