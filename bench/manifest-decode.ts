import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import avsc from 'avsc';
import { Cursor } from '../shared/paimon/avro/cursor.ts';
import { decompressZstd, loadZstd } from '../shared/paimon/codec/zstd.ts';
import { readContainer } from '../shared/paimon/container.ts';
import { MAX_BLOCK_BYTES } from '../shared/paimon/limits.ts';
import { LiveFiles } from '../shared/paimon/live-files.ts';
import { MANIFEST_COLUMNS, readManifest, SLOT } from '../shared/paimon/manifest.ts';
import { repeatBlocks } from '../test/support/repeat-avro.ts';

/**
 * How fast manifests decode: ours against `avsc` with the same zstd decoder, and against decompression alone, on the same bytes
 * in the same run, in turns. `--orc FILE` and `--parquet FILE` add manifests in those formats, which nothing here can write.
 *
 *   node bench/run.mjs manifest-decode --from test/fixtures/…/manifest [--rounds 15]
 */

const { values: options } = parseArgs({
  options: {
    /** A `manifest` folder; its largest Avro manifest with zstd is taken. */
    from: { type: 'string' },
    rounds: { type: 'string', default: '15' },
    orc: { type: 'string', multiple: true, default: [] },
    parquet: { type: 'string', multiple: true, default: [] },
  },
});
const rounds = Number(options.rounds);

await loadZstd();
if (options.from !== undefined) {
  const source = readFileSync(largest(options.from));
  for (const wanted of [100_000]) {
    const { file, entries } = repeatBlocks(source, wanted);
    await compare(`avro zstd, ${file.byteLength} bytes`, entries, {
      decompression: () => decompressOnly(file),
      ours: () => ours(file),
      sums: () => sums(file),
      avsc: () => withAvsc(file),
    });
  }
}
for (const path of [...options.orc, ...options.parquet]) {
  const file = readFileSync(path);
  const { format, codec, rows } = await readContainer(file, [], () => {});
  await compare(`${format} ${codec}, ${file.byteLength} bytes`, rows, { ours: () => ours(file) });
}

function largest(folder: string): string {
  const paths = readdirSync(folder)
    .filter((name) => /^manifest-(?!list)/.test(name))
    .map((name) => join(folder, name))
    .sort((a, b) => statSync(b).size - statSync(a).size);
  if (paths[0] === undefined) throw new Error(`no manifest in ${folder}`);
  return paths[0];
}

/** Sums what live state sums, so that nothing can be optimised away. */
async function ours(file: Uint8Array): Promise<number> {
  let bytes = 0;
  await readManifest(file, (slots) => {
    bytes += Number(slots[SLOT.fileSize]);
  });
  return bytes;
}

/** As a collection does: live sums by partition and bucket. */
async function sums(file: Uint8Array): Promise<number> {
  const live = new LiveFiles();
  await readManifest(file, (slots) => live.add(slots));
  return Number(live.total.size);
}

function withAvsc(file: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    let bytes = 0;
    const decoder = new avsc.streams.BlockDecoder({
      codecs: {
        zstandard: (block: Buffer, done: (error: Error | null, data?: Buffer) => void) =>
          done(null, Buffer.from(decompressZstd(block, MAX_BLOCK_BYTES))),
      },
      // What avsc offers for projection: a reader's schema with the wanted fields only.
      parseHook: (schema: avsc.Schema) => avsc.Type.forSchema(schema, { wrapUnions: false }),
      readerSchema: projected(file),
    } as never);
    decoder.on('data', (entry: { _FILE: { _FILE_SIZE: number } }) => {
      bytes += entry._FILE._FILE_SIZE;
    });
    decoder.on('error', reject);
    decoder.on('end', () => resolve(bytes));
    decoder.end(file);
  });
}

interface Field {
  name: string;
  type: { fields?: Field[]; type?: string } | string | unknown[];
}

function projected(file: Buffer): avsc.Schema {
  const text = file.toString('utf8', file.indexOf('{"type":"record"'));
  let depth = 0;
  let end = 0;
  do {
    if (text[end] === '{') depth++;
    else if (text[end] === '}') depth--;
    end++;
  } while (depth > 0);
  const keep = (record: { fields: Field[] }, prefix: string): unknown => ({
    ...record,
    fields: record.fields.flatMap((field) => {
      const path = prefix + field.name;
      if ((MANIFEST_COLUMNS as readonly string[]).includes(path)) return [field];
      const inner = (field.type as { fields?: Field[] }).fields;
      return path === '_FILE' && inner ? [{ ...field, type: keep(field.type as { fields: Field[] }, `${path}.`) }] : [];
    }),
  });
  return keep(JSON.parse(text.slice(0, end)), '') as avsc.Schema;
}

function decompressOnly(file: Buffer): number {
  const cursor = new Cursor();
  cursor.reset(file);
  cursor.skip(4);
  for (let count = cursor.readLong(); count !== 0; count = cursor.readLong()) {
    for (let i = 0; i < Number(count) * 2; i++) cursor.skipBytes();
  }
  cursor.skip(16);
  let bytes = 0;
  while (cursor.at < cursor.end) {
    cursor.skipLong();
    bytes += decompressZstd(cursor.readBytes(), MAX_BLOCK_BYTES).byteLength;
    cursor.skip(16);
  }
  return bytes;
}

async function compare(what: string, entries: number, contenders: Record<string, () => unknown>): Promise<void> {
  const times = new Map(Object.keys(contenders).map((name) => [name, [] as number[]]));
  const results = new Set<unknown>();
  // The first rounds warm up.
  for (let round = -3; round < rounds; round++) {
    for (const [name, run] of Object.entries(contenders)) {
      const started = process.cpuUsage();
      const result = await run();
      const { user, system } = process.cpuUsage(started);
      const ms = (user + system) / 1000;
      if (round >= 0) times.get(name)!.push(ms);
      if (name !== 'decompression') results.add(result);
    }
  }
  if (results.size !== 1) throw new Error(`the contenders do not agree: ${[...results].join(', ')}`);
  console.log(`${what}, ${entries} entries, median of ${rounds}`);
  for (const [name, list] of times) {
    const ms = list.sort((a, b) => a - b)[list.length >> 1]!;
    console.log(
      `  ${name.padEnd(14)} ${ms.toFixed(1).padStart(8)} ms  ${Math.round(entries / ms)
        .toString()
        .padStart(6)} entries/ms`,
    );
  }
}
