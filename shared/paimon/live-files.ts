import { SLOT } from './manifest.ts';
import { type PartitionSums, PartitionTable } from './partition-table.ts';
import { type Cell, RawText } from './rows.ts';
import { type FileSums, plus } from './sums.ts';

export { plus } from './sums.ts';

/** Adds up live files, one at a time; holds sums only, so a million files of one partition take the room of one. */
export class LiveFiles {
  /** Rows of kind delete in the files; null as soon as one file does not say. */
  deleteRecords: number | bigint | null = 0;
  externalPathFiles = 0;
  readonly #partitions = new PartitionTable();
  readonly #extensions = new Map<string, { files: number }>();
  readonly #levels = new Map<number, { files: number }>();
  // Files that follow each other mostly share these: comparing with the last one spares a look-up each.
  #lastExtension: Buffer = Buffer.alloc(0);
  #lastExtensionFiles = { files: 0 };
  #lastLevel = -1;
  #lastLevelFiles = { files: 0 };
  #lastBytes: Uint8Array | undefined;
  #last: PartitionSums | undefined;

  get partitions(): readonly PartitionSums[] {
    return this.#partitions.all;
  }

  get total(): FileSums {
    const total: FileSums = { files: 0, size: 0, records: 0 };
    for (const { files, size, records } of this.#partitions.all) {
      total.files += files;
      total.size = plus(total.size, size);
      total.records = plus(total.records, records);
    }
    return total;
  }

  get byExtension(): Map<string, number> {
    return new Map([...this.#extensions].map(([extension, { files }]) => [extension, files]));
  }

  get byLevel(): Map<number, number> {
    return new Map([...this.#levels].map(([level, { files }]) => [level, files]));
  }

  add(slots: readonly Cell[]): void {
    const deletes = slots[SLOT.deleteRowCount] as number | bigint | null;
    if (deletes !== 0 && this.deleteRecords !== null)
      this.deleteRecords = deletes === null ? null : plus(this.deleteRecords, deletes);
    if (slots[SLOT.externalPath] !== null) this.externalPathFiles++;
    this.#countExtension(slots[SLOT.fileName] as string | RawText);
    this.#countLevel((slots[SLOT.level] as number | null) ?? 0);

    const bytes = slots[SLOT.partition] as Uint8Array;
    if (bytes !== this.#lastBytes) {
      this.#lastBytes = bytes;
      this.#last = this.#partitions.of(bytes);
    }
    const partition = this.#last!;
    partition.add(
      slots[SLOT.bucket] as number,
      slots[SLOT.fileSize] as number | bigint,
      slots[SLOT.rowCount] as number | bigint,
      slots[SLOT.totalBuckets],
    );
    const creation = slots[SLOT.creationTime] as number | bigint | null;
    if (creation !== null && (partition.lastCreation === null || creation > partition.lastCreation))
      partition.lastCreation = creation;
  }

  #countExtension(name: string | RawText): void {
    if (name instanceof RawText) {
      // An extension holds one dot, its first character: a name that ends like the last one has the same.
      const last = this.#lastExtension;
      let at = last.length;
      if (at > 0 && at < name.end - name.start) {
        const from = name.end - at;
        while (at > 0 && name.bytes[from + at - 1] === last[at - 1]) at--;
        if (at === 0) {
          this.#lastExtensionFiles.files++;
          return;
        }
      }
    }
    const extension = extensionOf(name.toString());
    this.#lastExtension = Buffer.from(extension);
    this.#lastExtensionFiles = counter(this.#extensions, extension);
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

function counter<K>(counters: Map<K, { files: number }>, key: K): { files: number } {
  let found = counters.get(key);
  if (found === undefined) {
    found = { files: 0 };
    counters.set(key, found);
  }
  return found;
}

/** `.parquet`; empty where the name has no dot. */
export function extensionOf(fileName: string): string {
  const dot = fileName.lastIndexOf('.');
  return dot <= 0 ? '' : fileName.slice(dot);
}
