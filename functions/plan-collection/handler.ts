import { z } from 'zod';
import { openEnvironmentStore, storageEnv, storageSettings } from '../../shared/credentials/environment-store.ts';
import type { EnvironmentConfig } from '../../shared/data-source.ts';
import { DatamapError, isPermanent } from '../../shared/errors.ts';
import { type Call, eventHandler } from '../../shared/fc/event-handler.ts';
import { functionQueue, queueEnv } from '../../shared/fc/function-queue.ts';
import { instanceDatabase } from '../../shared/fc/instance.ts';
import type { Log } from '../../shared/log.ts';
import { CollectionRequested, QUEUES } from '../../shared/messages.ts';
import type { ObjectStore } from '../../shared/object-store/object-store.ts';
import { metered, newMeter, totalRequests } from '../../shared/object-store/request-meter.ts';
import type { Queue } from '../../shared/queue/queue.ts';
import { numberFeed } from '../../shared/store/change-feed.ts';
import {
  addPlanCost,
  advanceRun,
  beginPlanning,
  failRun,
  finishPlanning,
  getRunHead,
  type RunHead,
  retryPlanning,
  type TableName,
} from '../../shared/store/collection-runs.ts';
import { gateOf } from '../../shared/store/connectivity-tests.ts';
import { getEnvironmentConfig } from '../../shared/store/data-sources.ts';
import type { Database, TenantTransaction } from '../../shared/store/database.ts';
import { flushOutbox } from '../../shared/store/outbox.ts';
import { handOut, hasOnlyMissing } from '../../shared/store/run-tables.ts';
import { suspectAccess } from '../../shared/store/suspect-access.ts';
import { cutBatches } from './plan.ts';
import { type PlanResult, planEnvironment } from './plan-environment.ts';
import { settleRemovals } from './settle-removals.ts';

const Env = z.object({ DATABASE_URL: z.string().min(1), ...queueEnv, ...storageEnv });

/** A queue push waits five minutes at most: the rest of a large plan is handed on by then. */
const SLICE_MS = 200_000;
/** What handing on takes, at most. */
const RESERVE_MS = 15_000;

export interface Deps {
  database: Database;
  queue: Queue;
  openStore(config: EnvironmentConfig, sealedSecret: unknown): Promise<ObjectStore>;
}

/** Queue: collection.requested. Plans one run: lists, compares, hands out tables, removes or holds what is gone. */
export const handler = eventHandler({ message: CollectionRequested, env: Env, build, run });

export async function run(message: CollectionRequested, deps: Deps, call: Call): Promise<void> {
  const { workspaceId, runId } = message.data;
  const log = call.log.child({ runId, environmentId: message.data.environmentId });
  const startedAt = performance.now();
  try {
    const start = await beginRun(message, deps);
    if (!start) return log.info('nothing to plan: the run has ended or is gone');
    if ('refused' in start) return log.warn('collection refused', { reason: start.refused });
    try {
      const result = await plan(message, start, deps, {
        log,
        holder: `plan-collection ${call.requestId}`,
        isSliceOver: () => performance.now() - startedAt > SLICE_MS || call.remainingMs() < RESERVE_MS,
      });
      log.info('plan slice done', { result });
    } catch (error) {
      await recordFailure(runId, workspaceId, error, deps, log);
    }
  } finally {
    await flushOutbox(deps.database, deps.queue);
    await numberFeed(deps.database);
  }
}

interface Start {
  head: RunHead;
  config: EnvironmentConfig;
  sealedSecret: unknown;
}

/** Undefined: nothing to do. `refused`: the run was failed, and why. */
function beginRun({ data }: CollectionRequested, deps: Deps): Promise<Start | { refused: string } | undefined> {
  return deps.database.tenant(data.workspaceId, async (tx) => {
    const head = await getRunHead(tx, data.runId);
    if (!head || !isOpen(head.phase)) return undefined;
    const refuse = async (code: string, message: string) => {
      await failRun(tx, head.id, { code, message });
      return { refused: message };
    };
    const found = await getEnvironmentConfig(tx, head.environmentId);
    if (!found) return refuse('configuration-incomplete', 'the configuration of this environment is incomplete or has errors');
    const gate = await gateOf(tx, found.config.dataSourceId);
    if (!gate.open) return refuse('gate-closed', gate.reason);
    if (head.phase !== 'collecting') await beginPlanning(tx, head.id);
    return { head, config: found.config, sealedSecret: found.sealedSecret };
  });
}

