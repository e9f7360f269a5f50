import { expect, test } from 'vitest';
import { Damage, NotReadable, OverLimit } from '../../../shared/paimon/damage.ts';
import { readOrc } from '../../../shared/paimon/orc/file.ts';

/** Files whose tail is well formed and says what no writer says: small, and meant to cost much. */

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left >= 128; left = Math.floor(left / 128)) bytes.push((left % 128) | 128);
  return Buffer.from([...bytes, left]);
}

/** One protobuf field. */
function field(id: number, value: number | Buffer | string): Buffer {
  if (typeof value === 'number') return Buffer.concat([varint(id * 8), varint(value)]);
  const bytes = Buffer.from(value);
  return Buffer.concat([varint(id * 8 + 2), varint(bytes.byteLength), bytes]);
}

function file(footer: Buffer[], body = Buffer.alloc(0), compression = 0): Buffer {
  const joined = Buffer.concat(footer);
  const postscript = Buffer.concat([field(1, joined.byteLength), field(2, compression), field(3, 262_144), field(8000, 'ORC')]);
  return Buffer.concat([Buffer.from('ORC'), body, joined, postscript, Buffer.of(postscript.byteLength)]);
}

const STRUCT = 12;
const struct = (...children: number[]): Buffer =>
  field(
    4,
    Buffer.concat([
      field(1, STRUCT),
      ...children.map((child) => field(2, child)),
      ...children.map((child) => field(3, `c${child}`)),
    ]),
  );
const stripe = (offset: number, footerBytes: number, rows: number): Buffer =>
  field(3, Buffer.concat([field(1, offset), field(2, 0), field(3, 0), field(4, footerBytes), field(5, rows)]));

const read = (bytes: Buffer): unknown => readOrc(bytes, ['c1'], () => {});

test('a file without stripes has no rows', () => {
  expect(read(file([struct(), field(6, 0)]))).toEqual({ format: 'orc', codec: 'none', rows: 0 });
});

test('types that are shared, and would unfold without end, are damage', () => {
  const types = Array.from({ length: 60 }, (_, id) => (id < 59 ? struct(id + 1, id + 1) : struct()));
  expect(() => read(file([...types, field(6, 0)]))).toThrow(Damage);
});

test('a type that holds itself is damage', () => {
  expect(() => read(file([struct(0), field(6, 0)]))).toThrow(Damage);
});

test('types deeper than the limit are refused', () => {
  const types = Array.from({ length: 200 }, (_, id) => (id < 199 ? struct(id + 1) : struct()));
  expect(() => read(file([...types, field(6, 0)]))).toThrow(OverLimit);
});

test('stripes over the same bytes are damage', () => {
  const stripes = Array.from({ length: 50 }, () => stripe(3, 8, 1));
  expect(() => read(file([...stripes, struct(), field(6, 50)], Buffer.alloc(8)))).toThrow(Damage);
});

test('more rows than a file of its size can have are refused', () => {
  expect(() => read(file([stripe(3, 0, 5_000_000), struct(), field(6, 5_000_000)]))).toThrow(OverLimit);
});

test('row counts that differ are damage', () => {
  expect(() => read(file([stripe(3, 0, 2), struct(), field(6, 3)]))).toThrow(Damage);
});

test('a compression that is known but not read is said by name', () => {
  expect(() => read(file([struct(), field(6, 0)], undefined, 3))).toThrow(NotReadable);
  expect(() => read(file([struct(), field(6, 0)], undefined, 3))).toThrow(/lzo/);
});
