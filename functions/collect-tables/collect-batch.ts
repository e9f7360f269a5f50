import { Unreachable } from '../../shared/errors.ts';
import { QUEUES, type TableCollectionRequested } from '../../shared/messages.ts';
import { totalRequests } from '../../shared/object-store/request-meter.ts';
import type { TableName } from '../../shared/store/collection-runs.ts';
import { enqueue } from '../../shared/store/outbox.ts';
import { recordUnchanged, retryLater } from '../../shared/store/run-tables.ts';
import { suspectAccess } from '../../shared/store/suspect-access.ts';
import { confirmUnchanged } from '../../shared/store/table-map.ts';
import { type CollectDeps, collectTable, type TableResult, type TableWork } from './collect-table.ts';

/** Tables looked at together. A read holds its manifests in memory: the reader bounds each, this bounds their number. */
const PARALLEL_TABLES = 4;
/** Unchanged tables recorded in one statement. */
const RECORD_AT_ONCE = 100;
/** So many tables in a row without an answer, and the rest of the batch is not asked. */
const GIVE_UP_AFTER = 4;
const UNREACHABLE_RETRY_SECONDS = 20;
/** Less than a lease's life: its holder is at work, or about to be found dead. */
const BUSY_RETRY_SECONDS = 10;

export interface BatchTable extends TableWork {
  /** Reads of this table that were begun before, in this run, without an end. */
  attempts: number;
}

export interface BatchDeps extends CollectDeps {
  isSliceOver(): boolean;
}

type Unchanged = Extract<TableResult, { kind: 'unchanged' }>;
type Retry = Extract<TableResult, { kind: 'retry' }>;

/**
 * Looks at every table of a message. What cannot be dealt with now is handed on: the rest of a slice at once, what others
 * hold or what did not answer after a while. For an event's message a missing answer is thrown, so that it comes again.
 */
export async function collectBatch(
  request: TableCollectionRequested['data'],
  tables: readonly BatchTable[],
  deps: BatchDeps,
): Promise<void> {
  const unchanged: Array<{ name: TableName; result: Unchanged }> = [];
  const busy: TableName[] = [];
  const retries: Array<{ name: TableName; result: Retry }> = [];
  const left: TableName[] = [];
  const refusals: unknown[] = [];
  let silent = 0;

  const lookAt = async (table: BatchTable): Promise<void> => {
    const name = { database: table.database, table: table.table };
    if (deps.isSliceOver() || silent >= GIVE_UP_AFTER) {
      left.push(name);
      return;
    }
    const result = await collectTable(table, deps);
    silent = result.kind === 'retry' && result.cause instanceof Unreachable ? silent + 1 : 0;
    if (result.kind === 'unchanged') unchanged.push({ name, result });
    if (result.kind === 'busy') busy.push(name);
    if (result.kind === 'done' && result.refused) refusals.push(result.refused);
    if (result.kind === 'retry') retries.push({ name, result });
    if (unchanged.length >= RECORD_AT_ONCE) await recordAll(unchanged.splice(0), deps);
  };
  // Those that may end the process come last, each alone, so that no other goes with them.
  const suspects = tables.filter((table) => table.attempts > 0);
  try {
    await inParallel(
      tables.filter((table) => table.attempts === 0),
      PARALLEL_TABLES,
      lookAt,
    );
    await inParallel(suspects, 1, lookAt);
  } finally {
    await recordAll(unchanged, deps);
  }

  for (const { name, result } of retries) deps.log.warn('table will be tried again', { ...name, error: result.cause });
  await handOn(request, { busy, retries, left, refusals, isSilent: silent >= GIVE_UP_AFTER }, deps);
}

async function recordAll(found: ReadonlyArray<{ name: TableName; result: Unchanged }>, deps: BatchDeps): Promise<void> {
  if (found.length === 0) return;
  const run = deps.run!;
  await deps.database.tenant(deps.workspaceId, async (tx) => {
    await confirmUnchanged(
      tx,
      found.map(({ result }) => ({ tableId: result.before.tableId, changeToken: result.before.changeToken! })),
    );
    const rows = found.map(({ name, result }) => ({
      ...name,
      status: result.before.status,
      requests: totalRequests(result.meter),
      bytes: result.meter.bytesRead,
    }));
    await recordUnchanged(tx, run.id, rows);
  });
}

async function handOn(
  request: TableCollectionRequested['data'],
  rest: {
    busy: TableName[];
    retries: Array<{ name: TableName; result: Retry }>;
    left: TableName[];
    refusals: unknown[];
    isSilent: boolean;
  },
  deps: BatchDeps,
): Promise<void> {
  const { busy, retries, left, refusals, isSilent } = rest;
  const { run } = deps;
  await deps.database.tenant(deps.workspaceId, async (tx) => {
    if (!run) {
      // The lease's holder knows of those that are busy.
      if (left.length > 0 && !isSilent)
        await enqueue(tx, QUEUES.tableEvents, { type: 'table-collection.requested', data: { ...request, tables: left } });
      return;
    }
    const place = { id: run.id, environmentId: deps.place.environmentId };
    const failed = retries.map(({ name, result: { error, wasBegun } }) => ({ ...name, error, wasBegun }));
    const silence = retries.at(-1)?.result.error;
    const unasked = left.map((name) => ({ ...name, wasBegun: false, ...(isSilent && silence && { error: silence }) }));
    await retryLater(tx, place, [...failed, ...(isSilent ? unasked : [])], UNREACHABLE_RETRY_SECONDS);
    if (!isSilent) await retryLater(tx, place, unasked, 0);
    await retryLater(
      tx,
      place,
      busy.map((name) => ({ ...name, wasBegun: true })),
      BUSY_RETRY_SECONDS,
    );
    if (refusals.length > 0) await suspectAccess(tx, run.id, refusals[0]);
  });
  const [first] = retries;
  if (!run && first) throw first.result.cause;
}

/** Waits for all, also when one fails: no work may outlast the handler. */
async function inParallel<T>(items: readonly T[], width: number, work: (item: T) => Promise<void>): Promise<void> {
  const queue = items[Symbol.iterator]();
  let hasFailed = false;
  const workers = Array.from({ length: Math.min(width, items.length) }, async () => {
    for (const item of queue) {
      if (hasFailed) return;
      try {
        await work(item);
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    }
  });
  for (const settled of await Promise.allSettled(workers)) if (settled.status === 'rejected') throw settled.reason;
}
