import { randomUUID } from 'node:crypto';
import { NotFound } from '../errors.ts';
import { QUEUES } from '../messages.ts';
import type { Transaction } from './database.ts';
import { enqueue } from './outbox.ts';

/**
 * Collection runs: one per collection of one environment. A run's counts are sums over its table rows, so that a message
 * that comes twice cannot count twice. Rows of a run are written only while it is open.
 */

export type RunCause = 'connected' | 'timer' | 'request' | 'event';
export type RunPhase = 'queued' | 'planning' | 'collecting' | 'done' | 'failed' | 'cancelled' | 'needs-approval';

export interface TableName {
  database: string;
  table: string;
}

export interface RunHead {
  id: string;
  workspaceId: number;
  environmentId: string;
  cause: RunCause;
  phase: RunPhase;
  /** Only these tables; undefined: the whole environment. */
  requestedTables?: TableName[];
}

/**
 * Asks for a collection: writes the run and, in the same transaction, the message that starts it. A whole-environment run
 * that nobody has started yet is returned instead of a second one. Throws NotFound when the environment is not there.
 */
export async function createRun(
  tx: Transaction,
  request: { environmentId: string; cause: RunCause; requestedBy: string; tables?: readonly TableName[] },
): Promise<string> {
  const { environmentId, cause, requestedBy, tables } = request;
  // The lock makes two askers at the same moment see each other's run.
  const [environment] = await tx.query<{ workspace_id: number }>(
    'select workspace_id from environment where id = $1 for no key update',
    [environmentId],
  );
  if (!environment) throw new NotFound(`environment ${environmentId}`);
  if (!tables) {
    const [waiting] = await tx.query<{ id: string }>(
      `select id from collection_run where environment_id = $1 and phase = 'queued' and requested_tables is null
       order by requested_at limit 1`,
      [environmentId],
    );
    if (waiting) return waiting.id;
  }
  const runId = randomUUID();
  await tx.query(
    `insert into collection_run (workspace_id, id, environment_id, cause, requested_by, requested_tables)
     values ($1, $2, $3, $4, $5, $6)`,
    [environment.workspace_id, runId, environmentId, cause, requestedBy, tables ? JSON.stringify(tables) : null],
  );
  await enqueue(tx, QUEUES.collection, {
    type: 'collection.requested',
    data: { workspaceId: environment.workspace_id, environmentId, runId },
  });
  return runId;
}

/** Undefined when the run does not exist or belongs to another workspace. */
export async function getRunHead(tx: Transaction, runId: string): Promise<RunHead | undefined> {
  const [row] = await tx.query<{
    id: string;
    workspace_id: number;
    environment_id: string;
    cause: RunCause;
    phase: RunPhase;
    requested_tables: TableName[] | null;
  }>('select id, workspace_id, environment_id, cause, phase, requested_tables from collection_run where id = $1', [runId]);
  if (!row) return undefined;
  return {
    id: row.id,
    workspaceId: row.workspace_id,
    environmentId: row.environment_id,
    cause: row.cause,
    phase: row.phase,
    ...(row.requested_tables && { requestedTables: row.requested_tables }),
  };
}

/** True when the run is being planned now: it was queued, or is planned already by an earlier delivery. */
export async function beginPlanning(tx: Transaction, runId: string): Promise<boolean> {
  const rows = await tx.query(
    `update collection_run set phase = 'planning', started_at = coalesce(started_at, clock_timestamp())
     where id = $1 and phase in ('queued', 'planning') returning id`,
    [runId],
  );
  return rows.length > 0;
}

/** Ends an open run with a reason that a person can act on. Tables still queued become failed with the same reason; none is removed. */
export async function failRun(tx: Transaction, runId: string, error: { code: string; message: string }): Promise<boolean> {
  const rows = await tx.query(
    `update collection_run set phase = 'failed', error_code = $2, error_message = $3, finished_at = clock_timestamp()
     where id = $1 and phase in ('queued', 'planning', 'collecting') returning id`,
    [runId, error.code, error.message],
  );
  if (rows.length === 0) return false;
  await tx.query(
    `update collection_run_table set state = 'failed', error_code = $2, error_message = $3, finished_at = clock_timestamp()
     where run_id = $1 and state = 'queued'`,
    [runId, error.code, error.message],
  );
  await tx.query(`delete from collection_run_table where run_id = $1 and state = 'missing'`, [runId]);
  return true;
}

