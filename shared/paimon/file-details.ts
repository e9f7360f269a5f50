import type { ObjectStore } from '../object-store/object-store.ts';
import { tablePrefix } from './layout.ts';
import { manifestsOf, readLiveEntries } from './live-state.ts';
import { latin1, MANIFEST_COLUMNS, SLOT } from './manifest.ts';
import type { TableLocation } from './probe.ts';
import { type Problem, Problems } from './problem.ts';
import { Reading } from './reading.ts';
import type { Cell } from './rows.ts';
import type { Snapshot } from './snapshot.ts';
import { addFile, type FileSums } from './sums.ts';

/** How the live files of a snapshot are made up. Sizes are bytes, rows are rows in files. */
export interface FileDetails {
  byLevel: FileGroup<{ level: number }>[];
  /** `append` and `compact`; `unknown` before 0.9. */
  bySource: FileGroup<{ source: 'append' | 'compact' | 'unknown' }>[];
  /** By last extension without its dot; empty where a name has none. */
  byFormat: FileGroup<{ format: string }>[];
  /** By the schema that wrote them; null where the writer left it out. */
  bySchema: FileGroup<{ schemaId: bigint | null }>[];
  /** How many files are smaller than this and not smaller than the limit before; null: all larger ones. */
  bySize: FileGroup<{ belowBytes: number | null }>[];
  /** Buckets by their files of level 0, most first: in a table with a primary key these wait for compaction. */
  levelZero: { partitionHex: string; bucket: number; files: number }[];
  /** The writer's wall clock in milliseconds as if UTC: compare only with itself. */
  firstCreationWallClockMillis?: bigint;
  lastCreationWallClockMillis?: bigint;
}

export type FileGroup<K> = K & { files: number; size: bigint; records: bigint };

/** Small files cost, and so do huge ones: writers aim at 128 or 256 MiB. */
const SIZE_LIMITS = [64 * 2 ** 10, 2 ** 20, 16 * 2 ** 20, 64 * 2 ** 20, 128 * 2 ** 20, 256 * 2 ** 20, 2 ** 30, 4 * 2 ** 30];
/** Buckets that are named in `levelZero`. */
const MAX_BUCKETS = 1_000;

const MORE = ['_FILE._FILE_SOURCE', '_FILE._SCHEMA_ID'];
const SOURCE = MANIFEST_COLUMNS.length;
const SCHEMA = SOURCE + 1;

/**
 * Reads what `readTable` does not keep of a snapshot's live files: two manifest lists and each manifest. undefined, and
 * problems, where one of them cannot be read. Throws only what the store throws.
 */
export async function readFileDetails(
  store: ObjectStore,
  location: TableLocation,
  snapshot: Snapshot,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<{ details?: FileDetails; problems: Problem[] }> {
  const root = tablePrefix(location.warehousePrefix, location.database, location.table);
  const problems = new Problems();
  const reading = new Reading(store, problems, options.signal);
  const groups = new Groups();
  const manifests = await manifestsOf(reading, root, snapshot, 'degraded');
  const whole =
    manifests !== undefined && (await readLiveEntries(reading, root, manifests, 'degraded', (slots) => groups.add(slots), MORE));
  return whole ? { details: groups.finish(), problems: problems.finish() } : { problems: problems.finish() };
}

class Groups {
  readonly #levels = new Map<number, FileSums>();
  readonly #sources = new Map<'append' | 'compact' | 'unknown', FileSums>();
  readonly #formats = new Map<string, FileSums>();
  readonly #schemas = new Map<number | bigint | null, FileSums>();
  readonly #sizes = new Map<number | null, FileSums>();
  readonly #levelZero = new Map<string, number>();
  #first: number | bigint | null = null;
  #last: number | bigint | null = null;

  add(slots: readonly Cell[]): void {
    const size = slots[SLOT.fileSize] as number | bigint;
    const records = slots[SLOT.rowCount] as number | bigint;
    const level = (slots[SLOT.level] as number | null) ?? 0;
    const source = slots[SOURCE];
    const schemaId = slots[SCHEMA];
    const name = String(slots[SLOT.fileName]);
    const dot = name.lastIndexOf('.');
    addFile(sumsOf(this.#levels, level), size, records);
    addFile(sumsOf(this.#sources, source === 0 ? 'append' : source === 1 ? 'compact' : 'unknown'), size, records);
    addFile(sumsOf(this.#formats, dot <= 0 ? '' : name.slice(dot + 1)), size, records);
    addFile(sumsOf(this.#schemas, typeof schemaId === 'number' || typeof schemaId === 'bigint' ? schemaId : null), size, records);
    addFile(sumsOf(this.#sizes, SIZE_LIMITS.find((limit) => size < limit) ?? null), size, records);
    if (level === 0) {
      const bucket = `${slots[SLOT.bucket]}/${latin1(slots[SLOT.partition] as Uint8Array)}`;
      this.#levelZero.set(bucket, (this.#levelZero.get(bucket) ?? 0) + 1);
    }
    const creation = slots[SLOT.creationTime] as number | bigint | null;
    if (creation === null) return;
    if (this.#first === null || creation < this.#first) this.#first = creation;
    if (this.#last === null || creation > this.#last) this.#last = creation;
  }

  finish(): FileDetails {
    const levelZero = [...this.#levelZero].map(([key, files]) => {
      const slash = key.indexOf('/');
      const partitionHex = Buffer.from(key.slice(slash + 1), 'latin1').toString('hex');
      return { partitionHex, bucket: Number(key.slice(0, slash)), files };
    });
    return {
      byLevel: list(this.#levels, (level) => ({ level })),
      bySource: list(this.#sources, (source) => ({ source })),
      byFormat: list(this.#formats, (format) => ({ format })),
      bySchema: list(this.#schemas, (id) => ({ schemaId: id === null ? null : BigInt(id) })),
      bySize: list(this.#sizes, (belowBytes) => ({ belowBytes })),
      levelZero: levelZero.sort((a, b) => b.files - a.files).slice(0, MAX_BUCKETS),
      ...(this.#first === null ? {} : { firstCreationWallClockMillis: BigInt(this.#first) }),
      ...(this.#last === null ? {} : { lastCreationWallClockMillis: BigInt(this.#last) }),
    };
  }
}

function sumsOf<K>(groups: Map<K, FileSums>, key: K): FileSums {
  let sums = groups.get(key);
  if (sums === undefined) {
    sums = { files: 0, size: 0, records: 0 };
    groups.set(key, sums);
  }
  return sums;
}

/** Ascending; what is unknown or without a limit comes last. */
function list<K extends string | number | bigint | null, T>(groups: Map<K, FileSums>, name: (key: K) => T): FileGroup<T>[] {
  return [...groups]
    .sort(([a], [b]) => (a === null ? 1 : b === null ? -1 : a < b ? -1 : a > b ? 1 : 0))
    .map(([key, { files, size, records }]) => ({ ...name(key), files, size: BigInt(size), records: BigInt(records) }));
}
