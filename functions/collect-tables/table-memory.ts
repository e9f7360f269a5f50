import { createHash } from 'node:crypto';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { ObjectInfo, ObjectStore, StoredObject } from '../../shared/object-store/object-store.ts';
import { Following, type KnownLive } from '../../shared/paimon/follow.ts';
import { tablePrefix } from '../../shared/paimon/layout.ts';
import type { BucketSum } from '../../shared/paimon/live-sums.ts';
import { readTable, type TableLocation, type TableMetadata } from '../../shared/paimon/table.ts';
import { rememberManifests } from './remembered-manifests.ts';

/**
 * What a read leaves for the next one of the same table: the small objects that it read, by their tags, and the sums of live
 * files. With it the same reader comes to the same metadata, asking only for what is new.
 */
export interface TableMemory {
  /** By key below the table's folder. */
  objects: Map<string, { etag: string; bytes: Uint8Array }>;
  /** By branch; `''` is main. */
  live: Map<string, KnownLive>;
}

/** Raise it when the content means something else: what was kept is then of no use. */
const VERSION = 1;
/** Of one object, of all of a table, and compressed. Over these a table is read whole each time. */
const MAX_OBJECT_BYTES = 64 * 1024;
const MAX_OBJECTS_BYTES = 8 * 1024 * 1024;
const MAX_STORED_BYTES = 4 * 1024 * 1024;
const MAX_TEXT_BYTES = 128 * 1024 * 1024;

/** Null: too much to keep. */
export function packMemory(memory: TableMemory): Buffer | null {
  const text = JSON.stringify(
    {
      version: VERSION,
      objects: [...memory.objects].map(([key, { etag, bytes }]) => [key, etag, Buffer.from(bytes).toString('latin1')]),
      live: [...memory.live].map(([branch, { identity, sums }]) => [
        branch,
        identity,
        sums.deleteRecords,
        sums.externalPathFiles,
        [...sums.byExtension],
        [...sums.byLevel],
        [...sums.partitions].map(([hex, { buckets, totalBuckets, lastCreation }]) => [
          hex,
          totalBuckets,
          lastCreation,
          [...buckets].map(([bucket, { files, size, records }]) => [bucket, files, size, records]),
        ]),
      ]),
    },
    (_key, value) => (typeof value === 'bigint' ? value.toString() : value),
  );
  if (text.length > MAX_TEXT_BYTES) return null;
  const packed = deflateRawSync(text);
  return packed.byteLength > MAX_STORED_BYTES ? null : packed;
}

type Packed = {
  version: number;
  objects: [key: string, etag: string, latin1: string][];
  live: [
    branch: string,
    identity: string,
    deleteRecords: string | null,
    externalPathFiles: number,
    byExtension: [string, number][],
    byLevel: [number, number][],
    partitions: [
      hex: string,
      totalBuckets: number[],
      lastCreation: string | null,
      buckets: [bucket: number, files: number, size: string, records: string][],
    ][],
  ][];
};

/** undefined: of another version. Only we write it, so damage is an error and throws. */
export function unpackMemory(content: Buffer): TableMemory | undefined {
  const packed = JSON.parse(inflateRawSync(content, { maxOutputLength: MAX_TEXT_BYTES }).toString()) as Packed;
  if (packed.version !== VERSION) return undefined;
  const integer = (text: string | null) => (text === null ? null : BigInt(text));
  return {
    objects: new Map(packed.objects.map(([key, etag, latin1]) => [key, { etag, bytes: Buffer.from(latin1, 'latin1') }])),
    live: new Map(
      packed.live.map(([branch, identity, deleteRecords, externalPathFiles, byExtension, byLevel, partitions]) => [
        branch,
        {
          identity,
          sums: {
            deleteRecords: integer(deleteRecords),
            externalPathFiles,
            byExtension: new Map(byExtension),
            byLevel: new Map(byLevel),
            partitions: new Map(
              partitions.map(([hex, totalBuckets, lastCreation, buckets]) => [
                hex,
                {
                  totalBuckets,
                  lastCreation: integer(lastCreation),
                  buckets: new Map(
                    buckets.map(([bucket, files, size, records]): [number, BucketSum] => [
                      bucket,
                      { files, size: BigInt(size), records: BigInt(records) },
                    ]),
                  ),
                },
              ]),
            ),
          },
        },
      ]),
    ),
  };
}

