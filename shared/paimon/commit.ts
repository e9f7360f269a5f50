import type { ObjectStore } from '../object-store/object-store.ts';
import { mapConcurrently } from './concurrent.ts';
import { tablePrefix } from './layout.ts';
import { CONCURRENT_READS } from './limits.ts';
import { plus } from './live-files.ts';
import { readList, readListedManifest } from './live-state.ts';
import { ADD, latin1, SLOT } from './manifest.ts';
import type { TableLocation } from './probe.ts';
import { Problems } from './problem.ts';
import { Reading } from './reading.ts';
import type { Snapshot } from './snapshot.ts';

/** What one commit did, as the entries of its delta manifests say. Rows are rows in files, unmerged. */
export interface CommitDelta {
  filesAdded: number;
  filesDeleted: number;
  bytesAdded: bigint;
  bytesDeleted: bigint;
  rowsAdded: bigint;
  rowsDeleted: bigint;
  /** Distinct partitions, and (partition, bucket) pairs, that its entries name. */
  partitionsTouched: number;
  bucketsTouched: number;
}

/**
 * The deltas of these snapshots, in their order: one GET for each delta list and one for each manifest that it names. undefined
 * where a list or manifest is gone or damaged; expiry takes them before the snapshot. Throws only what the store throws.
 */
export function readCommitDeltas(
  store: ObjectStore,
  location: TableLocation,
  snapshots: readonly Snapshot[],
  options: { signal?: AbortSignal | undefined } = {},
): Promise<(CommitDelta | undefined)[]> {
  const root = tablePrefix(location.warehousePrefix, location.database, location.table);
  const reading = new Reading(store, new Problems(), options.signal);
  return mapConcurrently(snapshots, CONCURRENT_READS, (snapshot) => readDelta(reading, root, snapshot));
}

async function readDelta(reading: Reading, tableRoot: string, snapshot: Snapshot): Promise<CommitDelta | undefined> {
  const { deltaManifestList, deltaManifestListSize } = snapshot;
  const manifests = await readList(reading, tableRoot, deltaManifestList, deltaManifestListSize, 'warning');
  if (manifests === undefined) return undefined;
  const added = { files: 0, bytes: 0 as number | bigint, rows: 0 as number | bigint };
  const deleted = { files: 0, bytes: 0 as number | bigint, rows: 0 as number | bigint };
  const partitions = new Set<string>();
  const buckets = new Set<string>();
  const read = await Promise.all(
    manifests.map((manifest) =>
      readListedManifest(reading, tableRoot, manifest, 'warning', (slots) => {
        const sums = slots[SLOT.kind] === ADD ? added : deleted;
        sums.files++;
        sums.bytes = plus(sums.bytes, slots[SLOT.fileSize] as number | bigint);
        sums.rows = plus(sums.rows, slots[SLOT.rowCount] as number | bigint);
        const partition = latin1(slots[SLOT.partition] as Uint8Array);
        partitions.add(partition);
        buckets.add(`${slots[SLOT.bucket]}/${partition}`);
      }),
    ),
  );
  if (read.includes(undefined)) return undefined;
  return {
    filesAdded: added.files,
    filesDeleted: deleted.files,
    bytesAdded: BigInt(added.bytes),
    bytesDeleted: BigInt(deleted.bytes),
    rowsAdded: BigInt(added.rows),
    rowsDeleted: BigInt(deleted.rows),
    partitionsTouched: partitions.size,
    bucketsTouched: buckets.size,
  };
}
