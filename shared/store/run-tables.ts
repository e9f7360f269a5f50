import { QUEUES, type QueueName } from '../messages.ts';
import type { TableName } from './collection-runs.ts';
import type { TenantTransaction } from './database.ts';
import { enqueue } from './outbox.ts';

/** The tables of a collection run, one row each. */

/** A table whose read was begun this often without an end is given up, so that it cannot hold its run for ever. */
export const MAX_READ_ATTEMPTS = 4;

/**
 * Hands batches out: rows and messages in one transaction. Tables that the run has already are left out, so that a plan
 * message that comes twice sends nothing twice. False when the run is no longer being planned.
 */
export async function handOut(
  tx: TenantTransaction,
  run: { id: string; environmentId: string },
  batches: readonly TableName[][],
  queueName: QueueName = QUEUES.tableBulk,
): Promise<boolean> {
  // Two planners of one run take turns here.
  const [row] = await tx.query<{ phase: string; last_batch: number }>(
    `select phase, coalesce((select max(batch) from collection_run_table where run_id = $1), 0) as last_batch
     from collection_run where id = $1 for update`,
    [run.id],
  );
  if (row?.phase !== 'planning') return false;
  const numbered = batches.flatMap((batch, index) => batch.map((table) => ({ ...table, batch: row.last_batch + 1 + index })));
  const inserted = await tx.query<{ database_name: string; table_name: string; batch: number }>(
    `insert into collection_run_table (workspace_id, run_id, database_name, table_name, batch)
     select $1, $2, d, t, b from unnest($3::text[], $4::text[], $5::int[]) as handed(d, t, b)
     on conflict (run_id, database_name, table_name) do nothing
     returning database_name, table_name, batch`,
    [tx.workspaceId, run.id, numbered.map((n) => n.database), numbered.map((n) => n.table), numbered.map((n) => n.batch)],
  );
  await sendBatches(tx, run, inserted, queueName);
  return true;
}

/** Sends the still queued tables of a run again; each batch is one message. Returns the number of messages. */
export async function resendQueuedTables(tx: TenantTransaction, run: { id: string; environmentId: string }): Promise<number> {
  const rows = await tx.query<{ database_name: string; table_name: string; batch: number }>(
    `select database_name, table_name, batch from collection_run_table where run_id = $1 and state = 'queued'
     order by batch, database_name, table_name`,
    [run.id],
  );
  return sendBatches(tx, run, rows, QUEUES.tableBulk);
}

async function sendBatches(
  tx: TenantTransaction,
  run: { id: string; environmentId: string },
  rows: ReadonlyArray<{ database_name: string; table_name: string; batch: number }>,
  queueName: QueueName,
): Promise<number> {
  const batches = new Map<number, TableName[]>();
  for (const row of rows) {
    const tables = batches.get(row.batch) ?? [];
    tables.push({ database: row.database_name, table: row.table_name });
    batches.set(row.batch, tables);
  }
  for (const tables of batches.values())
    await enqueue(tx, queueName, {
      type: 'table-collection.requested',
      data: { workspaceId: tx.workspaceId, environmentId: run.environmentId, runId: run.id, tables },
    });
  return batches.size;
}

/** Messages of this run that still have work. */
export async function countOpenBatches(tx: TenantTransaction, runId: string): Promise<number> {
  const [row] = await tx.query<{ count: number }>(
    `select count(distinct batch)::int as count from collection_run_table where run_id = $1 and state = 'queued'`,
    [runId],
  );
  return row!.count;
}

/**
 * Of these tables, those that the run still waits for; first those whose read was never begun, in the order given. One whose
 * read was begun may have ended its process: it comes last, and alone.
 */
export async function stillQueued(
  tx: TenantTransaction,
  runId: string,
  tables: readonly TableName[],
): Promise<Array<TableName & { attempts: number }>> {
  return tx.query<{ database: string; table: string; attempts: number }>(
    `select database_name as database, table_name as table, attempts
     from unnest($2::text[], $3::text[]) with ordinality as asked(d, t, position)
     join collection_run_table on run_id = $1 and database_name = d and table_name = t
     where state = 'queued' order by attempts, position`,
    [runId, tables.map((table) => table.database), tables.map((table) => table.table)],
  );
}

