import { beforeAll, describe, expect, test } from 'vitest';
import { Damage, NotReadable, OverLimit } from '../../../shared/paimon/damage.ts';
import { MANIFEST_COLUMNS } from '../../../shared/paimon/manifest.ts';
import { BitRuns } from '../../../shared/paimon/parquet/bit-runs.ts';
import { readDeltas } from '../../../shared/paimon/parquet/delta.ts';
import { codecOf } from '../../../shared/paimon/parquet/pages.ts';
import { readParquet } from '../../../shared/paimon/parquet.ts';
import { MADE_ROWS, madeRow } from './made-rows.ts';
import { expectedRows, prepare, readFixture, realFixtures, rowsOf } from './manifest-fixtures.ts';
import { mutateAll, random, truncateAll } from './spoil.ts';

beforeAll(prepare);

const made = Array.from({ length: MADE_ROWS }, (_, i) => madeRow(i));

describe('real Parquet manifests', () => {
  test('there are some of every codec that writers offer', () => {
    const codecs = realFixtures('parquet').map((name) => readParquet(readFixture(name), [], () => {}).codec);
    expect(new Set(codecs)).toEqual(new Set(['none', 'gzip', 'snappy', 'zstd']));
  });

  test.each(realFixtures('parquet'))('%s has the rows that an independent reader finds', (name) => {
    const expected = expectedRows(name);
    expect(rowsOf(readParquet, readFixture(name), Object.keys(expected[0]!))).toEqual(expected);
  });

  test('columns inside a record are read alone', () => {
    const name = 'java-2.0.0-gzip.parquet';
    const expected = expectedRows(name).map((row) => {
      const file = row._FILE as Record<string, unknown>;
      return Object.fromEntries(
        MANIFEST_COLUMNS.map((column) => [column, column.startsWith('_FILE.') ? file[column.slice(6)] : row[column]]),
      );
    });
    expect(rowsOf(readParquet, readFixture(name), MANIFEST_COLUMNS)).toEqual(expected);
  });

  test('a column that the file does not have is null', () => {
    const [row] = rowsOf(readParquet, readFixture('java-2.0.0-gzip.parquet'), ['_KIND', '_NEWER', '_FILE._NEWER']);
    expect(row).toEqual({ _KIND: 0, _NEWER: null, '_FILE._NEWER': null });
  });
});

describe.each(['made-v1.parquet', 'made-v2.parquet'])('%s', (name) => {
  test.each(Object.keys(madeRow(0)))('column %s is as made', (column) => {
    expect(rowsOf(readParquet, readFixture(name), [column])).toEqual(made.map((row) => ({ [column]: row[column] })));
  });

  test('all columns together are as made, over all row groups', () => {
    expect(rowsOf(readParquet, readFixture(name), Object.keys(madeRow(0)))).toEqual(made);
  });

  test('a column of a record that is missing is null, whatever its type', () => {
    const columns = ['record.a', 'record.deep', 'record.items', 'record.deep.b'];
    const expected = made.map(({ record }) => {
      const { a = null, deep = null, items = null } = (record ?? {}) as Record<string, unknown>;
      return { 'record.a': a, 'record.deep': deep, 'record.items': items, 'record.deep.b': null };
    });
    // A column is given once: the slot of `record.deep` has `b` in it.
    expect(rowsOf(readParquet, readFixture(name), columns)).toEqual(expected);
  });
});

describe('damaged Parquet files', () => {
  const names = realFixtures('parquet');

  test.each(['java-2.0.0-list.parquet', 'java-0.9.0-snappy.parquet'])('%s cut off anywhere is damage', (name) => {
    truncateAll(readFixture(name), (part) => {
      expect(() => rowsOf(readParquet, part, MANIFEST_COLUMNS)).toThrow(Damage);
    });
  });

  test.each([...names, 'made-v1.parquet', 'made-v2.parquet'])('%s with wrong bytes gives rows or a known error, soon', (name) => {
    const file = readFixture(name);
    const columns = name.startsWith('made') ? Object.keys(madeRow(0)) : [...MANIFEST_COLUMNS, '_FILE'];
    const runs = name.startsWith('made') ? 60 : 250;
    const outcomes = mutateAll(file, { runs, random: random(name) }, (spoiled) => readParquet(spoiled, columns, () => {}));
    expect(outcomes.refused).toBeGreaterThan(20);
    expect(outcomes.slowestCpuMs).toBeLessThan(1_000);
    for (const error of outcomes.errors) {
      expect(
        [Damage, NotReadable, OverLimit].some((known) => error instanceof known),
        `${error}`,
      ).toBe(true);
    }
  });
});

describe('runs and packed bits', () => {
  // apache/parquet-format Encodings.md: 0 to 7 in three bits each are 88 C6 FA.
  test('the example of the specification', () => {
    const runs = new BitRuns(Uint8Array.of(0x03, 0x88, 0xc6, 0xfa), 0, 4, 3, 0);
    expect(Array.from({ length: 8 }, () => runs.next())).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(() => runs.next()).toThrow(Damage);
  });

  test('a run of one value takes no memory, however long it says it is', () => {
    const runs = new BitRuns(Uint8Array.of(0xfe, 0xff, 0xff, 0xff, 0x0f, 0x05), 0, 6, 3, 0);
    expect([runs.next(), runs.next()]).toEqual([5, 5]);
  });
});

describe('deltas', () => {
  // apache/parquet-format Encodings.md, example 2: 7, 5, 3, 1, 2, 3, 4, 5 has deltas -2 -2 -2 1 1 1 1, the least of them -2.
  test('the example of the specification', () => {
    // Block of 8 in one miniblock: 2 bits each, 0 0 0 3 3 3 3.
    const page = Uint8Array.of(8, 1, 8, 14, 3, 2, 0b1100_0000, 0b0011_1111);
    expect(readDeltas(page, 0, 8, 64, 0)).toEqual({ values: [7, 5, 3, 1, 2, 3, 4, 5], at: 8 });
  });

  test('a block without miniblocks is damage', () => {
    expect(() => readDeltas(Uint8Array.of(0x80, 0x01, 0, 8, 14, 3), 0, 8, 64, 0)).toThrow(Damage);
  });

  test('more values than the page has are damage', () => {
    expect(() => readDeltas(Uint8Array.of(8, 1, 9, 14, 3, 0), 0, 8, 64, 0)).toThrow(Damage);
  });
});

describe('lz4 in the frames of Hadoop', () => {
  test('several blocks make a page', () => {
    const block = (text: string): Buffer => {
      const literals = Buffer.from(text);
      const sizes = Buffer.alloc(8);
      sizes.writeUInt32BE(literals.byteLength, 0);
      sizes.writeUInt32BE(literals.byteLength + 1, 4);
      return Buffer.concat([sizes, Buffer.of(literals.byteLength << 4), literals]);
    };
    const page = codecOf(5).decompress(Buffer.concat([block('first '), block('second')]), 12);
    expect(Buffer.from(page).toString()).toBe('first second');
  });
});
