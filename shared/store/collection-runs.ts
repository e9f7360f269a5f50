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

/** Ends an open run with a reason that a person can act on. Tables still queued become failed with the same reason. */
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
  return true;
}

/**
 * Ends a run whose tables are all dealt with, once: later callers get false. A run that holds removals back ends as
 * `needs-approval`.
 */
export async function finishRunIfDone(tx: Transaction, runId: string): Promise<boolean> {
  const rows = await tx.query(
    `update collection_run set finished_at = clock_timestamp(),
       phase = case when held_removals is null then 'done' else 'needs-approval' end
     where id = $1 and phase = 'collecting'
       and not exists (select from collection_run_table where run_id = $1 and state = 'queued')
     returning id`,
    [runId],
  );
  return rows.length > 0;
}
