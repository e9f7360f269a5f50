import { latin1, SLOT } from './manifest.ts';
import type { Cell } from './rows.ts';

/** Sums over some live files. Exact: bigint where a double would round. */
export interface FileSums {
  files: number;
  size: number | bigint;
  records: number | bigint;
}

export interface PartitionSums extends FileSums {
  /** `_PARTITION` as stored. */
  bytes: Uint8Array;
  buckets: Map<number, FileSums>;
  /** Distinct `_TOTAL_BUCKETS` of live files. */
  totalBuckets: Set<number>;
  /** Greatest `_CREATION_TIME`: the writer's wall clock in milliseconds as if UTC. */
  lastCreation: number | bigint | null;
}

/** Adds up live files, one at a time; holds sums only, so a million files of one partition take the room of one. */
export class LiveFiles {
  readonly total: FileSums = { files: 0, size: 0, records: 0 };
  /** Rows of kind delete in the files; null as soon as one file does not say. */
  deleteRecords: number | bigint | null = 0;
  externalPathFiles = 0;
  readonly partitions = new Map<string, PartitionSums>();
  readonly #extensions = new Map<string, { files: number }>();
  readonly #levels = new Map<number, { files: number }>();
  // Files that follow each other mostly share these: comparing with the last one spares a look-up each.
  #lastExtension = '';
  #lastExtensionFiles = { files: 0 };
  #lastLevel = -1;
  #lastLevelFiles = { files: 0 };
  #lastBytes: Uint8Array | undefined;
  #last: PartitionSums | undefined;
  #lastBucket = -1;
  #lastBucketSums: FileSums | undefined;
  #lastTotalBuckets: unknown;

  get byExtension(): Map<string, number> {
    return new Map([...this.#extensions].map(([extension, { files }]) => [extension, files]));
  }

  get byLevel(): Map<number, number> {
    return new Map([...this.#levels].map(([level, { files }]) => [level, files]));
  }

  add(slots: readonly Cell[]): void {
    const size = slots[SLOT.fileSize] as number | bigint;
    const records = slots[SLOT.rowCount] as number | bigint;
    addTo(this.total, size, records);
    const deletes = slots[SLOT.deleteRowCount] as number | bigint | null;
    if (deletes !== 0 && this.deleteRecords !== null)
      this.deleteRecords = deletes === null ? null : plus(this.deleteRecords, deletes);
    if (slots[SLOT.externalPath] !== null) this.externalPathFiles++;
    this.#countExtension(slots[SLOT.fileName] as string);
    this.#countLevel((slots[SLOT.level] as number | null) ?? 0);

    const bytes = slots[SLOT.partition] as Uint8Array;
    const partition = bytes === this.#lastBytes && this.#last ? this.#last : this.#startPartition(bytes);
    addTo(partition, size, records);
    const bucket = slots[SLOT.bucket] as number;
    const inBucket =
      bucket === this.#lastBucket && this.#lastBucketSums ? this.#lastBucketSums : this.#startBucket(partition, bucket);
    addTo(inBucket, size, records);
    const totalBuckets = slots[SLOT.totalBuckets];
    if (totalBuckets !== this.#lastTotalBuckets && typeof totalBuckets === 'number') {
      partition.totalBuckets.add(totalBuckets);
      this.#lastTotalBuckets = totalBuckets;
    }
    const creation = slots[SLOT.creationTime] as number | bigint | null;
    if (creation !== null && (partition.lastCreation === null || creation > partition.lastCreation))
      partition.lastCreation = creation;
  }

  #startPartition(bytes: Uint8Array): PartitionSums {
    const key = latin1(bytes);
    let partition = this.partitions.get(key);
    if (partition === undefined) {
      partition = {
        files: 0,
        size: 0,
        records: 0,
        bytes: Uint8Array.from(bytes),
        buckets: new Map(),
        totalBuckets: new Set(),
        lastCreation: null,
      };
      this.partitions.set(key, partition);
    }
    this.#lastBytes = bytes;
    this.#last = partition;
    this.#lastBucketSums = undefined;
    this.#lastTotalBuckets = undefined;
    return partition;
  }

  #startBucket(partition: PartitionSums, bucket: number): FileSums {
    let sums = partition.buckets.get(bucket);
    if (sums === undefined) {
      sums = { files: 0, size: 0, records: 0 };
      partition.buckets.set(bucket, sums);
    }
    this.#lastBucket = bucket;
    this.#lastBucketSums = sums;
    return sums;
  }

  #countExtension(fileName: string): void {
    // An extension holds one dot, its first character: a name that ends like the last one has the same.
    if (this.#lastExtension === '' || !fileName.endsWith(this.#lastExtension)) {
      this.#lastExtension = extensionOf(fileName);
      this.#lastExtensionFiles = counter(this.#extensions, this.#lastExtension);
    }
    this.#lastExtensionFiles.files++;
  }

  #countLevel(level: number): void {
    if (level !== this.#lastLevel) {
      this.#lastLevel = level;
      this.#lastLevelFiles = counter(this.#levels, level);
    }
    this.#lastLevelFiles.files++;
  }
}

function addTo(sums: FileSums, size: number | bigint, records: number | bigint): void {
  sums.files++;
  sums.size = plus(sums.size, size);
  sums.records = plus(sums.records, records);
}

/** Exact sum of two integers. */
export function plus(a: number | bigint, b: number | bigint): number | bigint {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return BigInt(a) + BigInt(b);
}

function counter<K>(counters: Map<K, { files: number }>, key: K): { files: number } {
  let found = counters.get(key);
  if (found === undefined) {
    found = { files: 0 };
    counters.set(key, found);
  }
  return found;
}

/** `.parquet`; empty where the name has no dot. */
function extensionOf(fileName: string): string {
  const dot = fileName.lastIndexOf('.');
  return dot <= 0 ? '' : fileName.slice(dot);
}
