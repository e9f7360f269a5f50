import { Damage, NotReadable, OverLimit } from '../damage.ts';
import { MAX_BLOCK_BYTES } from '../limits.ts';
import type { Cell } from '../rows.ts';
import { BitRuns } from './bit-runs.ts';
import { readDeltas } from './delta.ts';
import { type Node, TYPE } from './footer.ts';
import type { DataPage, DictionaryPage } from './pages.ts';

type Next = () => Cell;

/** `Encoding` of parquet.thrift. */
const ENCODING = {
  plain: 0,
  plainDictionary: 2,
  rle: 3,
  deltaBinaryPacked: 5,
  deltaLengthByteArray: 6,
  deltaByteArray: 7,
  rleDictionary: 8,
} as const;

/** The values of a dictionary page. */
export function readDictionary(node: Node, { bytes, count, offset }: DictionaryPage): Cell[] {
  const next = plain(node, bytes, 0, offset);
  // A value takes bytes, except for a fixed length of none, which no writer makes.
  if (count > bytes.byteLength) throw new Damage('a dictionary that fits its page', `${count} values`, offset);
  return Array.from({ length: count }, next);
}

/** Gives the values of a data page one by one, nulls left out. Throws Damage or NotReadable. */
export function valuesOf(node: Node, page: DataPage, dictionary: Cell[] | undefined): Next {
  const { bytes, start, offset } = page;
  switch (page.encoding) {
    case ENCODING.plain:
      return plain(node, bytes, start, offset);
    case ENCODING.plainDictionary:
    case ENCODING.rleDictionary:
      return positions(bytes, start, offset, dictionary);
    case ENCODING.rle: {
      if (node.type !== TYPE.boolean) throw new NotReadable('runs of a Parquet type other than boolean');
      const runs = new BitRuns(bytes, start + 4, bytes.byteLength, 1, offset);
      return () => runs.next() === 1;
    }
    case ENCODING.deltaBinaryPacked: {
      if (node.type !== TYPE.int32 && node.type !== TYPE.int64)
        throw new Damage('deltas of integers', `type ${node.type}`, offset);
      const { values } = readDeltas(bytes, start, page.count, node.type === TYPE.int32 ? 32 : 64, offset);
      return inOrder(values, (value) => integer(node, value), offset);
    }
    case ENCODING.deltaLengthByteArray: {
      const lengths = readDeltas(bytes, start, page.count, 32, offset);
      const next = slices(bytes, lengths.at, offset);
      return inOrder(lengths.values, (length) => bytesOrText(node, next(Number(length))), offset);
    }
    case ENCODING.deltaByteArray:
      return prefixed(node, page);
    default:
      throw new NotReadable(`Parquet encoding ${page.encoding}`);
  }
}

function positions(bytes: Uint8Array, start: number, offset: number, dictionary: Cell[] | undefined): Next {
  if (dictionary === undefined) throw new Damage('a dictionary page before the data', 'none', offset);
  const width = bytes[start];
  // A page of nothing but nulls may be empty.
  const runs = width === undefined ? undefined : new BitRuns(bytes, start + 1, bytes.byteLength, width, offset);
  return () => {
    const position = runs?.next();
    const value = position === undefined ? undefined : dictionary[position];
    if (value === undefined) throw new Damage('a position inside the dictionary', String(position), offset);
    return value;
  };
}

