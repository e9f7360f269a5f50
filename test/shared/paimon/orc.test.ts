import { beforeAll, describe, expect, test } from 'vitest';
import { Damage, NotReadable, OverLimit } from '../../../shared/paimon/damage.ts';
import { MANIFEST_COLUMNS } from '../../../shared/paimon/manifest.ts';
import { readOrc } from '../../../shared/paimon/orc/file.ts';
import { MADE_ROWS, madeRow } from './made-rows.ts';
import { expectedRows, prepare, readFixture, realFixtures, rowsOf } from './manifest-fixtures.ts';
import { mutateAll, random, truncateAll } from './spoil.ts';

beforeAll(prepare);

const made = Array.from({ length: MADE_ROWS }, (_, i) => madeRow(i));

describe('real ORC manifests', () => {
  test('there are some of every codec that writers offer', () => {
    const codecs = realFixtures('orc').map((name) => readOrc(readFixture(name), [], () => {}).codec);
    expect(new Set(codecs)).toEqual(new Set(['none', 'zlib', 'snappy', 'lz4', 'zstd']));
  });

  test.each(realFixtures('orc'))('%s has the rows that an independent reader finds', (name) => {
    const expected = expectedRows(name);
    const columns = Object.keys(expected[0] ?? { _VERSION: 2 });
    expect(rowsOf(readOrc, readFixture(name), columns)).toEqual(expected);
  });

  test('columns inside a record are read alone', () => {
    const name = 'java-2.0.0-zlib.orc';
    const expected = expectedRows(name).map((row) => {
      const file = row._FILE as Record<string, unknown>;
      return Object.fromEntries(
        MANIFEST_COLUMNS.map((column) => [column, column.startsWith('_FILE.') ? file[column.slice(6)] : row[column]]),
      );
    });
    expect(rowsOf(readOrc, readFixture(name), MANIFEST_COLUMNS)).toEqual(expected);
  });

  test('a column that the file does not have is null', () => {
    expect(rowsOf(readOrc, readFixture('cpp-zstd.orc'), ['_KIND', '_NEWER', '_FILE._NEWER'])).toEqual([
      { _KIND: 0, _NEWER: null, '_FILE._NEWER': null },
    ]);
  });

  test('a column inside something that is no record is damage', () => {
    expect(() => rowsOf(readOrc, readFixture('cpp-zstd.orc'), ['_KIND.a'])).toThrow(Damage);
  });
});

describe.each(['made-v1.orc', 'made-v2.orc'])('%s', (name) => {
  test.each(Object.keys(madeRow(0)))('column %s is as made', (column) => {
    expect(rowsOf(readOrc, readFixture(name), [column])).toEqual(made.map((row) => ({ [column]: row[column] })));
  });

  test('all columns together are as made, over all stripes', () => {
    expect(rowsOf(readOrc, readFixture(name), Object.keys(madeRow(0)))).toEqual(made);
  });
});

describe('damaged ORC files', () => {
  const names = ['cpp-zstd.orc', 'java-2.0.0-lz4.orc', 'java-2.0.0-none.orc', 'java-2.0.0-snappy.orc', 'java-2.0.0-zlib.orc'];

  test.each(names)('%s cut off anywhere is damage', (name) => {
    const file = readFixture(name);
    truncateAll(file, (part) => {
      expect(() => rowsOf(readOrc, part, MANIFEST_COLUMNS)).toThrow(Damage);
    });
  });

  test.each([...names, 'made-v1.orc', 'made-v2.orc'])('%s with wrong bytes gives rows or a known error, soon', (name) => {
    const file = readFixture(name);
    const columns = name.startsWith('made') ? Object.keys(madeRow(0)) : [...MANIFEST_COLUMNS, '_FILE'];
    const runs = name.startsWith('made') ? 60 : 250;
    const outcomes = mutateAll(file, { runs, random: random(name) }, (spoiled) => readOrc(spoiled, columns, () => {}));
    // The mutator reaches something: else this would prove nothing.
    expect(outcomes.refused).toBeGreaterThan(20);
    expect(outcomes.slowestCpuMs).toBeLessThan(1_000);
    for (const error of outcomes.errors) {
      expect(
        [Damage, NotReadable, OverLimit].some((known) => error instanceof known),
        `${error}`,
      ).toBe(true);
    }
  });

  test('a postscript that is not one is told with its place', () => {
    const file = Buffer.from(readFixture('cpp-zstd.orc'));
    file[file.byteLength - 1] = 250;
    expect(() => readOrc(file, [], () => {})).toThrow(/expected .* at byte \d+/);
  });
});
