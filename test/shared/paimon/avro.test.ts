import avsc from 'avsc';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readAvro } from '../../../shared/paimon/avro/container.ts';
import { Cursor } from '../../../shared/paimon/avro/cursor.ts';
import { LiveFiles } from '../../../shared/paimon/live-files.ts';
import { readManifest } from '../../../shared/paimon/manifest.ts';
import { RawText } from '../../../shared/paimon/rows.ts';
import { plain } from './manifest-fixtures.ts';
import { avroFile, manifestFile, varint, type WrittenFile } from './write-table.ts';

/** A type with values for it. */
interface Typed {
  type: avsc.Schema;
  value: fc.Arbitrary<unknown>;
}

// avsc rounds what is larger.
const long = fc.oneof(fc.integer({ min: -70, max: 70 }), fc.integer({ min: -(2 ** 51), max: 2 ** 51 }));
const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));

const scalar: fc.Arbitrary<Typed> = fc.constantFrom<Typed>(
  { type: 'long', value: long },
  { type: 'int', value: fc.integer() },
  { type: 'string', value: fc.string({ maxLength: 80 }) },
  { type: 'bytes', value: bytes },
  { type: 'boolean', value: fc.boolean() },
  { type: 'double', value: fc.double({ noNaN: true }) },
  { type: 'float', value: fc.float({ noNaN: true }) },
);
const anyType: fc.Arbitrary<Typed> = scalar.chain(({ type, value }) =>
  fc.constantFrom<Typed>(
    { type, value },
    { type: ['null', type] as never, value: fc.option(value) },
    { type: [type, 'null'] as never, value: fc.option(value) },
    { type: { type: 'array', items: type } as never, value: fc.array(value, { maxLength: 70 }) },
    { type: { type: 'array', items: ['null', type] } as never, value: fc.array(fc.option(value), { maxLength: 70 }) },
    { type: { type: 'map', values: type } as never, value: fc.dictionary(fc.string({ maxLength: 5 }), value, { maxKeys: 3 }) },
  ),
);
/** Rows of a random record with another one inside, and which columns to ask for. */
const file = fc
  .tuple(fc.array(anyType, { minLength: 1, maxLength: 8 }), fc.array(anyType, { minLength: 1, maxLength: 6 }), fc.boolean())
  .chain(([outer, inner, optional]) => {
    const record = (name: string, fields: Typed[], nested: { name: string; type: unknown }[] = []): avsc.Schema =>
      ({
        type: 'record',
        name,
        fields: [...fields.map(({ type }, i) => ({ name: `f${i}`, type })), ...nested, { name: 'end', type: 'int' }],
      }) as never;
    const innerType = record('inner', inner);
    const schema = record('outer', outer, [{ name: 'n', type: optional ? ['null', innerType] : innerType }]);
    const columns = [...outer.map((_, i) => `f${i}`), ...inner.map((_, i) => `n.f${i}`), 'n.end', 'end', 'absent'];
    const row = (fields: Typed[]): fc.Arbitrary<Record<string, unknown>> =>
      fc.record({ ...Object.fromEntries(fields.map(({ value }, i) => [`f${i}`, value])), end: fc.integer() });
    const n = optional ? fc.option(row(inner)) : row(inner);
    return fc.record({
      schema: fc.constant(schema),
      columns: fc.subarray(columns),
      rows: fc.array(
        fc.tuple(row(outer), n).map(([fields, nested]): Record<string, unknown> => ({ ...fields, n: nested })),
        { maxLength: 12 },
      ),
    });
  });

function cellOf(row: Record<string, unknown>, column: string): unknown {
  let value: unknown = row;
  for (const name of column.split('.')) value = (value as Record<string, unknown> | null)?.[name] ?? null;
  return plainly(value);
}

function plainly(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return `hex:${value.toString('hex')}`;
  if (Array.isArray(value)) return value.map(plainly);
  if (value !== null && typeof value === 'object')
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plainly(item)]));
  return value;
}

