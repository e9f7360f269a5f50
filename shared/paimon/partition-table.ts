import { addFile, type FileSums } from './sums.ts';

/** Sums of one partition. Most partitions have one bucket, and most buckets numbers agree: those take no room of their own. */
export class PartitionSums implements FileSums {
  files = 0;
  size: number | bigint = 0;
  records: number | bigint = 0;
  /** Greatest `_CREATION_TIME`: the writer's wall clock in milliseconds as if UTC. */
  lastCreation: number | bigint | null = null;
  /** `_PARTITION` as stored. */
  readonly bytes: Uint8Array;
  readonly hash: number;
  #firstBucket = 0;
  /** Once there are two. */
  #buckets: Map<number, FileSums> | undefined;
  #lastBucket = 0;
  #lastBucketSums: FileSums | undefined;
  #totalBuckets = Number.NaN;
  #otherTotalBuckets: Set<number> | undefined;

  constructor(bytes: Uint8Array, hash: number) {
    this.bytes = bytes;
    this.hash = hash;
  }

  add(bucket: number, size: number | bigint, records: number | bigint, totalBuckets: unknown): void {
    if (this.files === 0) this.#firstBucket = bucket;
    if (this.#buckets !== undefined || bucket !== this.#firstBucket) addFile(this.#bucket(bucket), size, records);
    addFile(this, size, records);
    if (totalBuckets !== this.#totalBuckets && typeof totalBuckets === 'number') {
      if (Number.isNaN(this.#totalBuckets)) this.#totalBuckets = totalBuckets;
      else {
        this.#otherTotalBuckets ??= new Set();
        this.#otherTotalBuckets.add(totalBuckets);
      }
    }
  }

  get buckets(): [bucket: number, sums: FileSums][] {
    return this.#buckets === undefined ? [[this.#firstBucket, this]] : [...this.#buckets];
  }

  /** Distinct `_TOTAL_BUCKETS` of live files. */
  get totalBuckets(): number[] {
    return [...(Number.isNaN(this.#totalBuckets) ? [] : [this.#totalBuckets]), ...(this.#otherTotalBuckets ?? [])];
  }

  #bucket(bucket: number): FileSums {
    if (bucket === this.#lastBucket && this.#lastBucketSums !== undefined) return this.#lastBucketSums;
    if (this.#buckets === undefined) {
      const { files, size, records } = this;
      this.#buckets = new Map([[this.#firstBucket, { files, size, records }]]);
    }
    let sums = this.#buckets.get(bucket);
    if (sums === undefined) {
      sums = { files: 0, size: 0, records: 0 };
      this.#buckets.set(bucket, sums);
    }
    this.#lastBucket = bucket;
    this.#lastBucketSums = sums;
    return sums;
  }
}

/** Partitions by their stored bytes: a hash table over bytes, as making a text of each to look it up costs more than the sums. */
export class PartitionTable {
  /** In the order of their first files. */
  readonly all: PartitionSums[] = [];
  /** Position in `all` plus one; a power of two long, at most half full. */
  #places = new Int32Array(64);

  /** The sums of a partition; new ones, with a copy of the bytes, where it is new. */
  of(bytes: Uint8Array): PartitionSums {
    const hash = hashOf(bytes);
    const mask = this.#places.length - 1;
    let place = hash & mask;
    for (let found = this.#places[place]!; found !== 0; found = this.#places[place]!) {
      const sums = this.all[found - 1]!;
      if (sums.hash === hash && same(sums.bytes, bytes)) return sums;
      place = (place + 1) & mask;
    }
    const sums = new PartitionSums(Uint8Array.from(bytes), hash);
    this.#places[place] = this.all.push(sums);
    if (this.all.length * 2 > this.#places.length) this.#grow();
    return sums;
  }

  #grow(): void {
    const places = new Int32Array(this.#places.length * 2);
    const mask = places.length - 1;
    this.all.forEach(({ hash }, i) => {
      let place = hash & mask;
      while (places[place] !== 0) place = (place + 1) & mask;
      places[place] = i + 1;
    });
    this.#places = places;
  }
}

/** Differs from process to process, so that nobody can choose partition values that all fall into one place. */
const SEED = (Math.random() * 2 ** 32) | 0;

function hashOf(bytes: Uint8Array): number {
  let hash = SEED;
  for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  // The low bits choose the place: let all bytes reach them.
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x2c1b3c6d);
  return hash ^ (hash >>> 13);
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
