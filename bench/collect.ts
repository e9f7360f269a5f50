import { randomUUID } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import * as collecting from '../functions/collect-tables/handler.ts';
import * as planning from '../functions/plan-collection/handler.ts';
import { startPostgres } from '../local/embedded-postgres.ts';
import { DataSourceInput } from '../shared/data-source.ts';
import type { Call } from '../shared/fc/context.ts';
import { createLog } from '../shared/log.ts';
import { CollectionRequested, type Message, TableCollectionRequested } from '../shared/messages.ts';
import { openDirectoryStore } from '../shared/object-store/directory.ts';
import type { ObjectStore } from '../shared/object-store/object-store.ts';
import { metered, newMeter, totalRequests } from '../shared/object-store/request-meter.ts';
import type { Queue } from '../shared/queue/queue.ts';
import { createRun } from '../shared/store/collection-runs.ts';
import { createDataSource } from '../shared/store/data-sources.ts';
import { openDatabase } from '../shared/store/database.ts';
import { migrate } from '../shared/store/migrate.ts';
import { flushOutbox } from '../shared/store/outbox.ts';

/**
 * What collecting costs: one real table copied many times, collected twice by the real functions on a real PostgreSQL. The
 * requests are exact; the times are this machine's, with the warehouse in a folder, so without a network.
 */

const { values: options } = parseArgs({
  options: {
    tables: { type: 'string', default: '500' },
    databases: { type: 'string', default: '5' },
    /** A table's folder. */
    from: { type: 'string', default: 'sample/warehouse/iot.db/visits_unaware' },
    /** Milliseconds that every request waits, as over a network. */
    latency: { type: 'string', default: '0' },
    profile: { type: 'boolean', default: false },
  },
});
const tables = Number(options.tables);
const databases = Number(options.databases);
const latencyMs = Number(options.latency);

const folder = mkdtempSync(join(tmpdir(), 'datamap-bench-'));
const postgres = await startPostgres({ dir: join(folder, 'postgres') });
try {
  await migrate(postgres.url);
  const database = openDatabase(postgres.url, { maxConnections: 2 });
  for (let i = 0; i < tables; i++)
    cpSync(options.from, join(folder, 'bucket', 'wh', `d${i % databases}.db`, `t${i}`), { recursive: true });
  mkdirSync(join(folder, 'bucket', 'wh'), { recursive: true });

  const meter = newMeter();
  const store = metered(delayed(openDirectoryStore(join(folder, 'bucket')), latencyMs), meter);
  const waiting: Array<Message> = [];
  const queue: Queue = { send: async (_, messages) => void waiting.push(...messages) };
  const deps = { database, queue, openStore: async () => store };
  const [workspace] = await database.system((tx) =>
    tx.query<{ id: number }>(`insert into workspace (name, kind) values ('bench', 'basic') returning id`),
  );
  const workspaceId = workspace!.id;
  const production = {
    accessMode: 'accessKey',
    accessKeyId: 'bench',
    accessKeySecret: 'bench',
    region: 'cn-hangzhou',
    endpoint: 'oss-cn-hangzhou.aliyuncs.com',
    warehouse: 'oss://bench-bucket/wh',
  };
  await database.tenant(workspaceId, (tx) =>
    createDataSource(tx, DataSourceInput.parse({ name: 'bench', environments: { production } }), () => ({})),
  );
  const [environment] = await database.system((tx) =>
    tx.query<{ id: string }>(
      `update environment set connection_state = 'connected', tested_config_version = config_version returning id`,
    ),
  );

  console.log(`${tables} tables in ${databases} databases, copies of ${options.from}, ${latencyMs} ms a request`);
  for (const name of ['first', 'second']) {
    const before = { ...meter };
    const cpuBefore = process.cpuUsage();
    const startedAt = performance.now();
    const runId = await database.tenant(workspaceId, (tx) =>
      createRun(tx, { environmentId: environment!.id, cause: 'request', requestedBy: 'bench' }),
    );
    await flushOutbox(database, queue);
    let messages = 0;
    for (let message = waiting.shift(); message; message = waiting.shift()) {
      messages++;
      if (message.type === 'collection.requested') await planning.run(CollectionRequested.parse(message), deps, call());
      else await collecting.run(TableCollectionRequested.parse(message), deps, call());
    }
    const seconds = (performance.now() - startedAt) / 1_000;
    const cpu = process.cpuUsage(cpuBefore);
    const [run] = await database.system((tx) =>
      tx.query<{ phase: string; plan_requests: number; requests: number }>(
        `select phase, plan_requests, (select sum(requests)::int from collection_run_table where run_id = $1) as requests
         from collection_run where id = $1`,
        [runId],
      ),
    );
    const requests = totalRequests(meter) - totalRequests(before);
    console.log(
      [
        `${name} collection: ${run!.phase}`,
        `${messages} messages`,
        `${requests} requests (${run!.plan_requests} planning, ${(run!.requests / tables).toFixed(2)} a table)`,
        `${((meter.bytesRead - before.bytesRead) / tables / 1024).toFixed(1)} KiB a table`,
        `${seconds.toFixed(1)} s, ${(tables / seconds).toFixed(0)} tables/s`,
        `${((cpu.user + cpu.system) / 1_000 / tables).toFixed(1)} ms of processor a table`,
        `${(process.memoryUsage.rss() / 1e6).toFixed(0)} MB resident`,
      ].join(', '),
    );
  }
  await database.close();
} finally {
  await postgres.stop();
  rmSync(folder, { recursive: true, force: true });
}

function call(): Call {
  return { requestId: randomUUID(), log: createLog({ level: 'error' }), remainingMs: () => 290_000 };
}

function delayed(inner: ObjectStore, ms: number): ObjectStore {
  if (ms === 0) return inner;
  const after = async <T>(ask: () => Promise<T>): Promise<T> => {
    await new Promise((resolve) => setTimeout(resolve, ms));
    return ask();
  };
  return {
    get: (...request) => after(() => inner.get(...request)),
    getRange: (...request) => after(() => inner.getRange(...request)),
    head: (...request) => after(() => inner.head(...request)),
    list: (...request) => after(() => inner.list(...request)),
  };
}