/**
 * Counts one more beginning of a read, and says whether it may go on. A table over the limit becomes failed: the process
 * that read it ended each time.
 */
export async function beginRead(tx: TenantTransaction, runId: string, { database, table }: TableName): Promise<boolean> {
  const [row] = await tx.query<{ attempts: number }>(
    `update collection_run_table set attempts = attempts + 1
     where run_id = $1 and database_name = $2 and table_name = $3 and state = 'queued' returning attempts`,
    [runId, database, table],
  );
  return row !== undefined && row.attempts <= MAX_READ_ATTEMPTS;
}

/**
 * Hands tables out again after a delay, with what went wrong beside their names until they are read; those tried often
 * enough become failed with it. `wasBegun`: this try is counted already.
 */
export async function retryLater(
  tx: TenantTransaction,
  run: { id: string; environmentId: string },
  tables: ReadonlyArray<TableName & { error?: { code: string; message: string }; wasBegun: boolean }>,
  delaySeconds: number,
): Promise<void> {
  const rows = await tx.query<{ database: string; table: string; state: string }>(
    `update collection_run_table set attempts = attempts + case when counts then 1 else 0 end, error_code = code, error_message = message,
       state = case when attempts + case when counts then 1 else 0 end >= $7 and code is not null then 'failed' else state end,
       finished_at = case when attempts + case when counts then 1 else 0 end >= $7 and code is not null then clock_timestamp() end
     from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bool[]) as tried(d, t, code, message, counts)
     where run_id = $1 and database_name = d and table_name = t and state = 'queued'
     returning database_name as database, table_name as table, state`,
    [
      run.id,
      tables.map((table) => table.database),
      tables.map((table) => table.table),
      tables.map((table) => table.error?.code ?? null),
      tables.map((table) => table.error?.message ?? null),
      tables.map((table) => table.error !== undefined && !table.wasBegun),
      MAX_READ_ATTEMPTS,
    ],
  );
  const left = rows.filter((row) => row.state === 'queued').map(({ database, table }) => ({ database, table }));
  if (left.length === 0) return;
  await enqueue(
    tx,
    QUEUES.tableBulk,
    {
      type: 'table-collection.requested',
      data: { workspaceId: tx.workspaceId, environmentId: run.environmentId, runId: run.id, tables: left },
    },
    { delaySeconds },
  );
}

export interface TableOutcome {
  state: 'read' | 'unchanged' | 'failed';
  tableStatus?: 'ok' | 'degraded' | 'broken';
  error?: { code: string; message: string };
  requests: number;
  bytes: number;
}

/** Writes the outcome once; a row that has one keeps it. */
export async function recordOutcome(
  tx: TenantTransaction,
  runId: string,
  { database, table }: TableName,
  outcome: TableOutcome,
): Promise<void> {
  await tx.query(
    `update collection_run_table set state = $4, table_status = $5, error_code = $6, error_message = $7, requests = requests + $8,
       bytes = bytes + $9, finished_at = clock_timestamp()
     where run_id = $1 and database_name = $2 and table_name = $3 and state = 'queued'`,
    [
      runId,
      database,
      table,
      outcome.state,
      outcome.tableStatus ?? null,
      outcome.error?.code ?? null,
      outcome.error?.message ?? null,
      outcome.requests,
      outcome.bytes,
    ],
  );
}

/** The same for many tables that were found unchanged, at one request each or what is given. */
export async function recordUnchanged(
  tx: TenantTransaction,
  runId: string,
  tables: ReadonlyArray<TableName & { status: string; requests: number; bytes: number }>,
): Promise<void> {
  await tx.query(
    `update collection_run_table set state = 'unchanged', table_status = s, error_code = null, error_message = null, requests = requests + r, bytes = bytes + b,
       finished_at = clock_timestamp()
     from unnest($2::text[], $3::text[], $4::text[], $5::int[], $6::bigint[]) as seen(d, t, s, r, b)
     where run_id = $1 and database_name = d and table_name = t and state = 'queued'`,
    [
      runId,
      tables.map((table) => table.database),
      tables.map((table) => table.table),
      tables.map((table) => table.status),
      tables.map((table) => table.requests),
      tables.map((table) => table.bytes),
    ],
  );
}

