import { QUEUES } from '../messages.ts';
import { advanceRun, createRun, failRun } from './collection-runs.ts';
import { gateOf } from './connectivity-tests.ts';
import type { Database } from './database.ts';
import { sweepAbandonedLeases } from './leases.ts';
import { enqueue } from './outbox.ts';
import { resendQueuedTables } from './run-tables.ts';
import { parseTableKey } from './table-key.ts';

/** What the minute timer does beside sending and numbering: sweeps that are due, what was lost, what is too old. */

/** Due environments that one tick starts. */
const DUE_AT_ONCE = 200;
/** A run in which nothing moved for this long has lost a message. Longer than the queue hides one. */
const STALLED_SECONDS = 1_800;
const MAX_RESENDS = 5;

export const RUN_RETENTION_DAYS = 30;
/** Of each environment these are kept however old. */
export const RUNS_KEPT = 20;
export const TEST_RETENTION_DAYS = 90;
export const TESTS_KEPT = 20;
const DELETED_AT_ONCE = 500;
export const LEDGER_RETENTION_DAYS = 400;
/** What PostgreSQL says when `lock_timeout` ended a wait. */
const LOCK_NOT_AVAILABLE = '55P03';

/**
 * Starts a run for each environment whose sweep is due, unless its gate is closed or one is under way, and sets the next
 * time: the interval ±5 %, so that environments saved together do not stay together.
 */
export async function startDueSweeps(database: Database): Promise<{ started: number; skipped: number }> {
  const due = await database.system(async (tx) => {
    // A source whose timer was turned on, or that became connected, gets its first time here; its first run had another cause.
    await tx.query(
      `update environment set next_sweep_at = clock_timestamp() + sweep_interval_seconds * interval '1 second'
       where next_sweep_at is null and sweep_interval_seconds > 0 and connection_state = 'connected'`,
    );
    return tx.query<{ id: string; workspace_id: number }>(
      'select id, workspace_id from environment where next_sweep_at <= clock_timestamp() order by next_sweep_at limit $1',
      [DUE_AT_ONCE],
    );
  });
  let started = 0;
  for (const { id, workspace_id: workspaceId } of due)
    if (await database.tenant(workspaceId, (tx) => startSweep(tx, id))) started++;
  return { started, skipped: due.length - started };
}

async function startSweep(tx: Parameters<Parameters<Database['tenant']>[1]>[0], environmentId: string): Promise<boolean> {
  const [taken] = await tx.query<{ data_source_id: string; sweep_interval_seconds: number }>(
    `update environment set next_sweep_at = case when sweep_interval_seconds > 0
       then clock_timestamp() + sweep_interval_seconds * (0.95 + 0.1 * random()) * interval '1 second' end
     where id = $1 and next_sweep_at <= clock_timestamp() returning data_source_id, sweep_interval_seconds`,
    [environmentId],
  );
  if (!taken || taken.sweep_interval_seconds === 0) return false;
  if (!(await gateOf(tx, taken.data_source_id)).open) return false;
  const open = await tx.query(
    `select id from collection_run where environment_id = $1 and requested_tables is null and phase in ('queued', 'planning', 'collecting')
     limit 1`,
    [environmentId],
  );
  if (open.length > 0) return false;
  await createRun(tx, { environmentId, cause: 'timer', requestedBy: 'schedule-collection' });
  return true;
}

/** Tables whose reader died get a message: what it read, or was told meanwhile, is not in the map. */
export async function wakeAbandonedTables(database: Database): Promise<number> {
  return database.system(async (tx) => {
    const abandoned = await sweepAbandonedLeases(tx);
    for (const { workspaceId, environmentId, tableKey } of abandoned)
      await enqueue(tx, QUEUES.tableEvents, {
        type: 'table-collection.requested',
        data: { workspaceId, environmentId, tables: [parseTableKey(tableKey)] },
      });
    return abandoned.length;
  });
}