function prefixed(node: Node, { bytes, start, count, offset }: DataPage): Next {
  const prefixes = readDeltas(bytes, start, count, 32, offset);
  const suffixes = readDeltas(bytes, prefixes.at, count, 32, offset);
  const next = slices(bytes, suffixes.at, offset);
  let previous: Buffer = Buffer.alloc(0);
  let made = 0;
  let i = 0;
  return () => {
    const prefix = Number(prefixes.values[i] ?? -1);
    const suffix = Number(suffixes.values[i] ?? -1);
    i++;
    if (prefix < 0 || prefix > previous.byteLength) throw new Damage('a prefix of the value before', `${prefix} bytes`, offset);
    // Each value may repeat all of the one before: what comes out can be far more than the page.
    made += prefix;
    if (made > MAX_BLOCK_BYTES) throw new OverLimit('bytes of one page', MAX_BLOCK_BYTES);
    const rest = next(suffix);
    previous = prefix === 0 ? rest : Buffer.concat([previous.subarray(0, prefix), rest]);
    return bytesOrText(node, previous);
  };
}

function inOrder<T>(values: readonly T[], map: (value: T) => Cell, offset: number): Next {
  let i = 0;
  return () => {
    const value = values[i++];
    if (value === undefined) throw new Damage('more values in the page', 'its end', offset);
    return map(value);
  };
}

function slices(bytes: Uint8Array, start: number, offset: number): (length: number) => Buffer {
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = start;
  return (length) => {
    if (length < 0 || length > data.byteLength - at) throw new Damage('a length inside the page', `${length}`, offset);
    at += length;
    return data.subarray(at - length, at);
  };
}

function plain(node: Node, bytes: Uint8Array, start: number, offset: number): Next {
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = start;
  const take = (length: number): number => {
    if (length > data.byteLength - at) throw new Damage('more values in the page', 'its end', offset);
    at += length;
    return at - length;
  };
  switch (node.type) {
    case TYPE.boolean: {
      let bit = start * 8;
      return () => {
        const byte = data[bit >> 3];
        if (byte === undefined) throw new Damage('more values in the page', 'its end', offset);
        return ((byte >> (bit++ & 7)) & 1) === 1;
      };
    }
    case TYPE.int32:
      return () => data.readInt32LE(take(4));
    case TYPE.int64:
      return () => {
        const from = take(8);
        const high = data.readInt32LE(from + 4);
        const low = data.readUInt32LE(from);
        const value = high * 2 ** 32 + low;
        return integer(node, Number.isSafeInteger(value) ? value : (BigInt(high) << 32n) | BigInt(low));
      };
    case TYPE.int96:
      // Nanoseconds of the day, then the Julian day.
      return () => {
        const from = take(12);
        const millis = Number(data.readBigInt64LE(from) / 1_000_000n);
        return (data.readInt32LE(from + 8) - 2_440_588) * 86_400_000 + millis;
      };
    case TYPE.float:
      return () => data.readFloatLE(take(4));
    case TYPE.double:
      return () => data.readDoubleLE(take(8));
    case TYPE.bytes: {
      let previous: Cell = null;
      return () => {
        const length = data.readUInt32LE(take(4));
        const from = take(length);
        const bytes = data.subarray(from, from + length);
        // Rows of one partition follow each other: equal bytes come as the same object.
        if (!(previous instanceof Uint8Array) || !bytes.equals(previous)) previous = bytesOrText(node, bytes);
        return previous;
      };
    }
    case TYPE.fixed:
      return () => {
        const from = take(node.typeBytes);
        return data.subarray(from, from + node.typeBytes);
      };
    default:
      throw new Damage('a Parquet type', `${node.type}`, offset);
  }
}

function bytesOrText(node: Node, value: Buffer): Cell {
  return node.meaning === 'text' ? value.toString('utf8') : value;
}

/** Timestamps come as whole milliseconds, as in Avro manifests. */
function integer(node: Node, value: number | bigint): number | bigint {
  if (node.meaning !== 'micros' && node.meaning !== 'nanos') return value;
  const perMilli = node.meaning === 'micros' ? 1_000 : 1_000_000;
  if (typeof value === 'number') return Math.floor(value / perMilli);
  // Division of bigints cuts towards zero.
  const remainder = ((value % BigInt(perMilli)) + BigInt(perMilli)) % BigInt(perMilli);
  return Number((value - remainder) / BigInt(perMilli));
}
