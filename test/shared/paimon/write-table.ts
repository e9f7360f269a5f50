import { deflateRawSync } from 'node:zlib';
import { parseDataType } from '../../../shared/paimon/data-type.ts';
import { encodeRow } from './encode-row.ts';
import type { MemoryStore } from './memory-store.ts';

/** Writes metadata files of tables, as small as the reader allows: Avro manifests, JSON schemas and snapshots. */

export interface WrittenFile {
  name: string;
  kind?: 0 | 1;
  partition?: string | null;
  bucket?: number;
  level?: number;
  size?: number | bigint;
  rows?: number | bigint;
  extraFiles?: string[];
  externalPath?: string;
  totalBuckets?: number;
  /** Milliseconds. */
  creation?: number;
  deleteRows?: number;
}

const SYNC = Buffer.from('0123456789abcdef');

const STATS = {
  type: 'record',
  name: 'stats',
  fields: [
    { name: '_MIN_VALUES', type: 'bytes' },
    { name: '_NULL_COUNTS', type: ['null', { type: 'array', items: 'long' }] },
  ],
};
const MANIFEST = {
  type: 'record',
  name: 'entry',
  fields: [
    { name: '_VERSION', type: 'int' },
    { name: '_KIND', type: 'int' },
    { name: '_PARTITION', type: 'bytes' },
    { name: '_BUCKET', type: 'int' },
    { name: '_TOTAL_BUCKETS', type: 'int' },
    {
      name: '_FILE',
      type: {
        type: 'record',
        name: 'file',
        fields: [
          { name: '_FILE_NAME', type: 'string' },
          { name: '_FILE_SIZE', type: 'long' },
          { name: '_ROW_COUNT', type: 'long' },
          // Not asked for by the reader: stands between the fields that are.
          { name: '_VALUE_STATS', type: STATS },
          { name: '_SCHEMA_ID', type: 'long' },
          { name: '_LEVEL', type: 'int' },
          { name: '_EXTRA_FILES', type: { type: 'array', items: 'string' } },
          { name: '_EXTERNAL_PATH', type: ['null', 'string'] },
          { name: '_CREATION_TIME', type: ['null', { type: 'long', logicalType: 'timestamp-millis' }] },
          { name: '_DELETE_ROW_COUNT', type: ['null', 'long'] },
        ],
      },
    },
  ],
};
const LIST = {
  type: 'record',
  name: 'list',
  fields: [
    { name: '_VERSION', type: 'int' },
    { name: '_FILE_NAME', type: 'string' },
    { name: '_FILE_SIZE', type: 'long' },
    { name: '_NUM_ADDED_FILES', type: 'long' },
    { name: '_NUM_DELETED_FILES', type: 'long' },
    { name: '_SCHEMA_ID', type: 'long' },
  ],
};

export function varint(value: number | bigint): Buffer {
  let rest = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n));
  const bytes: number[] = [];
  while (rest >= 128n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  return Buffer.from([...bytes, Number(rest)]);
}

const sized = (bytes: Uint8Array): Buffer => Buffer.concat([varint(bytes.byteLength), bytes]);
const text = (value: string): Buffer => sized(Buffer.from(value));

/** An Avro object container file; `blocks` hold encoded rows. */
export function avroFile(schema: unknown, blocks: Buffer[][], codec: 'null' | 'deflate' = 'null'): Buffer {
  const meta = [text('avro.schema'), text(JSON.stringify(schema)), text('avro.codec'), text(codec)];
  const parts: Uint8Array[] = [Buffer.from('Obj\x01', 'latin1'), varint(2), ...meta, varint(0), SYNC];
  for (const rows of blocks) {
    const raw = Buffer.concat(rows);
    parts.push(varint(rows.length), sized(codec === 'deflate' ? deflateRawSync(raw) : raw), SYNC);
  }
  return Buffer.concat(parts);
}

const PARTITION = [parseDataType('STRING')];

