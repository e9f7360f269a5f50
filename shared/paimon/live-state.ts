import { decodeRow } from './binary-row.ts';
import { Cancelled } from './cancelled.ts';
import { Damage } from './damage.ts';
import { isFileName, manifestKey } from './layout.ts';
import { MAX_MANIFEST_BYTES } from './limits.ts';
import { LiveFiles } from './live-files.ts';
import { ADD, DELETE, readManifest } from './manifest.ts';
import { type ManifestMeta, readManifestList } from './manifest-list.ts';
import { type PartitionNaming, partitionPath } from './partition-path.ts';
import type { PartitionSums } from './partition-table.ts';
import type { Severity } from './problem.ts';
import type { Reading } from './reading.ts';
import type { OnRow } from './rows.ts';
import type { Snapshot } from './snapshot.ts';
import type { LiveState, PartitionState } from './table-metadata.ts';

/** Manifests of a snapshot's base and delta lists, read at once. undefined when one of the lists cannot be read: see the problems. */
export async function manifestsOf(
  reading: Reading,
  tableRoot: string,
  snapshot: Snapshot,
  severity: Severity,
): Promise<ManifestMeta[] | undefined> {
  const lists = await Promise.all([
    readList(reading, tableRoot, snapshot.baseManifestList, snapshot.baseManifestListSize, severity),
    readList(reading, tableRoot, snapshot.deltaManifestList, snapshot.deltaManifestListSize, severity),
  ]);
  return lists[0] && lists[1] ? [...lists[0], ...lists[1]] : undefined;
}

export async function readList(
  reading: Reading,
  tableRoot: string,
  name: string,
  size: bigint | undefined,
  severity: Severity,
): Promise<ManifestMeta[] | undefined> {
  const key = manifestKey(tableRoot, name);
  if (!isFileName(name)) {
    reading.problems.add(
      'manifest-list-unreadable',
      severity,
      tableRoot,
      `expected the name of a manifest list, found ${JSON.stringify(name.slice(0, 200))}`,
    );
    return undefined;
  }
  return reading.decode(
    'manifest-list',
    key,
    severity,
    async (bytes) => {
      // A file cut between two blocks would read well and lack manifests.
      if (size !== undefined && size !== BigInt(bytes.byteLength))
        throw new Damage(`${size} bytes as the snapshot says`, `${bytes.byteLength}`);
      return (await readManifestList(bytes)).manifests;
    },
    { maxBytes: MAX_MANIFEST_BYTES },
  );
}

/** Reads one manifest; undefined, and a problem, when it is gone, damaged, or holds other entries than its list says. */
export function readListedManifest(
  reading: Reading,
  tableRoot: string,
  meta: ManifestMeta,
  severity: Severity,
  onEntry: OnRow,
  keep = false,
  more: readonly string[] = [],
): Promise<true | undefined> {
  const decode = async (bytes: Uint8Array): Promise<true> => {
    let added = 0;
    let deleted = 0;
    await readManifest(
      bytes,
      (slots) => {
        if (slots[0] === ADD) added++;
        else deleted++;
        onEntry(slots);
      },
      more,
    );
    if (added !== meta.addedFiles || deleted !== meta.deletedFiles) {
      throw new Damage(
        `${meta.addedFiles} ADD and ${meta.deletedFiles} DELETE entries as its list says`,
        `${added} and ${deleted}`,
      );
    }
    return true;
  };
  return reading.decodeManifest(manifestKey(tableRoot, meta.fileName), meta.fileSize, severity, decode, keep);
}

/**
 * Live files of a snapshot: every ADD of its manifests that no DELETE cancels, whatever their order. Manifests with DELETE
 * entries are read first for the cancelled identities, and again for their ADDs. undefined when any manifest cannot be read:
 * a partial sum must not be shown as the state.
 */
export async function readLiveFiles(
  reading: Reading,
  tableRoot: string,
  manifests: readonly ManifestMeta[],
  severity: Severity,
): Promise<LiveFiles | undefined> {
  const live = new LiveFiles();
  const whole = await readLiveEntries(reading, tableRoot, manifests, severity, (slots) => live.add(slots));
  return whole ? live : undefined;
}

