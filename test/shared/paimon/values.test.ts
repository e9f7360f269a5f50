import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeRow, type Value } from '../../../shared/paimon/binary-row.ts';
import { parseDataType } from '../../../shared/paimon/data-type.ts';
import { escapeName, type PartitionNaming, partitionPath, unescapeName } from '../../../shared/paimon/partition-path.ts';
import { castText, isoDate, legacyText, plainValue, wallClock } from '../../../shared/paimon/value-text.ts';
import { encodeRow } from './encode-row.ts';

const STRING = parseDataType('STRING');
const INT = parseDataType('INT');

describe('binary rows', () => {
  test('bytes as Paimon lays them out', () => {
    const row = (hex: string, types = [STRING, INT]) => decodeRow(Buffer.from(hex, 'hex'), types);
    expect(row('000000020000000000000000323032342d303187' + '0800000000000000')).toEqual(['2024-01', 8]);
    expect(row('00000002' + '0002000000000000' + '0800000018000000' + '0000000000000000' + '3230323430313031')).toEqual([
      '20240101',
      null,
    ]);
    expect(row('000000000000000000000000', [])).toEqual([]);
  });

  test('what is encoded is decoded', () => {
    const column = fc.oneof(
      fc.record({ type: fc.constant('BOOLEAN'), value: fc.boolean() }),
      fc.record({ type: fc.constant('TINYINT'), value: fc.integer({ min: -128, max: 127 }) }),
      fc.record({ type: fc.constant('SMALLINT'), value: fc.integer({ min: -32768, max: 32767 }) }),
      fc.record({ type: fc.constantFrom('INT', 'DATE', 'TIME(3)'), value: fc.integer() }),
      fc.record({ type: fc.constant('BIGINT'), value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) }),
      fc.record({ type: fc.constant('FLOAT'), value: fc.float() }),
      fc.record({ type: fc.constant('DOUBLE'), value: fc.double() }),
      fc.record({ type: fc.constantFrom('STRING', 'CHAR(3)', 'VARCHAR(9) NOT NULL'), value: fc.string({ unit: 'grapheme' }) }),
      fc.record({ type: fc.constantFrom('BYTES', 'BINARY(2)'), value: fc.uint8Array() }),
      fc.record({
        type: fc.constant('DECIMAL(18, 4)'),
        value: fc.record({ unscaled: fc.bigInt({ min: -(10n ** 18n) + 1n, max: 10n ** 18n - 1n }), scale: fc.constant(4) }),
      }),
      fc.record({
        type: fc.constant('DECIMAL(38, 10)'),
        value: fc.record({ unscaled: fc.bigInt({ min: -(10n ** 38n) + 1n, max: 10n ** 38n - 1n }), scale: fc.constant(10) }),
      }),
      fc.record({
        type: fc.constantFrom('TIMESTAMP(3)', 'TIMESTAMP(0) WITH LOCAL TIME ZONE'),
        value: fc.record({ millis: fc.bigInt({ min: -(2n ** 60n), max: 2n ** 60n }), nanos: fc.constant(0) }),
      }),
      fc.record({
        type: fc.constantFrom('TIMESTAMP', 'TIMESTAMP_LTZ(9)'),
        value: fc.record({
          millis: fc.bigInt({ min: -(2n ** 60n), max: 2n ** 60n }),
          nanos: fc.integer({ min: 0, max: 999_999 }),
        }),
      }),
    );
    fc.assert(
      fc.property(fc.array(fc.record({ of: column, isNull: fc.boolean() }), { maxLength: 130 }), (columns) => {
        const types = columns.map(({ of }) => parseDataType(of.type));
        const values = columns.map(({ of, isNull }): Value => (isNull ? null : of.value));
        expect(decodeRow(encodeRow(values, types), types)).toEqual(values);
      }),
    );
  });

  test('any bytes give values or a named error', () => {
    const types = ['STRING', 'DECIMAL(38, 2)', 'TIMESTAMP(9)', 'BIGINT', 'BYTES'].map((type) => parseDataType(type));
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 0, maxLength: 120 }), fc.boolean(), (bytes, fixArity) => {
        if (fixArity && bytes.length >= 4) bytes.set([0, 0, 0, 5]);
        try {
          expect(decodeRow(bytes, types)).toHaveLength(5);
        } catch (error) {
          expect((error as Error).constructor.name).toMatch(/^(?:Damage|OverLimit|RangeError)$/);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('text of values', () => {
  test('dates of the whole range', () => {
    expect(isoDate(0)).toBe('1970-01-01');
    expect(isoDate(-719_162)).toBe('0001-01-01');
    expect(isoDate(2_932_896)).toBe('9999-12-31');
    expect(isoDate(2_932_897)).toBe('+10000-01-01');
    fc.assert(
      fc.property(fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true }), (date) => {
        expect(isoDate(Math.floor(date.getTime() / 86_400_000))).toBe(date.toISOString().slice(0, 10));
        expect(wallClock(BigInt(date.getTime()))).toBe(date.toISOString().slice(0, -1));
      }),
    );
  });

  const cases: [type: string, value: Value, plain: unknown, legacy: string | undefined, cast: string | undefined][] = [
    ['BOOLEAN', true, true, 'true', 'true'],
    ['BIGINT', -(2n ** 63n), '-9223372036854775808', '-9223372036854775808', '-9223372036854775808'],
    ['BIGINT', 42n, 42, '42', '42'],
    ['DATE', 19_723, '2024-01-01', '19723', '2024-01-01'],
    ['TIME(0)', 43_200_000, '12:00:00', '43200000', '12:00:00'],
    ['TIME(3)', 43_200_000, '12:00:00.000', '43200000', '12:00:00.0'],
    ['TIME(3)', 43_200_250, '12:00:00.250', '43200250', '12:00:00.25'],
    ['TIMESTAMP(0)', { millis: 1_704_067_200_000n, nanos: 0 }, '2024-01-01T00:00:00', '2024-01-01T00:00', '2024-01-01 00:00:00'],
    [
      'TIMESTAMP(6)',
      { millis: -1n, nanos: 1000 },
      '1969-12-31T23:59:59.999001',
      '1969-12-31T23:59:59.999001',
      '1969-12-31 23:59:59.999001',
    ],
    [
      'TIMESTAMP(9)',
      { millis: 100n, nanos: 0 },
      '1970-01-01T00:00:00.100000000',
      '1970-01-01T00:00:00.100',
      '1970-01-01 00:00:00.100000000',
    ],
    ['TIMESTAMP_LTZ(3)', { millis: 0n, nanos: 0 }, '1970-01-01T00:00:00.000Z', '1970-01-01T00:00', '1970-01-01 00:00:00.000'],
    ['DECIMAL(10, 2)', { unscaled: -5n, scale: 2 }, '-0.05', '-0.05', '-0.05'],
    ['DECIMAL(38, 0)', { unscaled: 10n ** 37n, scale: 0 }, `1${'0'.repeat(37)}`, `1${'0'.repeat(37)}`, `1${'0'.repeat(37)}`],
    ['FLOAT', Math.fround(189.1), 189.1, '189.1', '189.1'],
    ['FLOAT', Math.fround(1.4e-45), 1.4e-45, '1.4E-45', '1.4E-45'],
    ['FLOAT', Math.fround(1e10), 1e10, '1.0E10', '1.0E10'],
    ['DOUBLE', 5e-324, 5e-324, '4.9E-324', '4.9E-324'],
    ['DOUBLE', 123_456_978.125, 123_456_978.125, '1.23456978125E8', '1.23456978125E8'],
    ['DOUBLE', 0.001, 0.001, '0.001', '0.001'],
    ['DOUBLE', 0.0001, 0.0001, '1.0E-4', '1.0E-4'],
    ['DOUBLE', 9_999_999, 9_999_999, '9999999.0', '9999999.0'],
    ['DOUBLE', 1e7, 1e7, '1.0E7', '1.0E7'],
    ['DOUBLE', -0, -0, '-0.0', '-0.0'],
    ['DOUBLE', Number.NaN, 'NaN', 'NaN', 'NaN'],
    ['DOUBLE', Number.NEGATIVE_INFINITY, '-Infinity', '-Infinity', '-Infinity'],
    ['BYTES', Uint8Array.of(0x61, 0xff), '61ff', undefined, 'a\ufffd'],
    ['VARIANT', undefined, null, undefined, undefined],
    ['INT', null, null, undefined, undefined],
  ];
  test.each(cases)('%s %s', (text, value, plain, legacy, cast) => {
    const type = parseDataType(text);
    expect(plainValue(value, type)).toBe(plain);
    expect(legacyText(value, type)).toBe(legacy);
    expect(castText(value, type)).toBe(cast);
  });

  test('floats print so that Java reads the same float, with as few digits as possible', () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const text = legacyText(value, parseDataType('FLOAT'))!;
        expect(Math.fround(Number(text))).toBe(value);
        expect(text).toMatch(/^-?(?:\d+\.\d+|\d\.\d+E-?\d+)$/);
      }),
    );
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(Number(legacyText(value, parseDataType('DOUBLE'))!)).toBe(value);
      }),
    );
  });
});

