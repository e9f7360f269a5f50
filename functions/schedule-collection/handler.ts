import { z } from 'zod';
import { type Call, type Tick, timerHandler } from '../../shared/fc/event-handler.ts';
import { functionQueue, queueEnv } from '../../shared/fc/function-queue.ts';
import { instanceDatabase } from '../../shared/fc/instance.ts';
import type { Queue } from '../../shared/queue/queue.ts';
import { numberFeed } from '../../shared/store/change-feed.ts';
import type { Database } from '../../shared/store/database.ts';
import { flushOutbox } from '../../shared/store/outbox.ts';
import {
  deleteOldRecords,
  finishForgottenRuns,
  keepLedgerMonths,
  reviveStalledRuns,
  startDueSweeps,
  wakeAbandonedTables,
} from '../../shared/store/timer-work.ts';

const Env = z.object({ DATABASE_URL: z.string().min(1), ...queueEnv });

export interface Deps {
  database: Database;
  queue: Queue;
}

/** Timer, every minute: starts what is due, finds what was lost, deletes what is old. May overlap with itself. */
export const handler = timerHandler({ env: Env, build, run });

export async function run(_tick: Tick, deps: Deps, call: Call): Promise<void> {
  const { database, queue } = deps;
  const steps: Array<[string, () => Promise<unknown>]> = [
    ['sweeps', () => startDueSweeps(database)],
    ['abandoned tables', () => wakeAbandonedTables(database)],
    ['forgotten runs', () => finishForgottenRuns(database)],
    ['stalled runs', () => reviveStalledRuns(database)],
    ['old records', () => deleteOldRecords(database)],
    ['ledger months', () => keepLedgerMonths(database)],
    ['feed entries numbered', () => numberFeed(database)],
    // Last, for what the others wrote.
    ['messages sent', () => flushOutbox(database, queue)],
  ];
  const failures: unknown[] = [];
  const done: Record<string, unknown> = {};
  for (const [name, step] of steps) {
    try {
      done[name] = await step();
    } catch (error) {
      // The others do not wait for the one that cannot.
      call.log.error('timer step failed', { step: name, error });
      failures.push(error);
    }
  }
  call.log.info('timer tick done', done);
  if (failures.length > 0) throw new AggregateError(failures, `${failures.length} timer steps failed`);
}

function build(env: z.infer<typeof Env>, call: Call): Deps {
  return { database: instanceDatabase(env.DATABASE_URL), queue: functionQueue(env, call) };
}
