import { Damage, NotReadable, OverLimit } from '../damage.ts';
import { MAX_ENTRIES, MAX_LIST_ITEMS } from '../limits.ts';
import type { Cell, RecordCell } from '../rows.ts';
import { BooleanRuns, ByteRuns } from './byte-runs.ts';
import { IntRuns } from './int-runs.ts';
import type { OrcType } from './tail.ts';
import { wallClockOf } from './wall-clock.ts';

/** `Type.Kind` of the footer (orc_proto.proto). */
export const KIND = {
  boolean: 0,
  byte: 1,
  short: 2,
  int: 3,
  long: 4,
  float: 5,
  double: 6,
  string: 7,
  binary: 8,
  timestamp: 9,
  list: 10,
  map: 11,
  struct: 12,
  date: 15,
  varchar: 16,
  char: 17,
  timestampInstant: 18,
} as const;

/** `Stream.Kind` of the stripe footer. */
export const STREAM = { present: 0, data: 1, length: 2, dictionaryData: 3, secondary: 5 } as const;

/** What a stripe holds of its columns. A stream that was not written is empty. */
export interface StripeColumns {
  types: readonly OrcType[];
  zone: string;
  stream(column: number, kind: number): { bytes: Uint8Array; offset: number };
  has(column: number, kind: number): boolean;
  encoding(column: number): { kind: number; dictionarySize: number };
}

/** Gives the next value of a column, in the order of its rows; call it exactly once for every row of its parent. */
export type Read = () => Cell;

/** One bit a row of the parent: is there a value? undefined where every row has one. */
export function presentOf(stripe: StripeColumns, column: number): BooleanRuns | undefined {
  if (!stripe.has(column, STREAM.present)) return undefined;
  const { bytes, offset } = stripe.stream(column, STREAM.present);
  return new BooleanRuns(bytes, offset);
}

/** A reader of one column with all below it. Throws NotReadable for types that no manifest has. */
export function readerOf(stripe: StripeColumns, column: number): Read {
  const read = valuesOf(stripe, column);
  const present = presentOf(stripe, column);
  if (present === undefined) return read;
  return () => (present.next() ? read() : null);
}

function valuesOf(stripe: StripeColumns, column: number): Read {
  const type = stripe.types[column]!;
  switch (type.kind) {
    case KIND.boolean: {
      const { bytes, offset } = stripe.stream(column, STREAM.data);
      const bits = new BooleanRuns(bytes, offset);
      return () => bits.next();
    }
    case KIND.byte: {
      const { bytes, offset } = stripe.stream(column, STREAM.data);
      const values = new ByteRuns(bytes, offset);
      return () => (values.next() << 24) >> 24;
    }
    case KIND.short:
    case KIND.int:
    case KIND.long:
    case KIND.date: {
      const values = ints(stripe, column, STREAM.data, true);
      return () => values.next();
    }
    case KIND.float:
      return floats(stripe, column, 4);
    case KIND.double:
      return floats(stripe, column, 8);
    case KIND.string:
    case KIND.varchar:
    case KIND.char:
      return stripe.encoding(column).kind % 2 === 1 ? dictionaryTexts(stripe, column) : texts(stripe, column);
    case KIND.binary: {
      const next = slices(stripe, column, STREAM.data);
      let previous: Buffer = Buffer.alloc(0);
      return () => {
        // Rows of one partition follow each other: equal bytes come as the same object.
        const bytes = next();
        if (!bytes.equals(previous)) previous = bytes;
        return previous;
      };
    }
    case KIND.timestamp:
      return timestamps(stripe, column, wallClockOf(stripe.zone));
    case KIND.timestampInstant:
      return timestamps(stripe, column, wallClockOf('UTC'));
    case KIND.list:
      return lists(stripe, column, type);
    case KIND.map:
      return maps(stripe, column, type);
    case KIND.struct: {
      const fields = type.children.map((child, i) => [type.names[i] ?? String(i), readerOf(stripe, child)] as const);
      return () => {
        const record: RecordCell = new Map();
        for (const [name, read] of fields) record.set(name, read());
        return record;
      };
    }
    default:
      throw new NotReadable(`an ORC column of type ${type.kind}`);
  }
}

function ints(stripe: StripeColumns, column: number, kind: number, signed: boolean): IntRuns {
  const { bytes, offset } = stripe.stream(column, kind);
  // Encodings 2 and 3 are the second versions of 0 and 1.
  return new IntRuns(bytes, { signed, version: stripe.encoding(column).kind >= 2 ? 2 : 1, offset });
}