/** Runs whose messages were lost: sends them again, a bounded number of times, then ends the run. */
export async function reviveStalledRuns(database: Database): Promise<{ revived: number; ended: number }> {
  const stalled = await database.system((tx) =>
    tx.query<{ id: string; workspace_id: number; environment_id: string; phase: string; resend_count: number }>(
      `select id, workspace_id, environment_id, phase, resend_count from collection_run r
       where phase in ('queued', 'planning', 'collecting')
         and greatest(requested_at, started_at, planned_at, resent_at,
               (select max(finished_at) from collection_run_table where run_id = r.id)) < clock_timestamp() - $1 * interval '1 second'
       order by requested_at limit 100`,
      [STALLED_SECONDS],
    ),
  );
  let revived = 0;
  let ended = 0;
  for (const run of stalled)
    await database.tenant(run.workspace_id, async (tx) => {
      if (run.resend_count >= MAX_RESENDS) {
        const message = `nothing moved for ${STALLED_SECONDS / 60} minutes, ${MAX_RESENDS} times: look into the dead letters of the collection queues`;
        if (await failRun(tx, run.id, { code: 'stalled', message })) ended++;
        return;
      }
      await tx.query('update collection_run set resend_count = resend_count + 1, resent_at = clock_timestamp() where id = $1', [
        run.id,
      ]);
      revived++;
      if (run.phase === 'collecting') {
        const sent = await resendQueuedTables(tx, { id: run.id, environmentId: run.environment_id });
        if (sent === 0) await advanceRun(tx, run.id);
        return;
      }
      await enqueue(tx, QUEUES.collection, {
        type: 'collection.requested',
        data: { workspaceId: run.workspace_id, environmentId: run.environment_id, runId: run.id },
      });
    });
  return { revived, ended };
}

/** Runs whose last reader died between its last outcome and the look whether that was all. */
export async function finishForgottenRuns(database: Database): Promise<number> {
  const candidates = await database.system((tx) =>
    tx.query<{ id: string; workspace_id: number }>(
      `select id, workspace_id from collection_run r where phase = 'collecting'
         and not exists (select from collection_run_table where run_id = r.id and state in ('queued', 'missing')) limit 100`,
    ),
  );
  let finished = 0;
  for (const run of candidates)
    if ((await database.tenant(run.workspace_id, (tx) => advanceRun(tx, run.id))) === 'finished') finished++;
  return finished;
}

/** Deletes what is older than anybody asks for. The map and the feed are not touched. */
export async function deleteOldRecords(database: Database): Promise<{ runs: number; tests: number; wakes: number }> {
  return database.system(async (tx) => {
    const runs = await tx.query(
      `delete from collection_run where id in (
         select id from (
           select id, requested_at, finished_at, row_number() over (partition by environment_id order by requested_at desc) as place
           from collection_run) as aged
         where place > $1 and finished_at is not null and requested_at < clock_timestamp() - $2 * interval '1 day' limit $3)
       returning id`,
      [RUNS_KEPT, RUN_RETENTION_DAYS, DELETED_AT_ONCE],
    );
    const tests = await tx.query(
      `delete from connectivity_test where id in (
         select id from (
           select id, requested_at, state, row_number() over (partition by environment_id order by requested_at desc) as place
           from connectivity_test) as aged
         where place > $1 and state = 'done' and requested_at < clock_timestamp() - $2 * interval '1 day' limit $3)
       returning id`,
      [TESTS_KEPT, TEST_RETENTION_DAYS, DELETED_AT_ONCE],
    );
    const wakes = await tx.query(
      `delete from table_wake where sent_at < clock_timestamp() - interval '1 day' returning table_key`,
    );
    return { runs: runs.length, tests: tests.length, wakes: wakes.length };
  });
}

/**
 * The ledger's months: made ahead of their time, dropped whole when their youngest commit is too old. A lock that somebody
 * holds for long is left to the next minute.
 */
export async function keepLedgerMonths(database: Database, now = new Date()): Promise<{ created: number; dropped: number }> {
  try {
    const [done] = await database.system((tx) =>
      tx.query<{ created: number; dropped: number }>('select created, dropped from keep_commit_months($1, $2)', [
        now,
        LEDGER_RETENTION_DAYS,
      ]),
    );
    return done!;
  } catch (error) {
    if ((error as { code?: string }).code === LOCK_NOT_AVAILABLE) return { created: 0, dropped: 0 };
    throw error;
  }
}