function isOpen(phase: RunHead['phase']): boolean {
  return phase === 'queued' || phase === 'planning' || phase === 'collecting';
}

/** The step that the run waits for: handing out its tables, or, when they are all dealt with, settling what was not found. */
async function plan(
  { data }: CollectionRequested,
  { head, config, sealedSecret }: Start,
  deps: Deps,
  slice: { log: Log; holder: string; isSliceOver(): boolean },
): Promise<PlanResult | 'settled'> {
  const inTransaction = <T>(work: (tx: TenantTransaction) => Promise<T>) => deps.database.tenant(head.workspaceId, work);
  const meter = newMeter();
  const openStore = async () => metered(await deps.openStore(config, sealedSecret), meter);
  const planDeps = { database: deps.database, ...slice };
  try {
    if (head.phase !== 'collecting') {
      const result = head.requestedTables
        ? await handOutRequested(head, head.requestedTables, inTransaction)
        : await planEnvironment(
            {
              config,
              store: await openStore(),
              runId: head.id,
              ...(data.continueAfter && { continueAfter: data.continueAfter }),
            },
            planDeps,
          );
      if (result !== 'planned') return result;
      await inTransaction((tx) => finishPlanning(tx, head.id));
    } else if (await inTransaction((tx) => hasOnlyMissing(tx, head.id))) {
      const isSettled = await settleRemovals({ config, store: await openStore(), runId: head.id }, head, planDeps);
      if (!isSettled) slice.log.info('removals go on in another slice');
    }
    // Its own transaction: tables may have been finished meanwhile, and whoever commits last must see all of them.
    await inTransaction((tx) => advanceRun(tx, head.id));
    return head.phase === 'collecting' ? 'settled' : 'planned';
  } finally {
    await inTransaction((tx) => addPlanCost(tx, head.id, totalRequests(meter), meter.bytesRead));
  }
}

/** Tables that somebody named need no listing; looking says what is not there. They do not wait behind sweeps. */
async function handOutRequested(
  head: RunHead,
  tables: readonly TableName[],
  inTransaction: <T>(work: (tx: TenantTransaction) => Promise<T>) => Promise<T>,
): Promise<PlanResult> {
  const batches = cutBatches(tables.map((table) => ({ ...table, requests: 1, bytes: 0 })));
  return (await inTransaction((tx) => handOut(tx, head, batches, QUEUES.tableEvents))) ? 'planned' : 'superseded';
}

/** What a repeat would not cure ends the run with its reason; the rest is tried again, a bounded number of times. */
async function recordFailure(runId: string, workspaceId: number, error: unknown, deps: Deps, log: Log): Promise<void> {
  if (!(error instanceof DatamapError)) throw error;
  const reason = { code: error.code, message: error.message };
  if (isPermanent(error)) {
    log.warn('run failed', { error });
    await deps.database.tenant(workspaceId, async (tx) => {
      await failRun(tx, runId, reason);
      await suspectAccess(tx, runId, error);
    });
    return;
  }
  const delaySeconds = await deps.database.tenant(workspaceId, (tx) => retryPlanning(tx, runId, reason));
  log.warn(delaySeconds === undefined ? 'run failed' : 'planning will be tried again', { error, delaySeconds });
}

function build(env: z.infer<typeof Env>, call: Call): Deps {
  const access = { settings: storageSettings(env, call.credentials), functionKeys: call.credentials };
  return {
    database: instanceDatabase(env.DATABASE_URL),
    queue: functionQueue(env, call),
    openStore: (config, sealedSecret) => openEnvironmentStore(config, sealedSecret, access),
  };
}