function floats(stripe: StripeColumns, column: number, width: 4 | 8): Read {
  const { bytes, offset } = stripe.stream(column, STREAM.data);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  return () => {
    if (at + width > bytes.byteLength) throw new Damage('more numbers in an ORC stream', 'its end', offset);
    at += width;
    return width === 4 ? view.getFloat32(at - width, true) : view.getFloat64(at - width, true);
  };
}

/** Byte strings of stated lengths, one after the other; views of the stream. */
function slices(stripe: StripeColumns, column: number, kind: number): () => Buffer {
  const { bytes, offset } = stripe.stream(column, kind);
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const lengths = ints(stripe, column, STREAM.length, false);
  let at = 0;
  return () => {
    const length = lengths.next();
    if (typeof length === 'bigint' || length < 0 || length > data.byteLength - at) {
      throw new Damage('a length inside the ORC stream', String(length), offset);
    }
    at += length;
    return data.subarray(at - length, at);
  };
}

function texts(stripe: StripeColumns, column: number): Read {
  const next = slices(stripe, column, STREAM.data);
  return () => next().toString('utf8');
}

function dictionaryTexts(stripe: StripeColumns, column: number): Read {
  const { dictionarySize } = stripe.encoding(column);
  if (dictionarySize > MAX_ENTRIES) throw new OverLimit('size of a dictionary', MAX_ENTRIES);
  const next = slices(stripe, column, STREAM.dictionaryData);
  const dictionary: string[] = [];
  // Grows with what the streams really hold, not with the size that the footer states.
  for (let i = 0; i < dictionarySize; i++) dictionary.push(next().toString('utf8'));
  const positions = ints(stripe, column, STREAM.data, false);
  const { offset } = stripe.stream(column, STREAM.data);
  return () => {
    const position = positions.next();
    const text = dictionary[Number(position)];
    if (text === undefined) throw new Damage('a position inside the dictionary', String(position), offset);
    return text;
  };
}

/** Whole milliseconds of the wall clock. */
function timestamps(stripe: StripeColumns, column: number, wallClock: (seconds: number) => number): Read {
  const seconds = ints(stripe, column, STREAM.data, true);
  const fractions = ints(stripe, column, STREAM.secondary, false);
  const { offset } = stripe.stream(column, STREAM.data);
  return () => {
    const stored = seconds.next();
    const nanos = nanosOf(fractions.next());
    if (typeof stored === 'bigint' || nanos > 999_999_999) throw new Damage('a timestamp', 'one out of range', offset);
    const whole = wallClock(stored);
    const millis = whole * 1000 + Math.floor(nanos / 1_000_000);
    if (!Number.isSafeInteger(millis)) throw new Damage('a timestamp', 'one out of range', offset);
    // Writers cut seconds before 1970 towards zero, so a fraction of a millisecond or more belongs to the second before.
    return whole < 0 && nanos > 999_999 ? millis - 1000 : millis;
  };
}

/** The lowest three bits say how many zeros, less one, were cut off the end. */
function nanosOf(stored: number | bigint): number {
  const value = Number(stored);
  const zeros = value % 8;
  const digits = Math.floor(value / 8);
  return zeros === 0 ? digits : digits * 10 ** (zeros + 1);
}

function counts(stripe: StripeColumns, column: number): () => number {
  const lengths = ints(stripe, column, STREAM.length, false);
  const { offset } = stripe.stream(column, STREAM.length);
  return () => {
    const count = lengths.next();
    if (typeof count === 'bigint' || count < 0) throw new Damage('a count', String(count), offset);
    if (count > MAX_LIST_ITEMS) throw new OverLimit('items of one list', MAX_LIST_ITEMS);
    return count;
  };
}

function lists(stripe: StripeColumns, column: number, type: OrcType): Read {
  const [child] = type.children;
  if (child === undefined) throw new Damage('a type of the items of a list', 'none');
  const count = counts(stripe, column);
  const read = readerOf(stripe, child);
  return () => {
    const items: Cell[] = [];
    for (let left = count(); left > 0; left--) items.push(read());
    return items;
  };
}

function maps(stripe: StripeColumns, column: number, type: OrcType): Read {
  const [key, value] = type.children;
  if (key === undefined || value === undefined) throw new Damage('types of key and value of a map', 'none');
  const count = counts(stripe, column);
  const readKey = readerOf(stripe, key);
  const readValue = readerOf(stripe, value);
  return () => {
    const map: RecordCell = new Map();
    for (let left = count(); left > 0; left--) map.set(String(readKey()), readValue());
    return map;
  };
}
