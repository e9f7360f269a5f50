import { describe, expect, test } from 'vitest';
import { Damage, NotReadable } from '../../../shared/paimon/damage.ts';
import { BooleanRuns, ByteRuns } from '../../../shared/paimon/orc/byte-runs.ts';
import { IntRuns } from '../../../shared/paimon/orc/int-runs.ts';
import { wallClockOf } from '../../../shared/paimon/orc/wall-clock.ts';

// Most vectors are the examples of the ORC specification v1, "Run Length Encoding".

function ints(bytes: number[], options: { version: 1 | 2; signed: boolean }, count: number): (number | bigint)[] {
  const runs = new IntRuns(Uint8Array.from(bytes), { ...options, offset: 0 });
  const values = Array.from({ length: count }, () => runs.next());
  expect(() => runs.next(), 'every byte is used').toThrow(Damage);
  return values;
}

const V1 = { version: 1, signed: false } as const;
const V2 = { version: 2, signed: false } as const;

describe('integers, version 1', () => {
  test('a run of equal values', () => {
    expect(ints([0x61, 0x00, 0x07], V1, 100)).toEqual(Array(100).fill(7));
  });

  test('a run that falls', () => {
    expect(ints([0x61, 0xff, 0x64], V1, 100)).toEqual(Array.from({ length: 100 }, (_, i) => 100 - i));
  });

  test('literals', () => {
    expect(ints([0xfb, 0x02, 0x03, 0x06, 0x07, 0x0b], V1, 5)).toEqual([2, 3, 6, 7, 11]);
  });

  test('signed literals up to the ends of 64 bits', () => {
    const least = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    const most = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    expect(ints([0xfd, ...least, ...most, 0x03], { version: 1, signed: true }, 3)).toEqual([-(2n ** 63n), 2n ** 63n - 1n, -2]);
  });

  test('a number of more than ten bytes is damage', () => {
    expect(() => ints([0xff, ...Array(11).fill(0x80), 0x01], V1, 1)).toThrow(Damage);
  });
});

describe('integers, version 2', () => {
  test('short repeat', () => {
    expect(ints([0x0a, 0x27, 0x10], V2, 5)).toEqual(Array(5).fill(10_000));
  });

  test('direct', () => {
    const bytes = [0x5e, 0x03, 0x5c, 0xa1, 0xab, 0x1e, 0xde, 0xad, 0xbe, 0xef];
    expect(ints(bytes, V2, 4)).toEqual([23_713, 43_806, 57_005, 48_879]);
  });

  test('patched base', () => {
    const bytes = [
      0x8e, 0x13, 0x2b, 0x21, 0x07, 0xd0, 0x1e, 0x00, 0x14, 0x70, 0x28, 0x32, 0x3c, 0x46, 0x50, 0x5a, 0x64, 0x6e, 0x78, 0x82,
      0x8c, 0x96, 0xa0, 0xaa, 0xb4, 0xbe, 0xfc, 0xe8,
    ];
    const expected = [2030, 2000, 2020, 1_000_000, ...Array.from({ length: 16 }, (_, i) => 2040 + 10 * i)];
    expect(ints(bytes, V2, 20)).toEqual(expected);
  });

  test('delta', () => {
    expect(ints([0xc6, 0x09, 0x02, 0x02, 0x22, 0x42, 0x42, 0x46], V2, 10)).toEqual([2, 3, 5, 7, 11, 13, 17, 19, 23, 29]);
  });

  test('fixed delta, falling and signed', () => {
    // No width; ten values; base -3 and step -2 as zigzag.
    const expected = Array.from({ length: 10 }, (_, i) => -3 - 2 * i);
    expect(ints([0xc0, 0x09, 0x05, 0x03], { version: 2, signed: true }, 10)).toEqual(expected);
  });

  test('deltas of a falling run are taken off', () => {
    // Two bits wide: 100, 98, then 1, 2 and 3 less each.
    expect(ints([0xc2, 0x04, 0x64, 0x03, 0b0110_1100], V2, 5)).toEqual([100, 98, 97, 95, 92]);
  });

  test('a patch of gaps that add up to more than 255', () => {
    // 300 values of one bit, base 0; steps of 255 without a patch, then 30 further on the patch 1.
    const bytes = [
      0x80 | (0 << 1) | 1,
      0x2b,
      0x00,
      (7 << 5) | 2,
      0x00,
      ...Array(38).fill(0),
      0b1111_1111,
      0b0000_1111,
      0b0100_0000,
    ];
    const expected: number[] = Array(300).fill(0);
    expected[285] = 2;
    expect(ints(bytes, V2, 300)).toEqual(expected);
  });

  test('a patch outside its run is damage', () => {
    const bytes = [0x80, 0x03, 0x00, (7 << 5) | 1, 0x00, 0x00, 0b0001_1111, 0b1000_0000];
    expect(() => ints(bytes, V2, 4)).toThrow(Damage);
  });

  test.each([
    ['nothing', []],
    ['a header alone', [0x5e]],
    ['packed values cut short', [0x5e, 0x03, 0x5c, 0xa1]],
    ['a repeat cut short', [0x0a, 0x27]],
    ['a delta without base', [0xc6, 0x09]],
  ])('%s is damage', (_, bytes) => {
    expect(() => ints(bytes, V2, 1)).toThrow(Damage);
  });
});