/**
 * Looks whether a run's tables are all dealt with. `finished`: this call ended it, and no other will say so. `settling`:
 * tables were not found, and a message asks for the last step that settles them. To be called in a transaction of its own
 * after the last outcome was committed: of two who finish at the same moment, the later sees everything.
 */
export async function advanceRun(tx: Transaction, runId: string): Promise<'finished' | 'settling' | 'open'> {
  const [run] = await tx.query<{ workspace_id: number; environment_id: string; queued: boolean; missing: boolean }>(
    `select workspace_id, environment_id,
       exists (select from collection_run_table where run_id = $1 and state = 'queued') as queued,
       exists (select from collection_run_table where run_id = $1 and state = 'missing') as missing
     from collection_run where id = $1 and phase = 'collecting'`,
    [runId],
  );
  if (!run || run.queued) return 'open';
  if (run.missing) {
    await enqueue(tx, QUEUES.collection, {
      type: 'collection.requested',
      data: { workspaceId: run.workspace_id, environmentId: run.environment_id, runId },
    });
    return 'settling';
  }
  const ended = await tx.query(
    `update collection_run set finished_at = clock_timestamp(), tables_found = ${TABLES_FOUND},
       phase = case when held_removals is null then 'done' else 'needs-approval' end
     where id = $1 and phase = 'collecting' returning id`,
    [runId],
  );
  return ended.length > 0 ? 'finished' : 'open';
}

/** What the run handed out and found to be tables. */
const TABLES_FOUND = `(select count(*) from collection_run_table where run_id = $1 and state in ('queued', 'read', 'unchanged', 'failed'))`;

/** How often planning is begun again when the store does not answer, before the run fails. */
export const MAX_PLAN_ATTEMPTS = 4;
/** Doubles with each attempt. */
const PLAN_RETRY_SECONDS = 15;

/**
 * Planning met something that may pass: says so on the run and asks for another try later, or fails the run when it was
 * tried often enough. Returns the seconds until the next try, or undefined when the run has failed.
 */
export async function retryPlanning(
  tx: Transaction,
  runId: string,
  error: { code: string; message: string },
): Promise<number | undefined> {
  const [run] = await tx.query<{ workspace_id: number; environment_id: string; plan_attempts: number }>(
    `update collection_run set plan_attempts = plan_attempts + 1, error_code = $2, error_message = $3
     where id = $1 and phase in ('planning', 'collecting') returning workspace_id, environment_id, plan_attempts`,
    [runId, error.code, error.message],
  );
  if (!run) return undefined;
  if (run.plan_attempts >= MAX_PLAN_ATTEMPTS) {
    await failRun(tx, runId, { code: error.code, message: `${error.message} (tried ${run.plan_attempts} times)` });
    return undefined;
  }
  const delaySeconds = PLAN_RETRY_SECONDS * 2 ** (run.plan_attempts - 1);
  await enqueue(
    tx,
    QUEUES.collection,
    {
      type: 'collection.requested',
      data: { workspaceId: run.workspace_id, environmentId: run.environment_id, runId },
    },
    { delaySeconds },
  );
  return delaySeconds;
}

/** Everything is handed out: what remains is the tables' work. An error of an earlier attempt is no longer true. */
export async function finishPlanning(tx: Transaction, runId: string): Promise<void> {
  await tx.query(
    `update collection_run set phase = 'collecting', planned_at = clock_timestamp(),
       tables_found = ${TABLES_FOUND},
       error_code = case when held_removals is null then null else error_code end,
       error_message = case when held_removals is null then null else error_message end
     where id = $1 and phase = 'planning'`,
    [runId],
  );
}

/**
 * Asks for a run that may carry out the removals which an earlier one held back. Throws NotFound when that run holds none.
 */
export async function approveRemovals(tx: Transaction, heldRunId: string, requestedBy: string): Promise<string> {
  const [held] = await tx.query<{ environment_id: string }>(
    `select environment_id from collection_run where id = $1 and phase = 'needs-approval'`,
    [heldRunId],
  );
  if (!held) throw new NotFound(`held removals of run ${heldRunId}`);
  const runId = await createRun(tx, { environmentId: held.environment_id, cause: 'request', requestedBy });
  await tx.query('update collection_run set approves_run_id = $2 where id = $1', [runId, heldRunId]);
  return runId;
}

/** Requests and bytes of planning, also of a slice that failed. */
export async function addPlanCost(tx: Transaction, runId: string, requests: number, bytes: number): Promise<void> {
  await tx.query('update collection_run set plan_requests = plan_requests + $2, plan_bytes = plan_bytes + $3 where id = $1', [
    runId,
    requests,
    bytes,
  ]);
}
