import { isDeepStrictEqual } from 'node:util';
import { extensionOf } from './live-files.ts';
import { readList, readListedManifest } from './live-state.ts';
import { type LiveSums, type PartitionSum, sumsOf, totalOf } from './live-sums.ts';
import { ADD, identityOf, SLOT } from './manifest.ts';
import type { ManifestMeta } from './manifest-list.ts';
import { Problems } from './problem.ts';
import { Reading } from './reading.ts';
import type { Cell } from './rows.ts';
import { type Snapshot, snapshotIdentity } from './snapshot.ts';
import type { LiveState } from './table-metadata.ts';

/** Live files of a snapshot that was read: `identity` as `snapshotIdentity` gives it. */
export interface KnownLive {
  identity: string;
  sums: LiveSums;
}

/** Why commits could not be added to what was known; then all manifests are read. */
export type Doubt =
  | 'not-there'
  | 'gap'
  | 'too-many'
  | 'no-totals'
  | 'delta-unreadable'
  | 'delta-contradicts'
  | 'rows-differ'
  | 'files-differ'
  | 'newest-file-deleted'
  | 'bucket-count-deleted'
  | 'delete-rows-unknown'
  | 'schema-unreadable'
  | 'snapshots-unreadable'
  /** A whole read found other sums for the very snapshot that was known. */
  | 'sums-differ';

/** More commits than this, and reading all manifests costs about as much. */
const MAX_FOLLOWED = 50;

class Stop extends Error {
  constructor(readonly doubt: Doubt) {
    super(doubt);
  }
}

/**
 * Adds the commits since a known snapshot to its sums: one GET for each delta list and one for each manifest that it names,
 * and one for the base list of the newest, whose counts must agree. What is left unsaid by deltas (a deleted file that was the
 * newest of its partition) is a doubt, not a guess. Throws only what the store throws.
 */
export async function followCommits(
  parent: Reading,
  tableRoot: string,
  known: KnownLive,
  snapshots: readonly Snapshot[],
): Promise<LiveSums | Doubt> {
  const at = snapshots.findLastIndex((snapshot) => snapshotIdentity(snapshot) === known.identity);
  if (at < 0) return 'not-there';
  const commits = snapshots.slice(at + 1);
  if (commits.length > MAX_FOLLOWED) return 'too-many';
  // A failure here is no finding yet: the whole read that follows tells what is wrong.
  const reading = new Reading(parent.store, new Problems(), parent.signal);
  const sums = structuredClone(known.sums);
  const lost = new Set<PartitionSum>();
  try {
    let before = snapshots[at]!;
    for (const snapshot of commits) {
      if (snapshot.id !== before.id + 1n) return 'gap';
      const { totalRecordCount: total, deltaRecordCount: delta } = snapshot;
      if (before.totalRecordCount === undefined || total === undefined || delta === undefined) return 'no-totals';
      if (total !== before.totalRecordCount + delta) return 'rows-differ';
      before = snapshot;
    }
    const deltas = await Promise.all(
      commits.map((snapshot) =>
        readList(reading, tableRoot, snapshot.deltaManifestList, snapshot.deltaManifestListSize, 'warning'),
      ),
    );
    for (const manifests of deltas) {
      if (manifests === undefined) return 'delta-unreadable';
      await addDelta(reading, tableRoot, manifests, sums, lost);
    }
    if (commits.length === 0) return sums;
    const base = await readList(reading, tableRoot, before.baseManifestList, before.baseManifestListSize, 'warning');
    if (base === undefined) return 'delta-unreadable';
    const total = totalOf([...sums.partitions.values()].map((partition) => totalOf(partition.buckets.values())));
    if (total.records !== before.totalRecordCount) return 'rows-differ';
    if (total.files !== countOf([...base, ...deltas.at(-1)!])) return 'files-differ';
    for (const partition of sums.partitions.values()) if (lost.has(partition)) return 'newest-file-deleted';
    return sums;
  } catch (error) {
    if (error instanceof Stop) return error.doubt;
    throw error;
  }
}

/** Files that the lists' counts leave: equal to the live files where each DELETE has its ADD. */
export function countOf(manifests: readonly ManifestMeta[]): number {
  return manifests.reduce((sum, manifest) => sum + manifest.addedFiles - manifest.deletedFiles, 0);
}

