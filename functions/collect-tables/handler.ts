import { setMaxListeners } from 'node:events';
import { z } from 'zod';
import { compileScope } from '../../shared/collection-scope.ts';
import { openEnvironmentStore, storageEnv, storageSettings } from '../../shared/credentials/environment-store.ts';
import type { EnvironmentConfig } from '../../shared/data-source.ts';
import { DatamapError, isPermanent } from '../../shared/errors.ts';
import { type Call, eventHandler } from '../../shared/fc/event-handler.ts';
import { functionQueue, queueEnv } from '../../shared/fc/function-queue.ts';
import { instanceDatabase } from '../../shared/fc/instance.ts';
import { TableCollectionRequested } from '../../shared/messages.ts';
import type { ObjectStore } from '../../shared/object-store/object-store.ts';
import type { Queue } from '../../shared/queue/queue.ts';
import { numberFeed } from '../../shared/store/change-feed.ts';
import { advanceRun, failRun, getRunHead, type RunHead } from '../../shared/store/collection-runs.ts';
import { gateOf } from '../../shared/store/connectivity-tests.ts';
import { getEnvironmentConfig } from '../../shared/store/data-sources.ts';
import type { Database, TenantTransaction } from '../../shared/store/database.ts';
import { flushOutbox } from '../../shared/store/outbox.ts';
import { retryLater, stillQueued } from '../../shared/store/run-tables.ts';
import { suspectAccess } from '../../shared/store/suspect-access.ts';
import { tableKeyOf } from '../../shared/store/table-key.ts';
import { loadTableStates } from '../../shared/store/table-map.ts';
import { type BatchTable, collectBatch } from './collect-batch.ts';

const Env = z.object({ DATABASE_URL: z.string().min(1), ...queueEnv, ...storageEnv });

/** A queue push waits five minutes at most: no new table after this. */
const SLICE_MS = 200_000;
/** Reads are stopped this long before the platform would end the function. */
const RESERVE_MS = 20_000;
const UNREACHABLE_RETRY_SECONDS = 20;

export interface Deps {
  database: Database;
  queue: Queue;
  openStore(config: EnvironmentConfig, sealedSecret: unknown): Promise<ObjectStore>;
}

/** Queue: table-collection.requested. Reads what changed of these tables into the data map and the change feed. */
export const handler = eventHandler({ message: TableCollectionRequested, env: Env, build, run });

export async function run(message: TableCollectionRequested, deps: Deps, call: Call): Promise<void> {
  const { workspaceId, environmentId, runId } = message.data;
  const log = call.log.child({ environmentId, runId });
  const startedAt = performance.now();
  try {
    const start = await beginBatch(message, deps);
    if ('refused' in start) return log.warn('tables not collected', { reason: start.refused });
    if (start.tables.length === 0) return log.info('nothing left to collect');
    const store = await openOrFail(start, deps);
    if (!store) return;
    await collectBatch(message.data, start.tables, {
      database: deps.database,
      workspaceId,
      place: { environmentId, dataSourceName: start.config.dataSourceName, environment: start.config.environment },
      store,
      warehousePrefix: start.config.location.prefix,
      ...(start.head && {
        run: {
          id: start.head.id,
          rereads: start.head.cause === 'request' && start.head.requestedTables !== undefined,
          reportsAbsence: start.head.cause === 'request' && start.head.requestedTables !== undefined,
        },
      }),
      ...(message.data.eventAt !== undefined && { eventAt: new Date(message.data.eventAt) }),
      log,
      holder: `collect-tables ${call.requestId}`,
      signal: stopSignal(call.remainingMs() - RESERVE_MS),
      isSliceOver: () => performance.now() - startedAt > SLICE_MS || call.remainingMs() < 3 * RESERVE_MS,
    });
  } finally {
    // In a transaction of its own: of two that finish at the same moment, the later sees everything.
    if (runId) await deps.database.tenant(workspaceId, (tx) => advanceRun(tx, runId));
    await flushOutbox(deps.database, deps.queue);
    await numberFeed(deps.database);
  }
}

/** One signal for all requests that are in flight: more listeners than Node takes for a leak. */
function stopSignal(ms: number): AbortSignal {
  const signal = AbortSignal.timeout(Math.max(1_000, Math.floor(ms)));
  setMaxListeners(0, signal);
  return signal;
}

interface Start {
  config: EnvironmentConfig;
  sealedSecret: unknown;
  head: RunHead | undefined;
  tables: BatchTable[];
}

async function beginBatch({ data }: TableCollectionRequested, deps: Deps): Promise<Start | { refused: string }> {
  return deps.database.tenant(data.workspaceId, async (tx) => {
    const head = data.runId ? await getRunHead(tx, data.runId) : undefined;
    if (data.runId && (!head || (head.phase !== 'planning' && head.phase !== 'collecting')))
      return { refused: `run ${data.runId} has ended` };
    const refuse = async (code: string, message: string) => {
      if (head) await failRun(tx, head.id, { code, message });
      return { refused: message };
    };
    const found = await getEnvironmentConfig(tx, data.environmentId);
    if (!found) return refuse('configuration-incomplete', 'the configuration of this environment is incomplete or has errors');
    const gate = await gateOf(tx, found.config.dataSourceId);
    if (!gate.open) return refuse('gate-closed', gate.reason);
    const scope = compileScope(found.config.scope);
    const named = head
      ? await stillQueued(tx, head.id, data.tables)
      : data.tables.filter(({ database, table }) => scope.holds(database, table)).map((name) => ({ ...name, attempts: 0 }));
    const states = await loadTableStates(tx, data.environmentId, named);
    return {
      config: found.config,
      sealedSecret: found.sealedSecret,
      head,
      tables: named.map((name) => ({ ...name, before: states.get(tableKeyOf(name)) })),
    };
  });
}

/** Without a store no table of the batch can be read: a refusal ends the run, anything else is tried again later. */
async function openOrFail({ config, sealedSecret, head, tables }: Start, deps: Deps): Promise<ObjectStore | undefined> {
  try {
    return await deps.openStore(config, sealedSecret);
  } catch (error) {
    if (!head || !(error instanceof DatamapError)) throw error;
    const reason = { code: error.code, message: error.message };
    await deps.database.tenant(config.workspaceId, async (tx: TenantTransaction) => {
      if (isPermanent(error)) {
        await failRun(tx, head.id, reason);
        await suspectAccess(tx, head.id, error);
      } else {
        const tried = tables.map((table) => ({ ...table, error: reason, wasBegun: false }));
        await retryLater(tx, head, tried, UNREACHABLE_RETRY_SECONDS);
      }
    });
    return undefined;
  }
}

function build(env: z.infer<typeof Env>, call: Call): Deps {
  const access = { settings: storageSettings(env, call.credentials), functionKeys: call.credentials };
  return {
    database: instanceDatabase(env.DATABASE_URL),
    queue: functionQueue(env, call),
    openStore: (config, sealedSecret) => openEnvironmentStore(config, sealedSecret, access),
  };
}
