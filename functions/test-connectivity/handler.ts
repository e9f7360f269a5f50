import { z } from 'zod';
import { runChecks } from '../../shared/connectivity/run-checks.ts';
import { type Access, storageEnv, storageSettings } from '../../shared/credentials/environment-store.ts';
import { type Call, eventHandler } from '../../shared/fc/event-handler.ts';
import { functionQueue, queueEnv } from '../../shared/fc/function-queue.ts';
import { instanceDatabase } from '../../shared/fc/instance.ts';
import { ConnectivityTestRequested } from '../../shared/messages.ts';
import type { Queue } from '../../shared/queue/queue.ts';
import { recordChecks } from '../../shared/store/connectivity-tests.ts';
import type { Database } from '../../shared/store/database.ts';
import { flushOutbox } from '../../shared/store/outbox.ts';
import { beginTest, endTest } from './test-record.ts';

const Env = z.object({ DATABASE_URL: z.string().min(1), ...queueEnv, ...storageEnv });

/** What writing the result takes, at most. */
const RESERVE_MS = 8_000;

export interface Deps {
  database: Database;
  queue: Queue;
  access: Access;
  /** Longest time for the checks; the default is theirs. */
  budgetMs?: number;
}

/** Queue: connectivity-test.requested. Tests one environment, shows each check as it ends, and opens the gate when it may. */
export const handler = eventHandler({ message: ConnectivityTestRequested, env: Env, build, run });

export async function run({ data }: ConnectivityTestRequested, deps: Deps, call: Call): Promise<void> {
  const { workspaceId, environmentId, testId } = data;
  const log = call.log.child({ environmentId, testId });
  const { database } = deps;
  const begun = await database.tenant(workspaceId, (tx) => beginTest(tx, { testId, environmentId }));
  if (!begun) {
    // An earlier delivery did everything but perhaps send its messages.
    await flushOutbox(database, deps.queue);
    return log.info('nothing to test: the test is done or gone');
  }
  const result =
    'refused' in begun
      ? begun.refused
      : await runChecks(begun.subject, {
          access: deps.access,
          budgetMs: Math.min(deps.budgetMs ?? Number.POSITIVE_INFINITY, Math.max(1_000, call.remainingMs() - RESERVE_MS)),
          onCheck: (checks) => database.tenant(workspaceId, (tx) => recordChecks(tx, testId, checks)),
        });
  const { configVersion } = begun;
  const end = await database.tenant(workspaceId, (tx) => endTest(tx, testId, { ...result, configVersion }));
  await flushOutbox(database, deps.queue);
  log.info('environment tested', {
    verdict: result.verdict,
    causes: result.checks.flatMap(({ id, causeCode }) => (causeCode ? [`${id}: ${causeCode}`] : [])),
    ms: result.checks.reduce((sum, { durationMs }) => sum + durationMs, 0),
    isStale: !end.isApplied,
    runs: end.runs,
  });
}

function build(env: z.infer<typeof Env>, call: Call): Deps {
  return {
    database: instanceDatabase(env.DATABASE_URL),
    queue: functionQueue(env, call),
    access: { settings: storageSettings(env, call.credentials), functionKeys: call.credentials },
  };
}