interface Entry {
  partition: string;
  bucket: number;
  totalBuckets: Cell;
  size: bigint;
  records: bigint;
  level: number;
  extension: string;
  creation: bigint | null;
  deleteRows: bigint | null;
  isExternal: boolean;
}

async function addDelta(
  reading: Reading,
  tableRoot: string,
  manifests: readonly ManifestMeta[],
  sums: LiveSums,
  lost: Set<PartitionSum>,
): Promise<void> {
  const added = new Map<string, Entry>();
  const deleted = new Map<string, Entry>();
  let isContradictory = false;
  const read = await Promise.all(
    manifests.map((manifest) =>
      readListedManifest(reading, tableRoot, manifest, 'warning', (slots) => {
        const entries = slots[SLOT.kind] === ADD ? added : deleted;
        const identity = identityOf(slots);
        if (entries.has(identity)) isContradictory = true;
        entries.set(identity, entryOf(slots));
      }),
    ),
  );
  if (read.includes(undefined)) throw new Stop('delta-unreadable');
  if (isContradictory) throw new Stop('delta-contradicts');
  for (const identity of deleted.keys()) if (added.delete(identity)) deleted.delete(identity);
  for (const entry of deleted.values()) subtract(sums, entry, lost);
  // One of several bucket counts may have gone with its last file.
  for (const { partition: hex } of deleted.values()) {
    const { buckets, totalBuckets } = sums.partitions.get(hex)!;
    if (buckets.size > 0 && totalBuckets.length > 1) throw new Stop('bucket-count-deleted');
  }
  for (const entry of added.values()) add(sums, entry, lost);
  for (const [hex, partition] of sums.partitions) if (partition.buckets.size === 0) sums.partitions.delete(hex);
}

function entryOf(slots: readonly Cell[]): Entry {
  const integer = (cell: Cell | undefined) => BigInt(cell as number | bigint);
  const creation = slots[SLOT.creationTime];
  const deleteRows = slots[SLOT.deleteRowCount];
  return {
    partition: Buffer.from(slots[SLOT.partition] as Uint8Array).toString('hex'),
    bucket: slots[SLOT.bucket] as number,
    totalBuckets: slots[SLOT.totalBuckets] ?? null,
    size: integer(slots[SLOT.fileSize]),
    records: integer(slots[SLOT.rowCount]),
    level: (slots[SLOT.level] as number | null) ?? 0,
    extension: extensionOf(String(slots[SLOT.fileName])),
    creation: creation === null || creation === undefined ? null : integer(creation),
    deleteRows: deleteRows === null || deleteRows === undefined ? null : integer(deleteRows),
    isExternal: slots[SLOT.externalPath] !== null,
  };
}

function add(sums: LiveSums, entry: Entry, lost: Set<PartitionSum>): void {
  if (sums.deleteRecords !== null) sums.deleteRecords = entry.deleteRows === null ? null : sums.deleteRecords + entry.deleteRows;
  if (entry.isExternal) sums.externalPathFiles++;
  count(sums.byExtension, entry.extension, 1);
  count(sums.byLevel, entry.level, 1);
  let partition = sums.partitions.get(entry.partition);
  if (partition === undefined) {
    partition = { buckets: new Map(), totalBuckets: [], lastCreation: null };
    sums.partitions.set(entry.partition, partition);
  } else if (partition.buckets.size === 0) {
    // Emptied by this commit's deletes: what is added now is all there is.
    Object.assign(partition, { totalBuckets: [], lastCreation: null });
    lost.delete(partition);
  }
  const bucket = partition.buckets.get(entry.bucket) ?? { files: 0, size: 0n, records: 0n };
  partition.buckets.set(entry.bucket, {
    files: bucket.files + 1,
    size: bucket.size + entry.size,
    records: bucket.records + entry.records,
  });
  if (typeof entry.totalBuckets !== 'number') throw new Stop('delta-contradicts');
  if (!partition.totalBuckets.includes(entry.totalBuckets)) partition.totalBuckets.push(entry.totalBuckets);
  if (entry.creation !== null && (partition.lastCreation === null || entry.creation >= partition.lastCreation)) {
    partition.lastCreation = entry.creation;
    lost.delete(partition);
  }
}