describe('columns of an Avro file', () => {
  test('whatever is asked for, the rest is stepped over', () => {
    fc.assert(
      fc.property(file, fc.boolean(), ({ schema, columns, rows }, raw) => {
        const type = avsc.Type.forSchema(schema, { wrapUnions: false });
        const middle = rows.length >> 1;
        const blocks = [rows.slice(0, middle), rows.slice(middle)].filter((block) => block.length > 0);
        const written = avroFile(
          schema,
          blocks.map((block) => block.map((row) => type.toBuffer(row))),
          'deflate',
        );
        const read: unknown[][] = [];
        readAvro(
          written,
          columns,
          (slots) => read.push(slots.map((cell) => (cell instanceof RawText ? cell.toString() : plain(cell)))),
          new Set(raw ? columns : []),
        );
        expect(read).toEqual(rows.map((row) => columns.map((column) => cellOf(row, column))));
      }),
      { numRuns: 1_000 },
    );
  });
});

test('integers of 64 bits are exact, and numbers where a number is', () => {
  const cursor = new Cursor();
  fc.assert(
    fc.property(fc.oneof(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), fc.maxSafeInteger().map(BigInt)), (value) => {
      cursor.reset(varint(value));
      const read = cursor.readLong();
      expect(read).toBe(Number.isSafeInteger(Number(value)) ? Number(value) : value);
      expect(cursor.at).toBe(cursor.end);
    }),
    { numRuns: 2_000 },
  );
});

describe('live files', () => {
  const written = fc.record<WrittenFile>({
    name: fc.constantFrom('a.parquet', 'b.orc', 'c', '.d', 'é.parquet', 'parquet', 'x.y.parquet'),
    partition: fc.constantFrom('a', 'b', 'a longer one', '', null),
    bucket: fc.integer({ min: -2, max: 4 }),
    level: fc.integer({ min: 0, max: 2 }),
    size: fc.oneof(fc.nat(), fc.bigInt(0n, 2n ** 63n - 1n)),
    rows: fc.oneof(fc.nat(), fc.bigInt(0n, 2n ** 63n - 1n)),
  });

  test('add up by partition and bucket, exactly, in any order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(written, { maxLength: 60 }), async (files) => {
        const live = new LiveFiles();
        await readManifest(manifestFile(files, true, 7), (slots) => live.add(slots));
        const sums = new Map<string, [files: number, size: bigint, rows: bigint]>();
        for (const each of files) {
          for (const key of ['', `p${each.partition}`, `p${each.partition}/${each.bucket}`]) {
            const [count, size, rows] = sums.get(key) ?? [0, 0n, 0n];
            sums.set(key, [count + 1, size + BigInt(each.size!), rows + BigInt(each.rows!)]);
          }
        }
        const first = (partition: string | null | undefined): number => files.findIndex((each) => each.partition === partition);
        const partitions = [...new Set(files.map((each) => each.partition))].sort((a, b) => first(a) - first(b));
        const figures = (each: { files: number; size: number | bigint; records: number | bigint }): unknown => [
          each.files,
          BigInt(each.size),
          BigInt(each.records),
        ];
        expect(figures(live.total)).toEqual(sums.get('') ?? [0, 0n, 0n]);
        expect(live.partitions.map(figures)).toEqual(partitions.map((partition) => sums.get(`p${partition}`)));
        live.partitions.forEach((partition, i) => {
          expect(
            Object.fromEntries(partition.buckets.map(([bucket, each]) => [`p${partitions[i]}/${bucket}`, figures(each)])),
          ).toEqual(Object.fromEntries([...sums].filter(([key]) => key.startsWith(`p${partitions[i]}/`))));
        });
        const extensions: Record<string, number> = {};
        for (const { name } of files) {
          const extension = /.(\.[^.]*)$/.exec(name)?.[1] ?? '';
          extensions[extension] = (extensions[extension] ?? 0) + 1;
        }
        expect(Object.fromEntries(live.byExtension)).toEqual(extensions);
      }),
      { numRuns: 300 },
    );
  });
});
