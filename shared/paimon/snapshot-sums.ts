import { manifestsOf, readListedManifest } from './live-state.ts';
import { ADD, identityOf, SLOT } from './manifest.ts';
import type { ManifestMeta } from './manifest-list.ts';
import type { Reading } from './reading.ts';
import type { Snapshot } from './snapshot.ts';
import { plus } from './sums.ts';
import type { SnapshotLive } from './table-metadata.ts';

/** What is kept of one manifest: a few numbers an entry, since hundreds of snapshots share it. */
interface Entries {
  /** Number of the file's identity; positive for ADD, negative for DELETE. */
  identities: number[];
  sizes: (number | bigint)[];
  records: (number | bigint)[];
  deletes: (number | bigint | null)[];
  added: number;
  deleted: number;
}

/** Live sums of many snapshots of one table; each manifest and list is read once. */
export class SnapshotSums {
  readonly #reading: Reading;
  readonly #tableRoot: string;
  readonly #manifests = new Map<string, Promise<Entries | undefined>>();
  readonly #identities = new Map<string, number>();

  constructor(reading: Reading, tableRoot: string) {
    this.#reading = reading;
    this.#tableRoot = tableRoot;
  }

  /** undefined, and a warning, when a list or manifest of the snapshot is gone or damaged. */
  async sumsOf(snapshot: Snapshot): Promise<SnapshotLive | undefined> {
    const manifests = await manifestsOf(this.#reading, this.#tableRoot, snapshot, 'warning');
    if (manifests === undefined) return undefined;
    const parts = await Promise.all(manifests.map((manifest) => this.#entriesOf(manifest)));
    if (parts.includes(undefined)) return undefined;
    return sum(parts as Entries[]);
  }

  #entriesOf(meta: ManifestMeta): Promise<Entries | undefined> {
    let entries = this.#manifests.get(meta.fileName);
    if (entries === undefined) {
      entries = this.#read(meta);
      this.#manifests.set(meta.fileName, entries);
    }
    return entries;
  }

  async #read(meta: ManifestMeta): Promise<Entries | undefined> {
    const entries: Entries = { identities: [], sizes: [], records: [], deletes: [], added: 0, deleted: 0 };
    const done = await readListedManifest(this.#reading, this.#tableRoot, meta, 'warning', (slots) => {
      const identity = identityOf(slots);
      let number = this.#identities.get(identity);
      if (number === undefined) {
        number = this.#identities.size + 1;
        this.#identities.set(identity, number);
      }
      if (slots[SLOT.kind] === ADD) {
        entries.identities.push(number);
        entries.added++;
      } else {
        entries.identities.push(-number);
        entries.deleted++;
      }
      entries.sizes.push(slots[SLOT.fileSize] as number | bigint);
      entries.records.push(slots[SLOT.rowCount] as number | bigint);
      entries.deletes.push(slots[SLOT.deleteRowCount] as number | bigint | null);
    });
    return done ? entries : undefined;
  }
}

function sum(parts: readonly Entries[]): SnapshotLive {
  const cancelled = new Set<number>();
  for (const part of parts)
    if (part.deleted > 0) for (const identity of part.identities) if (identity < 0) cancelled.add(-identity);
  const live = {
    files: 0,
    size: 0 as number | bigint,
    records: 0 as number | bigint,
    deletes: 0 as number | bigint | null,
    entriesAdd: 0,
    entriesDelete: 0,
  };
  for (const part of parts) {
    live.entriesAdd += part.added;
    live.entriesDelete += part.deleted;
    for (let i = 0; i < part.identities.length; i++) {
      const identity = part.identities[i]!;
      if (identity < 0 || (cancelled.size > 0 && cancelled.has(identity))) continue;
      live.files++;
      live.size = plus(live.size, part.sizes[i]!);
      live.records = plus(live.records, part.records[i]!);
      const deletes = part.deletes[i]!;
      live.deletes = deletes === null || live.deletes === null ? null : plus(live.deletes, deletes);
    }
  }
  return {
    manifests: parts.length,
    entriesAdd: live.entriesAdd,
    entriesDelete: live.entriesDelete,
    files: live.files,
    size: BigInt(live.size),
    records: BigInt(live.records),
    ...(live.deletes === null ? {} : { deleteRecords: BigInt(live.deletes) }),
  };
}