describe('partition paths', () => {
  const naming = (over: Partial<PartitionNaming> = {}): PartitionNaming => ({
    keys: ['p'],
    types: [STRING],
    defaultName: '__DEFAULT_PARTITION__',
    legacy: true,
    directory: '',
    ...over,
  });

  test('null, empty and blank text share the default name; other spaces do not', () => {
    for (const value of [null, '', ' ', '\t\n', '\u3000'])
      expect(partitionPath([value], naming())).toBe('p=__DEFAULT_PARTITION__');
    expect(partitionPath(['\u00a0'], naming())).toBe('p=\u00a0');
  });

  test('escapes what Paimon escapes and nothing else', () => {
    expect(escapeName('a/b:c=d%2F{e}[f]^*#\'"?\\\u007f\u0001')).toBe(
      'a%2Fb%3Ac%3Dd%252F%7Be%7D%5Bf%5D%5E%2A%23%27%22%3F%5C%7F%01',
    );
    expect(escapeName('<>|~,;&+$@ äöü.. 中')).toBe('<>|~,;&+$@ äöü.. 中');
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (name) => {
        expect(unescapeName(escapeName(name))).toBe(name);
        expect(escapeName(name)).not.toMatch(/[/=]/);
      }),
    );
  });

  test('an unpartitioned table lies in the table itself, or in its data directory', () => {
    expect(partitionPath([], naming({ keys: [], types: [] }))).toBe('');
    expect(partitionPath([], naming({ keys: [], types: [], directory: 'data/' }))).toBe('data');
  });

  test('says nothing where only the writing process knew', () => {
    expect(partitionPath([Uint8Array.of(1)], naming({ types: [parseDataType('BYTES')] }))).toBeUndefined();
    expect(
      partitionPath([{ millis: 0n, nanos: 0 }], naming({ types: [parseDataType('TIMESTAMP_LTZ(3)')], legacy: false })),
    ).toBeUndefined();
    expect(
      partitionPath(
        [{ millis: 0n, nanos: 0 }],
        naming({ types: [parseDataType('TIMESTAMP_LTZ(3)')], legacy: false }),
        28_800_000,
      ),
    ).toBe('p=1970-01-01 08%3A00%3A00.000');
  });
});