/** Known tables that a complete listing no longer holds; candidates until they are looked for once more at the run's end. */
export async function addMissing(tx: TenantTransaction, runId: string, tables: readonly TableName[]): Promise<void> {
  await tx.query(
    `insert into collection_run_table (workspace_id, run_id, database_name, table_name, state)
     select $1, $2, d, t, 'missing' from unnest($3::text[], $4::text[]) as gone(d, t)
     on conflict (run_id, database_name, table_name) do nothing`,
    [tx.workspaceId, runId, tables.map((table) => table.database), tables.map((table) => table.table)],
  );
}

/** True when nothing is left to read, but tables were not found. */
export async function hasOnlyMissing(tx: TenantTransaction, runId: string): Promise<boolean> {
  const [row] = await tx.query<{ queued: boolean; missing: boolean }>(
    `select exists (select from collection_run_table where run_id = $1 and state = 'queued') as queued,
       exists (select from collection_run_table where run_id = $1 and state = 'missing') as missing`,
    [runId],
  );
  return row!.missing && !row!.queued;
}

export async function listMissing(tx: TenantTransaction, runId: string, limit: number): Promise<TableName[]> {
  return tx.query<{ database: string; table: string }>(
    `select database_name as database, table_name as table from collection_run_table where run_id = $1 and state = 'missing'
     order by database_name, table_name limit $2`,
    [runId, limit],
  );
}

/** After the second look: removed, or dropped from the candidates because it is there or somebody is reading it. */
export async function settleMissing(
  tx: TenantTransaction,
  runId: string,
  { database, table }: TableName,
  outcome: 'removed' | 'not-missing',
): Promise<void> {
  await tx.query(
    outcome === 'removed'
      ? `update collection_run_table set state = 'removed', finished_at = clock_timestamp()
         where run_id = $1 and database_name = $2 and table_name = $3 and state = 'missing'`
      : `delete from collection_run_table where run_id = $1 and database_name = $2 and table_name = $3 and state = 'missing'`,
    [runId, database, table],
  );
}

/** It is there after all: back to the readers. */
export async function requeueMissing(
  tx: TenantTransaction,
  run: { id: string; environmentId: string },
  name: TableName,
): Promise<void> {
  const rows = await tx.query<{ database_name: string; table_name: string; batch: number }>(
    `update collection_run_table set state = 'queued'
     where run_id = $1 and database_name = $2 and table_name = $3 and state = 'missing'
     returning database_name, table_name, batch`,
    [run.id, name.database, name.table],
  );
  await sendBatches(tx, run, rows, QUEUES.tableBulk);
}

/** A look found no table behind a name that was handed out: a known one may be gone, any other folder is none of ours. */
export async function recordAbsent(
  tx: TenantTransaction,
  runId: string,
  { database, table }: TableName,
  outcome: { isKnown: boolean; requests: number },
): Promise<void> {
  await tx.query(
    outcome.isKnown
      ? `update collection_run_table set state = 'missing', requests = requests + $4
         where run_id = $1 and database_name = $2 and table_name = $3 and state = 'queued'`
      : `with dropped as (
           delete from collection_run_table where run_id = $1 and database_name = $2 and table_name = $3 and state = 'queued'
           returning run_id)
         update collection_run set plan_requests = plan_requests + $4 where id in (select run_id from dropped)`,
    [runId, database, table, outcome.requests],
  );
}

/** How many names of held tables stand on the run itself; all of them are rows of state `held`. */
const MAX_HELD_NAMES = 1_000;

/** Keeps everything that is missing, and says on the run why a person must decide. */
export async function holdMissing(tx: TenantTransaction, runId: string, reason: string): Promise<void> {
  await tx.query(
    `update collection_run_table set state = 'held', finished_at = clock_timestamp() where run_id = $1 and state = 'missing'`,
    [runId],
  );
  await tx.query(
    `update collection_run set error_code = 'removals-held', error_message = $2, held_removals = (
       select coalesce(jsonb_agg(jsonb_build_object('database', database_name, 'table', table_name)), '[]') from (
         select database_name, table_name from collection_run_table where run_id = $1 and state = 'held'
         order by database_name, table_name limit ${MAX_HELD_NAMES}) as held)
     where id = $1`,
    [
      runId,
      `${reason}; nothing was removed. If this is right, approve the removals, else check the warehouse and its permissions.`,
    ],
  );
}
