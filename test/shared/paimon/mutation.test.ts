import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readIndexManifest } from '../../../shared/paimon/index-manifest.ts';
import { LiveFiles } from '../../../shared/paimon/live-files.ts';
import { readManifest } from '../../../shared/paimon/manifest.ts';
import { readManifestList } from '../../../shared/paimon/manifest-list.ts';
import { decodeSchema } from '../../../shared/paimon/schema.ts';
import { decodeTag } from '../../../shared/paimon/snapshot.ts';
import { decodeStatistics } from '../../../shared/paimon/statistics.ts';
import { readTable } from '../../../shared/paimon/table.ts';
import { fixtureWarehouses } from '../../fixtures/unpack.ts';
import { printed } from './expected.ts';
import { MemoryStore } from './memory-store.ts';

/**
 * Damaged bytes: no crash, no hang, no memory without bound, always a named error or a value. Repeat a failure with the seed it
 * prints; DATAMAP_MUTATIONS sets how many.
 */
const MUTATIONS = Number(process.env.DATAMAP_MUTATIONS ?? 200_000);
const SEED = Number(process.env.DATAMAP_SEED ?? Date.now() % 2 ** 31);
/** CPU time of one decoding; the machine may be busy, so the clock on the wall says nothing. */
const MAX_CPU_MS = 1_000;
const MAX_GROWTH_BYTES = 600 * 1024 * 1024;
const MAX_FILE_BYTES = 16_384;

/** Deterministic numbers below 1 (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function mutate(bytes: Uint8Array, next: () => number): Uint8Array {
  const at = Math.floor(next() * bytes.length);
  const length = 1 + Math.floor(next() * 16);
  const noise = (): Uint8Array => Uint8Array.from({ length }, () => Math.floor(next() * 256));
  switch (Math.floor(next() * 8)) {
    case 0:
      return bytes.subarray(0, at);
    case 1:
      return Buffer.concat([bytes.subarray(0, at), noise(), bytes.subarray(at)]);
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    case 3:
      return Buffer.concat([bytes.subarray(0, at), noise(), bytes.subarray(at + length)]);
    case 4:
      return Uint8Array.from(bytes).fill(0xff, at, at + length);
    case 5:
      return Uint8Array.from(bytes).fill(0, at, at + length);
    default: {
      const copy = Uint8Array.from(bytes);
      copy[at]! ^= 1 << Math.floor(next() * 8);
      return copy;
    }
  }
}

type Decode = (bytes: Uint8Array) => unknown;
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');

const DECODERS: [folder: RegExp, decode: Decode][] = [
  [/\/manifest\/manifest-list-/, readManifestList],
  [/\/manifest\/index-manifest-/, (bytes) => readIndexManifest(bytes, 'index')],
  [
    /\/manifest\/manifest-/,
    (bytes) => {
      const live = new LiveFiles();
      return readManifest(bytes, (slots) => live.add(slots));
    },
  ],
  [/\/schema\/schema-\d+$/, (bytes) => decodeSchema(text(bytes), 0n)],
  [/\/(?:snapshot\/snapshot|tag\/tag|changelog\/changelog)-[^/]+$/, (bytes) => decodeTag(text(bytes), 'tag')],
  [/\/statistics\//, (bytes) => decodeStatistics(text(bytes))],
];

async function corpus(): Promise<{ path: string; bytes: Uint8Array; decode: Decode }[]> {
  const root = await fixtureWarehouses();
  const files: { path: string; bytes: Uint8Array; decode: Decode }[] = [];
  // One of each container and codec, and everything copied from other writers.
  const wanted =
    /^(?:copied|duckdb|impala|lake|paimon-|table-store|written-java-(?:2\.0\.0|0\.9\.0)\/main\/(?:marketing|clickstream|support)\.db\/)/;
  for (const path of (await readdir(root, { recursive: true })).filter((name) => wanted.test(name)).sort()) {
    const decode = DECODERS.find(([folder]) => folder.test(path))?.[1];
    if (decode === undefined) continue;
    const found = await stat(join(root, path));
    if (found.isFile() && found.size > 0 && found.size <= MAX_FILE_BYTES)
      files.push({ path, bytes: await readFile(join(root, path)), decode });
  }
  return files;
}

describe(`seed ${SEED}`, () => {
  test(`${MUTATIONS} damaged files`, { timeout: 600_000 }, async () => {
    const files = await corpus();
    expect(files.length).toBeGreaterThan(1_000);
    const next = random(SEED);
    const outcomes: Record<string, number> = {};
    const before = process.memoryUsage().rss;
    for (let i = 0; i < MUTATIONS; i++) {
      const { path, bytes, decode } = files[Math.floor(next() * files.length)]!;
      const damaged = mutate(bytes, next);
      const start = process.cpuUsage();
      let outcome = 'read';
      try {
        await decode(damaged);
      } catch (error) {
        outcome = (error as Error).constructor.name;
      }
      const { user, system } = process.cpuUsage(start);
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      if ((user + system) / 1000 > MAX_CPU_MS || !/^(?:read|Damage|NotReadable|OverLimit|JsonError|RangeError)$/.test(outcome)) {
        expect.fail(`mutation ${i} of ${path} (seed ${SEED}): ${outcome} after ${(user + system) / 1000} ms CPU`);
      }
      if (i % 10_000 === 0) expect(process.memoryUsage().rss - before).toBeLessThan(MAX_GROWTH_BYTES);
    }
    expect(outcomes.read).toBeGreaterThan(0);
    expect(outcomes.Damage).toBeGreaterThan(MUTATIONS / 10);
  });

  test('whole tables with one damaged object', { timeout: 300_000 }, async () => {
    const root = await fixtureWarehouses();
    const tables = [
      'paimon-cpp-orc/pk_09.db/pk_09',
      'paimon-cpp-parquet/pk_btree_partitioned_e2e.db/pk_btree_partitioned_e2e',
      'impala/functional.db/paimon_partitioned',
    ];
    const next = random(SEED);
    for (const folder of tables) {
      const store = new MemoryStore();
      for (const name of await readdir(join(root, folder), { recursive: true })) {
        if ((await stat(join(root, folder, name))).isFile())
          store.put(`d.db/t/${name}`, await readFile(join(root, folder, name)));
      }
      const keys = [...store.objects.keys()].filter((key) =>
        /^d\.db\/t\/(?:branch\/|schema|snapshot|manifest|tag|statistics)/.test(key),
      );
      const whole = await readTable(store, { warehousePrefix: '', database: 'd', table: 't' }, { full: true });
      expect(whole.status).toBe('ok');
      for (let i = 0; i < 60; i++) {
        const key = keys[Math.floor(next() * keys.length)]!;
        const intact = store.objects.get(key)!;
        store.put(key, mutate(intact, next));
        const metadata = await readTable(store, { warehousePrefix: '', database: 'd', table: 't' }, { full: i % 2 === 0 });
        expect(['ok', 'degraded', 'broken']).toContain(metadata.status);
        // It can be shown, and what is not known is never zero.
        expect(printed(metadata).type).toBeTypeOf('string');
        if (metadata.live === undefined && metadata.latest !== undefined) expect(metadata.status).not.toBe('ok');
        store.put(key, intact);
      }
    }
  });
});
