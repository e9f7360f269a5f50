import { nameValues } from './live-state.ts';
import type { PartitionNaming } from './partition-path.ts';
import type { Snapshot } from './snapshot.ts';
import type { LiveState, PartitionState } from './table-metadata.ts';

/** Sums over the live files of one snapshot, as a later read can add commits to them. 64-bit integers are bigint. */
export interface LiveSums {
  /** Null: a file does not say. */
  deleteRecords: bigint | null;
  externalPathFiles: number;
  byExtension: Map<string, number>;
  byLevel: Map<number, number>;
  /** By `_PARTITION` in hex. */
  partitions: Map<string, PartitionSum>;
}

export interface BucketSum {
  files: number;
  size: bigint;
  records: bigint;
}

export interface PartitionSum {
  buckets: Map<number, BucketSum>;
  /** Distinct, in any order. */
  totalBuckets: number[];
  /** Writer's wall clock; null where no file has one. */
  lastCreation: bigint | null;
}

export function sumsOf(live: LiveState): LiveSums {
  return {
    deleteRecords: live.deleteRecords ?? null,
    externalPathFiles: live.externalPathFiles,
    byExtension: new Map(live.byExtension),
    byLevel: new Map(live.byLevel),
    partitions: new Map(
      live.partitions.map((partition) => [
        partition.hex,
        {
          buckets: new Map(partition.buckets.map(({ bucket, ...sum }) => [bucket, sum])),
          totalBuckets: [...partition.totalBuckets],
          lastCreation: partition.lastCreationWallClockMillis ?? null,
        },
      ]),
    ),
  };
}

/** What `describeLive` gives for the same files; the partitions still have to be sorted by their folders. */
export function describeSums(
  sums: LiveSums,
  naming: PartitionNaming | undefined,
  snapshot: Snapshot,
  undecodable: (hex: string, error: unknown) => void,
): LiveState {
  const partitions = [...sums.partitions].map(([hex, sum]) => {
    const partition: PartitionState = {
      hex,
      ...totalOf(sum.buckets.values()),
      buckets: [...sum.buckets].map(([bucket, one]) => ({ bucket, ...one })).sort((a, b) => a.bucket - b.bucket),
      totalBuckets: [...sum.totalBuckets].sort((a, b) => a - b),
      ...(sum.lastCreation === null ? {} : { lastCreationWallClockMillis: sum.lastCreation }),
    };
    return nameValues(partition, Buffer.from(hex, 'hex'), naming, undecodable);
  });
  const total = totalOf(partitions);
  return {
    ...total,
    ...(sums.deleteRecords === null ? {} : { deleteRecords: sums.deleteRecords }),
    byExtension: sums.byExtension,
    byLevel: sums.byLevel,
    externalPathFiles: sums.externalPathFiles,
    ...(snapshot.totalRecordCount === undefined ? {} : { totalsMatch: snapshot.totalRecordCount === total.records }),
    partitions,
  };
}

export function totalOf(sums: Iterable<BucketSum>): BucketSum {
  const total = { files: 0, size: 0n, records: 0n };
  for (const { files, size, records } of sums) {
    total.files += files;
    total.size += size;
    total.records += records;
  }
  return total;
}
