import { decompressBzip2 } from '../codec/bzip2.ts';
import { inflateRaw } from '../codec/deflate.ts';
import { decompressSnappy } from '../codec/snappy.ts';
import { decompressZstd } from '../codec/zstd.ts';
import { Damage, NotReadable, OverLimit } from '../damage.ts';
import { MAX_BLOCK_BYTES, MAX_ENTRIES, MAX_RATIO, RATIO_FREE_BYTES } from '../limits.ts';
import type { ContainerInfo, OnRow, Slots } from '../rows.ts';
import { Cursor } from './cursor.ts';
import { RowPlan } from './plan.ts';
import { parseAvroSchema } from './schema.ts';

type Decompress = (block: Uint8Array, maxBytes: number) => Uint8Array;

const CODECS: Record<string, Decompress> = {
  null: (block) => block,
  deflate: inflateRaw,
  // Followed by the CRC-32 of the uncompressed bytes.
  snappy: (block, maxBytes) => {
    if (block.byteLength < 4) throw new Damage('a snappy block with its checksum', `${block.byteLength} bytes`);
    return decompressSnappy(block.subarray(0, block.byteLength - 4), maxBytes);
  },
  bzip2: decompressBzip2,
  zstandard: decompressZstd,
};

const SYNC_BYTES = 16;
const NONE: ReadonlySet<string> = new Set();

/** Reads an Avro object container file (Avro 1.11 specification). Throws Damage, NotReadable or OverLimit. */
export function readAvro(
  file: Uint8Array,
  columns: readonly string[],
  onRow: OnRow,
  raw: ReadonlySet<string> = NONE,
): ContainerInfo {
  const outer = new Cursor();
  outer.reset(file);
  outer.skip(4);
  const meta = readMeta(outer);
  const codec = meta.get('avro.codec') ?? 'null';
  const decompress = Object.hasOwn(CODECS, codec) ? CODECS[codec] : undefined;
  if (decompress === undefined) throw new NotReadable(`Avro codec ${JSON.stringify(codec.slice(0, 40))}`);
  const schema = meta.get('avro.schema');
  if (schema === undefined) throw new Damage('a schema in the Avro header', 'none');
  const plan = new RowPlan(parseAvroSchema(schema), columns, raw);
  outer.skip(SYNC_BYTES);
  const sync = outer.bytes.subarray(outer.at - SYNC_BYTES, outer.at);
  const inner = new Cursor();
  const slots: Slots = columns.map(() => null);
  let rows = 0;
  let decompressed = 0;
  while (outer.at < outer.end) {
    const count = outer.readLong();
    const block = outer.readBytes();
    const start = outer.at - block.byteLength;
    outer.skip(SYNC_BYTES);
    if (!sync.equals(outer.bytes.subarray(outer.at - SYNC_BYTES, outer.at))) {
      throw new Damage('the sync marker after a block', 'other bytes', outer.at - SYNC_BYTES);
    }
    const data = decompress(block, MAX_BLOCK_BYTES);
    decompressed += data.byteLength;
    if (decompressed > RATIO_FREE_BYTES && decompressed > file.byteLength * MAX_RATIO)
      throw new OverLimit('compression ratio', MAX_RATIO);
    if (typeof count === 'bigint' || count < 0 || count > data.byteLength)
      throw new Damage('a row count that fits the block', String(count), start);
    rows += count;
    if (rows > MAX_ENTRIES) throw new OverLimit('rows of one file', MAX_ENTRIES);
    inner.reset(data);
    plan.readRows(inner, count, slots, onRow);
    if (inner.at !== inner.end) throw new Damage('the end of the block', `${inner.end - inner.at} more bytes`, start);
  }
  return { format: 'avro', codec, rows };
}

function readMeta(cursor: Cursor): Map<string, string> {
  const meta = new Map<string, string>();
  for (;;) {
    let count = cursor.readLong();
    if (count === 0) return meta;
    if (count < 0) {
      count = -count;
      cursor.readLong();
    }
    if (count > cursor.end - cursor.at) throw new Damage('an Avro header', 'a count too large', cursor.at);
    for (let i = 0; i < count; i++) {
      const name = cursor.readString();
      meta.set(name, cursor.readString());
    }
  }
}
