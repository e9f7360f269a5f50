import { randomUUID } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as collecting from '../../functions/collect-tables/handler.ts';
import * as planning from '../../functions/plan-collection/handler.ts';
import { DataSourceInput } from '../../shared/data-source.ts';
import type { Call } from '../../shared/fc/context.ts';
import { createLog } from '../../shared/log.ts';
import { CollectionRequested, type Message, QUEUES, TableCollectionRequested } from '../../shared/messages.ts';
import { openDirectoryStore } from '../../shared/object-store/directory.ts';
import type { ObjectStore } from '../../shared/object-store/object-store.ts';
import { metered, newMeter, type RequestMeter } from '../../shared/object-store/request-meter.ts';
import type { Queue } from '../../shared/queue/queue.ts';
import { createRun, type RunCause, type TableName } from '../../shared/store/collection-runs.ts';
import { createDataSource } from '../../shared/store/data-sources.ts';
import { fixtureWarehouses } from '../fixtures/unpack.ts';
import { type TestDatabase, testDatabase, testWorkspace } from './postgres.ts';

/** A queue in memory, so that tests decide what is delivered, how often and in which order. */
export interface HeldQueue extends Queue {
  waiting: Array<{ queueName: string; message: Message; delaySeconds: number }>;
}

export interface CollectionScene {
  db: TestDatabase;
  workspaceId: number;
  environmentId: string;
  /** Folder of the warehouse; change files in it as a writer would. */
  warehouse: string;
  /** What the functions read through; replace it to force faults. */
  store: ObjectStore;
  meter: RequestMeter;
  queue: HeldQueue;
  logs: string[];
  call(): Call;
  planDeps(): planning.Deps;
  collectDeps(): collecting.Deps;
  request(options?: { cause?: RunCause; tables?: TableName[] }): Promise<string>;
  /** Delivers until nothing waits; `times`: each message so often, at the same moment. */
  drain(options?: { times?: number; pick?: (waiting: number) => number }): Promise<void>;
  deliver(item: { queueName: string; message: Message }): Promise<void>;
  /** `request` and `drain`; the run's row. */
  collect(options?: { cause?: RunCause; tables?: TableName[] }): Promise<RunRow>;
  run(runId: string): Promise<RunRow>;
  tables(): Promise<TableRow[]>;
  feed(): Promise<string[]>;
  close(): Promise<void>;
}

export interface RunRow {
  id: string;
  phase: string;
  error_code: string | null;
  error_message: string | null;
  tables_found: number;
  plan_requests: number;
  removed: number;
  held_removals: TableName[] | null;
  read: number;
  unchanged: number;
  failed: number;
  queued: number;
  requests: number;
}

export interface TableRow {
  id: string;
  database: string;
  name: string;
  status: string;
  problems: Array<{ code: string }>;
  snapshot_id: string | null;
  row_count: string | null;
  schema_id: string | null;
  column_count: number;
  incarnation: number;
  removed_at: Date | null;
}

/**
 * A connected environment over an empty warehouse folder, with the real planning and collecting functions on a real
 * database. `copy` puts fixture databases into the warehouse.
 */