/** As `readLiveFiles`, entry by entry, with `more` columns; false when any manifest cannot be read. */
export async function readLiveEntries(
  reading: Reading,
  tableRoot: string,
  manifests: readonly ManifestMeta[],
  severity: Severity,
  onLive: OnRow,
  more: readonly string[] = [],
): Promise<boolean> {
  const cancelled = new Cancelled();
  const add: OnRow = (slots) => {
    if (slots[0] === ADD && !cancelled.has(slots)) onLive(slots);
  };
  const collect: OnRow = (slots) => {
    if (slots[0] === DELETE) cancelled.add(slots);
  };
  const withDeletes = manifests.filter((manifest) => manifest.deletedFiles > 0);
  const read = (list: readonly ManifestMeta[], onEntry: OnRow, keep = false) =>
    Promise.all(list.map((manifest) => readListedManifest(reading, tableRoot, manifest, severity, onEntry, keep, more)));
  const first = await read(withDeletes, collect, true);
  if (first.includes(undefined)) return false;
  const second = await read(
    manifests.filter((manifest) => manifest.addedFiles > 0 || manifest.deletedFiles === 0),
    add,
  );
  return !second.includes(undefined);
}

/** Turns sums into the state that people see: typed partitions with their folders, in the order of the folders. */
export function describeLive(
  live: LiveFiles,
  naming: PartitionNaming | undefined,
  snapshot: Snapshot | undefined,
  undecodable: (hex: string, error: unknown) => void,
): LiveState {
  const { total } = live;
  const records = BigInt(total.records);
  const partitions = live.partitions.map((sums) => describePartition(sums, naming, undecodable));
  partitions.sort(byPath);
  return {
    files: total.files,
    size: BigInt(total.size),
    records,
    ...(live.deleteRecords === null ? {} : { deleteRecords: BigInt(live.deleteRecords) }),
    byExtension: live.byExtension,
    byLevel: live.byLevel,
    externalPathFiles: live.externalPathFiles,
    ...(snapshot?.totalRecordCount === undefined ? {} : { totalsMatch: snapshot.totalRecordCount === records }),
    partitions,
  };
}

function describePartition(
  sums: PartitionSums,
  naming: PartitionNaming | undefined,
  undecodable: (hex: string, error: unknown) => void,
): PartitionState {
  const hex = Buffer.from(sums.bytes).toString('hex');
  const partition: PartitionState = {
    hex,
    files: sums.files,
    size: BigInt(sums.size),
    records: BigInt(sums.records),
    buckets: sums.buckets
      .map(([bucket, inBucket]) => ({
        bucket,
        files: inBucket.files,
        size: BigInt(inBucket.size),
        records: BigInt(inBucket.records),
      }))
      .sort((a, b) => a.bucket - b.bucket),
    totalBuckets: sums.totalBuckets.sort((a, b) => a - b),
    ...(sums.lastCreation === null ? {} : { lastCreationWallClockMillis: BigInt(sums.lastCreation) }),
  };
  return nameValues(partition, sums.bytes, naming, undecodable);
}

/** Gives a partition its typed values and its folder, as far as they can be told. */
export function nameValues(
  partition: PartitionState,
  bytes: Uint8Array,
  naming: PartitionNaming | undefined,
  undecodable: (hex: string, error: unknown) => void,
): PartitionState {
  if (naming === undefined) return partition;
  try {
    partition.values = decodeRow(bytes, naming.types);
    partition.naming = naming;
    const path = partitionPath(partition.values, naming);
    if (path !== undefined) partition.path = path;
  } catch (error) {
    undecodable(partition.hex, error);
  }
  return partition;
}

/** By folder, then by stored bytes where a folder is shared or not known. */
export function byPath(a: PartitionState, b: PartitionState): number {
  return compare(a.path ?? '', b.path ?? '') || compare(a.hex, b.hex);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
