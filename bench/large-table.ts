import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { Secret } from '../shared/credentials/secret.ts';
import { openDirectoryStore } from '../shared/object-store/directory.ts';
import type { ObjectStore } from '../shared/object-store/object-store.ts';
import { openOssStore } from '../shared/object-store/oss.ts';
import { metered, newMeter, totalRequests } from '../shared/object-store/request-meter.ts';
import { type ReadTableOptions, readTable, type TableMetadata } from '../shared/paimon/table.ts';
import { TableWriter } from '../test/shared/paimon/write-table.ts';
import { startDirectoryOss } from '../test/support/oss.ts';

/**
 * A table of many files with a long history: its latest state, and all of it, read from the folder and over the local object
 * store endpoint, which has a thread of its own.
 *
 *   node bench/run.mjs large-table [--files 100000] [--partitions 10000] [--snapshots 5000] [--schemas 3000] [--rounds 3]
 */

const { values: options } = parseArgs({
  options: {
    files: { type: 'string', default: '100000' },
    partitions: { type: 'string', default: '10000' },
    snapshots: { type: 'string', default: '5000' },
    schemas: { type: 'string', default: '3000' },
    rounds: { type: 'string', default: '3' },
  },
});
const files = Number(options.files);
const partitions = Number(options.partitions);
const snapshots = Number(options.snapshots);
const schemas = Number(options.schemas);
const MANIFEST_ENTRIES = 5_000;
const location = { warehousePrefix: '', database: 'db', table: 't' };

if (isMainThread) await main();
else await serve();

async function serve(): Promise<void> {
  const oss = await startDirectoryOss();
  const { accessKeyId, accessKeySecret } = oss.keys;
  parentPort!.postMessage({ url: oss.url, directory: oss.directory, accessKeyId, secret: accessKeySecret.reveal() });
  parentPort!.once('message', () => oss.close().then(() => process.exit(0)));
}

async function main(): Promise<void> {
  const server = new Worker(new URL(import.meta.url));
  const { url, directory, accessKeyId, secret } = await new Promise<Record<string, string>>((resolve, reject) => {
    server.once('message', resolve);
    server.once('error', reject);
  });
  write(directory!);
  const overHttp = openOssStore({
    endpoint: url!,
    region: 'cn-hangzhou',
    bucket: 'lake',
    keys: { accessKeyId: accessKeyId!, accessKeySecret: new Secret(secret!) },
  });
  console.log(`${files} live files, ${partitions} partitions, ${snapshots} snapshots, ${schemas} schemas`);
  const inFolder = openDirectoryStore(directory!);
  const idle = process.memoryUsage().rss;
  for (const [what, store, read] of [
    ['latest state, folder', inFolder, { latestOnly: true }],
    ['latest state, endpoint', overHttp, { latestOnly: true }],
    ['everything, folder', inFolder, {}],
    ['everything, endpoint', overHttp, {}],
  ] as const)
    await measure(what, store, read);
  console.log(`at most ${Math.round((process.resourceUsage().maxRSS * 1024 - idle) / 2 ** 20)} MiB over the idle process`);
  const exited = new Promise((resolve) => server.once('exit', resolve));
  server.postMessage('close');
  await exited;
}

async function measure(what: string, store: ObjectStore, options_: ReadTableOptions): Promise<void> {
  const times: string[] = [];
  let requests = 0;
  for (let round = 0; round < Number(options.rounds); round++) {
    const meter = newMeter();
    const started = performance.now();
    const cpu = process.cpuUsage();
    const table = await readTable(metered(store, meter), location, options_);
    const { user, system } = process.cpuUsage(cpu);
    times.push(`${((performance.now() - started) / 1000).toFixed(2)} s (processor ${((user + system) / 1e6).toFixed(2)} s)`);
    requests = totalRequests(meter);
    check(table, options_.latestOnly === true);
  }
  console.log(`${what.padEnd(24)} ${String(requests).padStart(6)} requests  ${times.join(', ')}`);
}

function check(table: TableMetadata, latestOnly: boolean): void {
  const found = [table.status, table.live?.files, table.live?.partitions.length, table.schemas.length, table.snapshots.length];
  const expected = ['ok', files, partitions, latestOnly ? 1 : schemas, latestOnly ? 1 : snapshots];
  if (JSON.stringify(found) !== JSON.stringify(expected)) throw new Error(`${found.join()} is not ${expected.join()}`);
}

/** Metadata only; partitions are spread over all manifests, as daily commits to many partitions leave them. */
function write(directory: string): void {
  const put = (key: string, content: string | Uint8Array): void => {
    const path = join(directory, key);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  };
  const root = 'db.db/t/';
  const writer = new TableWriter({ put }, root);
  for (let id = 0; id < schemas; id++) {
    const fields = Array.from({ length: 20 }, (_, i) => ({
      id: i,
      name: i === 0 ? 'p' : `column_${i}`,
      type: i % 3 ? 'STRING' : 'BIGINT',
    }));
    fields[0]!.type = 'STRING';
    writer.schema(id, { fields, highestFieldId: 19, comment: `change ${id}` });
  }
  const manifests = [];
  for (let from = 0; from < files; from += MANIFEST_ENTRIES) {
    const length = Math.min(MANIFEST_ENTRIES, files - from);
    manifests.push(
      writer.manifest(
        Array.from({ length }, (_, i) => ({
          name: `data-${randomUUID()}-0.parquet`,
          partition: `part-${(from + i) % partitions}`,
          bucket: Math.floor((from + i) / partitions) % 4,
          size: 1_000_000 + i,
        })),
      ),
    );
  }
  const base = writer.list(manifests);
  const delta = writer.list([]);
  for (let id = 1; id <= snapshots; id++) {
    put(
      `${root}snapshot/snapshot-${id}`,
      JSON.stringify({
        version: 3,
        id,
        schemaId: Math.min(id, schemas - 1),
        baseManifestList: base.name,
        baseManifestListSize: base.size,
        deltaManifestList: delta.name,
        deltaManifestListSize: delta.size,
        commitUser: 'bench',
        commitIdentifier: id,
        commitKind: 'APPEND',
        timeMillis: id,
        totalRecordCount: files * 10,
      }),
    );
  }
  put(`${root}snapshot/EARLIEST`, '1');
  put(`${root}snapshot/LATEST`, String(snapshots));
}