export interface RememberingStore extends ObjectStore {
  /** The small objects that this read used. */
  used(): TableMemory['objects'];
}

/**
 * A store that answers from memory what a listing of this same read shows unchanged, and what never changes under its name
 * (statistics, index manifests). `root`: the table's folder, ending in `/`.
 */
export function rememberObjects(store: ObjectStore, root: string, remembered: TableMemory['objects']): RememberingStore {
  const listed = new Map<string, ObjectInfo>();
  const used: TableMemory['objects'] = new Map();
  let usedBytes = 0;

  function use(key: string, etag: string, bytes: Uint8Array): void {
    const name = key.slice(root.length);
    if (!key.startsWith(root) || bytes.byteLength > MAX_OBJECT_BYTES || usedBytes + bytes.byteLength > MAX_OBJECTS_BYTES) return;
    if (used.has(name) || (name.startsWith('manifest/') && !isImmutable(name))) return;
    usedBytes += bytes.byteLength;
    used.set(name, { etag, bytes });
  }

  function known(key: string): StoredObject | undefined {
    if (!key.startsWith(root)) return undefined;
    const name = key.slice(root.length);
    const info = listed.get(key);
    const before = remembered.get(name);
    if (before && (info ? info.etag === before.etag : isImmutable(name)))
      return {
        etag: before.etag,
        sizeBytes: before.bytes.byteLength,
        lastModified: info?.lastModified ?? new Date(0),
        bytes: before.bytes,
      };
    const hint = info && hintOf(key, info);
    return hint && { ...info, bytes: hint };
  }

  /** A hint holds a number; where its tag is the digest of the number that belongs there, it need not be read. */
  function hintOf(key: string, info: ObjectInfo): Uint8Array | undefined {
    const hint = /^(.*\/snapshot\/)(LATEST|EARLIEST)$/.exec(key);
    if (!hint || info.sizeBytes > 20) return undefined;
    const ids = [...listed.keys()].flatMap((each) => {
      const id = each.startsWith(`${hint[1]}snapshot-`) ? /^snapshot-(\d{1,18})$/.exec(each.slice(hint[1]!.length)) : null;
      return id ? [BigInt(id[1]!)] : [];
    });
    if (ids.length === 0) return undefined;
    const id = ids.reduce((a, b) => ((hint[2] === 'LATEST' ? b > a : b < a) ? b : a));
    const bytes = Buffer.from(id.toString());
    return createHash('md5').update(bytes).digest('hex') === info.etag.toLowerCase() ? bytes : undefined;
  }

  return {
    getRange: (key, offset, length, options) => store.getRange(key, offset, length, options),
    head: (key, options) => store.head(key, options),
    used: () => used,
    async list(request) {
      const page = await store.list(request);
      for (const object of page.objects) listed.set(object.key, object);
      return page;
    },
    async get(key, options) {
      const found = known(key);
      if (found) {
        use(key, found.etag, found.bytes);
        return found;
      }
      const object = await store.get(key, options);
      if (object) use(key, object.etag, object.bytes);
      return object;
    },
  };
}

function isImmutable(name: string): boolean {
  return name.startsWith('statistics/stat') || name.startsWith('manifest/index-manifest-');
}

/**
 * Reads a table with what its last read left. `isCheck`: reads everything again and compares. `store` has the manifests of
 * this read at hand, for who reads commits next.
 */
export async function readWithMemory(
  store: ObjectStore,
  location: TableLocation,
  memory: TableMemory | undefined,
  options: { isCheck?: boolean; signal?: AbortSignal } = {},
): Promise<{ metadata: TableMetadata; store: ObjectStore; following: Following; left: TableMemory }> {
  const { isCheck = false, signal } = options;
  const root = tablePrefix(location.warehousePrefix, location.database, location.table);
  const objects = rememberObjects(store, root, isCheck || !memory ? new Map() : memory.objects);
  const withManifests = rememberManifests(objects);
  const following = new Following(memory?.live ?? new Map(), { isCheck });
  const metadata = await readTable(withManifests, location, { signal, following });
  return { metadata, store: withManifests, following, left: { objects: objects.used(), live: following.found } };
}