function subtract(sums: LiveSums, entry: Entry, lost: Set<PartitionSum>): void {
  if (sums.deleteRecords === null || entry.deleteRows === null) throw new Stop('delete-rows-unknown');
  sums.deleteRecords -= entry.deleteRows;
  if (entry.isExternal) sums.externalPathFiles--;
  count(sums.byExtension, entry.extension, -1);
  count(sums.byLevel, entry.level, -1);
  const partition = sums.partitions.get(entry.partition);
  const bucket = partition?.buckets.get(entry.bucket);
  if (!partition || !bucket || typeof entry.totalBuckets !== 'number' || !partition.totalBuckets.includes(entry.totalBuckets))
    throw new Stop('delta-contradicts');
  bucket.files--;
  bucket.size -= entry.size;
  bucket.records -= entry.records;
  if (bucket.files === 0) {
    if (bucket.size !== 0n || bucket.records !== 0n) throw new Stop('delta-contradicts');
    partition.buckets.delete(entry.bucket);
  }
  if (sums.deleteRecords < 0n || sums.externalPathFiles < 0 || bucket.size < 0n || bucket.records < 0n)
    throw new Stop('delta-contradicts');
  if (entry.creation !== null && entry.creation === partition.lastCreation) lost.add(partition);
}

function count<K>(counts: Map<K, number>, key: K, change: 1 | -1): void {
  const now = (counts.get(key) ?? 0) + change;
  if (now < 0) throw new Stop('delta-contradicts');
  if (now === 0) counts.delete(key);
  else counts.set(key, now);
}

/** Doubts that say that something is wrong: with the warehouse, or with what we know of it. */
export const MISMATCHES: ReadonlySet<Doubt> = new Set<Doubt>(['delta-contradicts', 'rows-differ', 'files-differ', 'sums-differ']);

/**
 * What one read takes from the one before and leaves to the next: live sums by branch (`''` is main). With `isCheck` nothing
 * is followed: everything is read whole and compared with what was known.
 */
export class Following {
  readonly found = new Map<string, KnownLive>();
  /** Branches whose manifests were read whole although something was known. */
  readonly doubts = new Map<string, Doubt>();
  /** Branches to which commits were added, or that had none. */
  readonly followed = new Set<string>();
  readonly #known: ReadonlyMap<string, KnownLive>;
  readonly #isCheck: boolean;

  constructor(known: ReadonlyMap<string, KnownLive>, options: { isCheck?: boolean } = {}) {
    this.#known = known;
    this.#isCheck = options.isCheck ?? false;
  }

  /** Sums of the newest of these snapshots; undefined: read them whole. */
  async sumsOf(
    reading: Reading,
    tableRoot: string,
    view: { branch: string; snapshots: readonly Snapshot[]; doubt: Doubt | undefined },
  ): Promise<LiveSums | undefined> {
    this.#forget(view.branch);
    const known = this.#known.get(view.branch);
    if (known === undefined || this.#isCheck) return undefined;
    const sums = view.doubt ?? (await followCommits(reading, tableRoot, known, view.snapshots));
    if (typeof sums === 'string') {
      this.doubts.set(view.branch, sums);
      return undefined;
    }
    this.found.set(view.branch, { identity: snapshotIdentity(view.snapshots.at(-1)!), sums });
    this.followed.add(view.branch);
    return sums;
  }

  /** After a whole read: keeps its sums where a later read may build on them. */
  keep(branch: string, snapshot: Snapshot, live: LiveState, manifests: readonly ManifestMeta[]): void {
    // A DELETE without its ADD, or a total that is wrong already: deltas would lead elsewhere than the manifests.
    if (live.totalsMatch !== true || live.files !== countOf(manifests)) return;
    const identity = snapshotIdentity(snapshot);
    const sums = sumsOf(live);
    const known = this.#known.get(branch);
    if (this.#isCheck && known?.identity === identity && !isDeepStrictEqual(comparable(known.sums), comparable(sums)))
      this.doubts.set(branch, 'sums-differ');
    this.found.set(branch, { identity, sums });
  }

  /** A read may begin again. */
  #forget(branch: string): void {
    this.found.delete(branch);
    this.doubts.delete(branch);
    this.followed.delete(branch);
  }
}

/** Bucket counts are a set. */
function comparable(sums: LiveSums): LiveSums {
  const partitions = [...sums.partitions].map(
    ([hex, sum]) => [hex, { ...sum, totalBuckets: sum.totalBuckets.toSorted((a, b) => a - b) }] as const,
  );
  return { ...sums, partitions: new Map(partitions) };
}