export function encodeEntry(file: WrittenFile, partitioned: boolean): Buffer {
  const { kind = 0, partition = 'a', bucket = 0, level = 0, size = 100, rows = 10, extraFiles = [], externalPath } = file;
  const { totalBuckets = 1, creation, deleteRows } = file;
  const optional = (value: number | undefined) => (value === undefined ? [varint(0)] : [varint(1), varint(value)]);
  const statistics = encodeRow(['x', 'statistics of some length'], [PARTITION[0]!, PARTITION[0]!]);
  return Buffer.concat([
    varint(2),
    varint(kind),
    sized(partitioned ? encodeRow([partition], PARTITION) : encodeRow([], [])),
    varint(bucket),
    varint(totalBuckets),
    text(file.name),
    varint(size),
    varint(rows),
    sized(statistics),
    // Counts of an array: a block of two with its size in bytes, as Avro permits.
    varint(1),
    varint(-2),
    varint(2),
    varint(0),
    varint(7),
    varint(0),
    varint(0),
    varint(level),
    ...(extraFiles.length > 0 ? [varint(extraFiles.length), ...extraFiles.map(text)] : []),
    varint(0),
    ...(externalPath === undefined ? [varint(0)] : [varint(1), text(externalPath)]),
    ...optional(creation),
    ...optional(deleteRows),
  ]);
}

export function manifestFile(files: readonly WrittenFile[], partitioned = true, perBlock = 100): Buffer {
  const blocks: Buffer[][] = [];
  for (let at = 0; at < files.length; at += perBlock)
    blocks.push(files.slice(at, at + perBlock).map((file) => encodeEntry(file, partitioned)));
  return avroFile(MANIFEST, blocks, 'deflate');
}

/** A table that grows by commits, in the store below `root`. */
export class TableWriter {
  snapshotId = 0;
  total = 0n;
  #manifests: { name: string; size: number; added: number; deleted: number }[] = [];
  #names = 0;
  readonly store: Pick<MemoryStore, 'put'>;
  readonly root: string;
  readonly partitioned: boolean;

  constructor(store: Pick<MemoryStore, 'put'>, root: string, options: { partitioned?: boolean } = {}) {
    this.store = store;
    this.root = root;
    this.partitioned = options.partitioned ?? true;
  }

  schema(id = 0, over: Record<string, unknown> = {}): this {
    const fields = [
      { id: 0, name: 'p', type: 'STRING' },
      { id: 1, name: 'v', type: 'INT' },
    ];
    const document = {
      version: 3,
      id,
      fields,
      highestFieldId: 1,
      partitionKeys: this.partitioned ? ['p'] : [],
      primaryKeys: [],
      options: {},
      timeMillis: 1,
      ...over,
    };
    this.store.put(`${this.root}schema/schema-${id}`, JSON.stringify(document));
    return this;
  }

  manifest(files: readonly WrittenFile[]): { name: string; size: number; added: number; deleted: number } {
    const bytes = manifestFile(files, this.partitioned);
    const name = `manifest-${this.#names++}`;
    this.store.put(`${this.root}manifest/${name}`, bytes);
    const deleted = files.filter(({ kind }) => kind === 1).length;
    return { name, size: bytes.length, added: files.length - deleted, deleted };
  }

  list(manifests: readonly { name: string; size: number; added: number; deleted: number }[]): { name: string; size: number } {
    const rows = manifests.map(({ name, size, added, deleted }) =>
      Buffer.concat([varint(2), text(name), varint(size), varint(added), varint(deleted), varint(0)]),
    );
    const bytes = avroFile(LIST, rows.length > 0 ? [rows] : []);
    const name = `manifest-list-${this.#names++}`;
    this.store.put(`${this.root}manifest/${name}`, bytes);
    return { name, size: bytes.length };
  }

  commit(files: readonly WrittenFile[], over: Record<string, unknown> = {}): this {
    const base = this.list(this.#manifests);
    const manifest = this.manifest(files);
    const delta = this.list([manifest]);
    this.#manifests.push(manifest);
    this.snapshotId++;
    const added = files.reduce((sum, { kind = 0, rows = 10 }) => sum + (kind === 0 ? BigInt(rows) : -BigInt(rows)), 0n);
    this.total += added;
    const document = {
      version: 3,
      id: this.snapshotId,
      schemaId: 0,
      baseManifestList: base.name,
      baseManifestListSize: base.size,
      deltaManifestList: delta.name,
      deltaManifestListSize: delta.size,
      commitUser: 'writer',
      commitIdentifier: this.snapshotId,
      commitKind: 'APPEND',
      timeMillis: this.snapshotId,
      totalRecordCount: '#total',
      ...over,
    };
    // A total beyond 2^53 must not pass through a double.
    this.store.put(
      `${this.root}snapshot/snapshot-${this.snapshotId}`,
      JSON.stringify(document).replace('"#total"', this.total.toString()),
    );
    this.store.put(`${this.root}snapshot/LATEST`, String(this.snapshotId));
    if (this.snapshotId === 1) this.store.put(`${this.root}snapshot/EARLIEST`, '1');
    return this;
  }
}
