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
  readonly byExtension = new Map<string, number>();
  readonly byLevel = new Map<number, number>();
  readonly partitions = new Map<string, PartitionSums>();
  #lastKey = '';
  #last: PartitionSums | undefined;

  add(slots: readonly Cell[]): void {
    const size = slots[SLOT.fileSize] as number | bigint;
    const records = slots[SLOT.rowCount] as number | bigint;
    const bucket = slots[SLOT.bucket] as number;
    addTo(this.total, size, records);
    const deletes = slots[SLOT.deleteRowCount] as number | bigint | null;
    this.deleteRecords = deletes === null || this.deleteRecords === null ? null : plus(this.deleteRecords, deletes);
    if (slots[SLOT.externalPath] !== null) this.externalPathFiles++;
    bump(this.byExtension, extensionOf(slots[SLOT.fileName] as string));
    bump(this.byLevel, (slots[SLOT.level] as number | null) ?? 0);
    const partition = this.#partition(slots[SLOT.partition] as Uint8Array);
    addTo(partition, size, records);
    let inBucket = partition.buckets.get(bucket);
    if (inBucket === undefined) {
      inBucket = { files: 0, size: 0, records: 0 };
      partition.buckets.set(bucket, inBucket);
    }
    addTo(inBucket, size, records);
    const totalBuckets = slots[SLOT.totalBuckets];
    if (typeof totalBuckets === 'number') partition.totalBuckets.add(totalBuckets);
    const creation = slots[SLOT.creationTime] as number | bigint | null;
    if (creation !== null && (partition.lastCreation === null || creation > partition.lastCreation))
      partition.lastCreation = creation;
  }

  #partition(bytes: Uint8Array): PartitionSums {
    const key = latin1(bytes);
    // Files of one partition stand together.
    if (key === this.#lastKey && this.#last) return this.#last;
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
    this.#lastKey = key;
    this.#last = partition;
    return partition;
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

function bump<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** `.parquet`; empty where the name has no dot. */
function extensionOf(fileName: string): string {
  const dot = fileName.lastIndexOf('.');
  return dot <= 0 ? '' : fileName.slice(dot);
}