export async function collectionScene(): Promise<CollectionScene & { copy(from: string, to: string): Promise<void> }> {
  const db = await testDatabase({ maxConnections: 6 });
  const workspaceId = await testWorkspace(db, 'default', 'basic');
  const bucket = mkdtempSync(join(tmpdir(), 'datamap-lake-'));
  const warehouse = join(bucket, 'wh');
  mkdirSync(warehouse);
  const input = DataSourceInput.parse({
    name: 'lake',
    catalog: 'paimon',
    environments: {
      production: {
        accessMode: 'accessKey',
        accessKeyId: 'test',
        accessKeySecret: 'test',
        region: 'cn-hangzhou',
        endpoint: 'oss-cn-hangzhou.aliyuncs.com',
        warehouse: 'oss://lake/wh',
      },
    },
  });
  await db.database.tenant(workspaceId, (tx) => createDataSource(tx, input, () => ({ sealed: true })));
  const [environment] = await db.query<{ id: string }>(
    `update environment set connection_state = 'connected', tested_config_version = config_version returning id`,
  );
  const meter = newMeter();
  const logs: string[] = [];
  const waiting: HeldQueue['waiting'] = [];
  const log = createLog({ level: 'debug', write: (line) => logs.push(line) });
  const scene: CollectionScene & { copy(from: string, to: string): Promise<void> } = {
    db,
    workspaceId,
    environmentId: environment!.id,
    warehouse,
    store: metered(openDirectoryStore(bucket), meter),
    meter,
    queue: {
      waiting,
      send: async (queueName, messages, options) => {
        for (const message of messages) waiting.push({ queueName, message, delaySeconds: options?.delaySeconds ?? 0 });
      },
    },
    logs,
    call: () => ({ requestId: randomUUID(), log, remainingMs: () => 290_000 }),
    planDeps: () => ({ database: db.database, queue: scene.queue, openStore: async () => scene.store }),
    collectDeps: () => ({ database: db.database, queue: scene.queue, openStore: async () => scene.store }),
    request: ({ cause = 'request', tables } = {}) =>
      db.database.tenant(workspaceId, async (tx) => {
        const request = { environmentId: scene.environmentId, cause, requestedBy: 'test', ...(tables && { tables }) };
        return createRun(tx, request);
      }),
    async deliver({ queueName, message }) {
      if (queueName === QUEUES.collection) await planning.run(CollectionRequested.parse(message), scene.planDeps(), scene.call());
      else if (queueName === QUEUES.tableBulk || queueName === QUEUES.tableEvents)
        await collecting.run(TableCollectionRequested.parse(message), scene.collectDeps(), scene.call());
    },
    async drain({ times = 1, pick = () => 0 } = {}) {
      await flush(scene);
      for (let delivered = 0; waiting.length > 0; delivered++) {
        if (delivered > 2_000) throw new Error(`messages have no end; the next is ${JSON.stringify(waiting[0])}`);
        const [item] = waiting.splice(pick(waiting.length), 1);
        await Promise.all(Array.from({ length: times }, () => scene.deliver(item!)));
        await flush(scene);
      }
    },
    async collect(options) {
      const runId = await scene.request(options);
      await scene.drain();
      return scene.run(runId);
    },
    run: async (runId) =>
      (
        await db.query<RunRow>(
          `select r.*, t.* from collection_run r cross join lateral (
             select count(*) filter (where state = 'read')::int as read, count(*) filter (where state = 'unchanged')::int as unchanged,
               count(*) filter (where state = 'failed')::int as failed, count(*) filter (where state = 'queued')::int as queued,
               coalesce(sum(requests), 0)::int as requests
             from collection_run_table where run_id = r.id) t where r.id = $1`,
          [runId],
        )
      )[0]!,
    tables: () =>
      db.query<TableRow>(
        `select t.id, d.name as database, t.name, s.status, s.problems, s.snapshot_id, s.row_count, t.schema_id, t.column_count,
           t.incarnation, t.removed_at
         from catalog_table t join catalog_database d on d.id = t.database_id left join table_state s on s.table_id = t.id
         order by d.name, t.name`,
      ),
    feed: async () =>
      (await db.query<{ type: string; subject: string }>('select type, subject from change_feed order by sequence')).map(
        (entry) => `${entry.type} ${entry.subject}`,
      ),
    async copy(from, to) {
      cpSync(join(await fixtureWarehouses(), from), join(warehouse, to), { recursive: true });
    },
    async close() {
      await db.close();
      rmSync(bucket, { recursive: true, force: true });
    },
  };
  return scene;
}

async function flush(scene: CollectionScene): Promise<void> {
  const { flushOutbox } = await import('../../shared/store/outbox.ts');
  await flushOutbox(scene.db.database, scene.queue);
}

/** Every row version of the map, by table: equal before and after means that nothing was written. */
export async function rowVersions(db: TestDatabase, tables: readonly string[]): Promise<Record<string, string[]>> {
  const versions: Record<string, string[]> = {};
  for (const table of tables) {
    const rows = await db.query<{ v: string }>(`select ctid::text || ' ' || xmin::text as v from ${table} order by 1`);
    versions[table] = rows.map((row) => row.v);
  }
  return versions;
}