describe('bytes and bits', () => {
  test('a run and literals', () => {
    const runs = new ByteRuns(Uint8Array.of(0x61, 0x00, 0xfe, 0x44, 0x45), 0);
    expect(Array.from({ length: 102 }, () => runs.next())).toEqual([...Array(100).fill(0), 0x44, 0x45]);
    expect(() => runs.next()).toThrow(Damage);
  });

  test('bits begin at the most significant one', () => {
    const bits = new BooleanRuns(Uint8Array.of(0xff, 0x80), 0);
    expect(Array.from({ length: 8 }, () => bits.next())).toEqual([true, ...Array(7).fill(false)]);
    expect(() => bits.next()).toThrow(Damage);
  });
});

describe('wall clock', () => {
  /** What a writer in a zone stores for a moment: seconds since its own midnight of 2015-01-01. */
  const stored = (moment: string, midnight: string): number => (Date.parse(moment) - Date.parse(midnight)) / 1000;
  const clock = (text: string): number => Date.parse(`${text}Z`) / 1000;

  test('in a zone without summer time', () => {
    expect(wallClockOf('Asia/Shanghai')(stored('2026-11-23T02:41:32+08:00', '2015-01-01T00:00:00+08:00'))).toBe(
      clock('2026-11-23T02:41:32'),
    );
  });

  test('summer time since the base is put back', () => {
    const newYork = wallClockOf('America/New_York');
    expect(newYork(stored('2024-07-01T12:00:00-04:00', '2015-01-01T00:00:00-05:00'))).toBe(clock('2024-07-01T12:00:00'));
    expect(newYork(stored('2024-12-01T12:00:00-05:00', '2015-01-01T00:00:00-05:00'))).toBe(clock('2024-12-01T12:00:00'));
  });

  test('in offsets of minutes and without a zone', () => {
    expect(wallClockOf('Asia/Kolkata')(stored('2024-07-01T12:00:00+05:30', '2015-01-01T00:00:00+05:30'))).toBe(
      clock('2024-07-01T12:00:00'),
    );
    expect(wallClockOf('GMT+08:00')(stored('2024-07-01T12:00:00+08:00', '2015-01-01T00:00:00+08:00'))).toBe(
      clock('2024-07-01T12:00:00'),
    );
    expect(wallClockOf('')(stored('2024-07-01T12:00:00Z', '2015-01-01T00:00:00Z'))).toBe(clock('2024-07-01T12:00:00'));
  });

  test('a zone that nobody knows is said by name', () => {
    expect(() => wallClockOf('Mars/Olympus')).toThrow(NotReadable);
    expect(() => wallClockOf('Mars/Olympus')).toThrow(/Mars\/Olympus/);
  });
});
