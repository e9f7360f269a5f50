import { isPermanent } from '../../shared/errors.ts';
import type { Log } from '../../shared/log.ts';
import { QUEUES } from '../../shared/messages.ts';
import type { ObjectStore } from '../../shared/object-store/object-store.ts';
import { metered, newMeter, type RequestMeter, totalRequests } from '../../shared/object-store/request-meter.ts';
import { MISMATCHES } from '../../shared/paimon/follow.ts';
import { tablePrefix } from '../../shared/paimon/layout.ts';
import { probeTable, type TableMetadata } from '../../shared/paimon/table.ts';
import { announce } from '../../shared/store/change-feed.ts';
import { createRun, type TableName } from '../../shared/store/collection-runs.ts';
import { appendCommits, type LedgerAppend } from '../../shared/store/commit-ledger.ts';
import { type MapPlace, subjectOf } from '../../shared/store/data-map.ts';
import type { Database, TenantTransaction } from '../../shared/store/database.ts';
import { takeWake } from '../../shared/store/event-targets.ts';
import { fence, keepRenewing, type Lease, releaseLease, renewLease, takeLease } from '../../shared/store/leases.ts';
import { enqueue } from '../../shared/store/outbox.ts';
import { beginRead, MAX_READ_ATTEMPTS, recordAbsent, recordOutcome, type TableOutcome } from '../../shared/store/run-tables.ts';
import { tableKeyOf } from '../../shared/store/table-key.ts';
import { applyTable, confirmUnchanged, loadTableStates, type StoredTableState } from '../../shared/store/table-map.ts';
import { keepMemory, loadMemory } from '../../shared/store/table-memory.ts';
import { loadLedger, missingCommits } from './commits.ts';
import { packMemory, readWithMemory, type TableMemory, unpackMemory } from './table-memory.ts';
import { creationIdentityOf, probeTokenOf, recordOf } from './table-record.ts';

/** One table, from a look at the warehouse to the rows of the map. */

export interface TableWork extends TableName {
  /** What the map knew when the batch began; undefined for a table it has never held. */
  before: StoredTableState | undefined;
}

export interface CollectDeps {
  database: Database;
  workspaceId: number;
  place: MapPlace;
  store: ObjectStore;
  /** `prefix` of the warehouse. */
  warehousePrefix: string;
  /** Undefined: an event named the table. `rereads`: a person named it, and gets a whole read. */
  run?: { id: string; rereads: boolean; reportsAbsence: boolean };
  /** When the object event that led here happened, by the storage service's clock. */
  eventAt?: Date | undefined;
  log: Log;
  /** Who holds the lease, for people who look. */
  holder: string;
  /** Ends reads that would outlast the function. */
  signal: AbortSignal;
}

export type TableResult =
  /** To be recorded by the caller, many at once. */
  | { kind: 'unchanged'; before: StoredTableState; meter: RequestMeter }
  /** Recorded. `refused`: what the store said, when it refused this table. */
  | { kind: 'done'; refused?: unknown }
  /** Somebody else reads it now, and knows that we came. */
  | { kind: 'busy' }
  /** Nothing was written; worth another try. */
  | { kind: 'retry'; error: { code: string; message: string }; wasBegun: boolean; cause: unknown };

/**
 * Looks at a table, reads it whole when something moved, and writes what is new. Never throws for what concerns this table
 * alone: a failure that a repeat would not cure is recorded beside the table's name, any other asks for another try.
 */
export async function collectTable(work: TableWork, deps: CollectDeps): Promise<TableResult> {
  const meter = newMeter();
  const metering = { ...deps, store: metered(deps.store, meter) };
  const progress = { wasBegun: false };
  try {
    if (deps.run && !deps.run.rereads && work.before && (await isUnchanged(work, work.before, metering)))
      return { kind: 'unchanged', before: work.before, meter };
    return await underLease(work, metering, meter, progress);
  } catch (error) {
    if (!isPermanent(error) || !deps.run)
      return { kind: 'retry', error: describe(error, deps.signal), wasBegun: progress.wasBegun, cause: error };
    deps.log.warn('table failed', { database: work.database, table: work.table, error });
    const run = deps.run;
    await transaction(deps, (tx) =>
      recordOutcome(tx, run.id, work, { state: 'failed', error: describe(error, deps.signal), ...costOf(meter) }),
    );
    return { kind: 'done', refused: error };
  }
}

/** One request, and no lease: a stored state that a probe agrees with needs no writing but the time. */
async function isUnchanged(name: TableName, before: StoredTableState, deps: CollectDeps): Promise<boolean> {
  const token = probeTokenOf(before.changeToken);
  if (token === undefined || before.isStale || before.isRemoved) return false;
  const probe = await probeTable(deps.store, locationOf(name, deps), token, { signal: deps.signal });
  // A table that lost its schemas has a token too, and stays what it is while that is the same.
  return probe.changeToken === token;
}

async function underLease(
  name: TableName,
  deps: CollectDeps,
  meter: RequestMeter,
  progress: { wasBegun: boolean },
): Promise<TableResult> {
  const taken = await transaction(deps, (tx) => begin(tx, name, deps));
  if (taken === 'busy') return { kind: 'busy' };
  if (taken === 'given-up') return { kind: 'done' };
  progress.wasBegun = true;
  const { lease, before, mustReread, memory } = taken;
  const renewal = keepRenewing(() => transaction(deps, (tx) => renewLease(tx, lease)));
  let isReleased = false;
  try {
    // An event may be the echo of a commit that was read already.
    if (!deps.run && before && !mustReread && (await isUnchanged(name, before, deps))) {
      await transaction(deps, async (tx) => {
        if (!(await fence(tx, lease))) return;
        await confirmUnchanged(tx, [{ tableId: before.tableId, changeToken: before.changeToken! }]);
        await release(tx, lease, name, deps);
      });
      isReleased = true;
      return { kind: 'done' };
    }
    // What a person asks for, and what was not looked at for long, is read whole and checks what was known.
    const isCheck = deps.run?.rereads === true || before?.isStale === true;
    const read = await readWithMemory(deps.store, locationOf(name, deps), memory, { isCheck, signal: deps.signal });
    const { metadata, store } = read;
    const isTable = metadata.schemaIds.length > 0 || (await hasLostItsSchema(name, metadata, deps));
    const commits = isTable && metadata.status !== 'broken' ? await newCommits(name, store, metadata, before, deps) : [];
    const result = await transaction(deps, async (tx): Promise<TableResult> => {
      if (!renewal.isTrusted() || !(await fence(tx, lease))) return { kind: 'busy' };
      if (isTable) {
        await write(tx, name, metadata, before, lease, meter, deps);
        await keep(tx, name, read, deps);
        if (commits.length > 0 && !(await appendCommits(tx, deps.place, name, commits, deps.eventAt)))
          throw new Error(`the ledger of ${name.database}.${name.table} changed under its lease`);
      }
      if (!isTable) await recordNoTable(tx, name, before, meter, deps);
      await release(tx, lease, name, deps);
      return { kind: 'done' };
    });
    isReleased = true;
    return result;
  } finally {
    renewal.stop();
    if (!isReleased) await transaction(deps, (tx) => release(tx, lease, name, deps));
  }
}

type Begun = {
  lease: Lease;
  before: StoredTableState | undefined;
  mustReread: boolean;
  memory: TableMemory | undefined;
};

async function begin(tx: TenantTransaction, name: TableName, deps: CollectDeps): Promise<Begun | 'busy' | 'given-up'> {
  const lease = await takeLease(tx, deps.place.environmentId, tableKeyOf(name), deps.holder);
  if (!lease) return 'busy';
  if (deps.run && !(await beginRead(tx, deps.run.id, name))) {
    await recordOutcome(tx, deps.run.id, name, {
      state: 'failed',
      error: {
        code: 'gave-up',
        message: `its read was begun ${MAX_READ_ATTEMPTS} times and never ended: it may be too large for the function's memory or time`,
      },
      requests: 0,
      bytes: 0,
    });
    await release(tx, lease, name, deps);
    return 'given-up';
  }
  const wake = await takeWake(tx, deps.place.environmentId, tableKeyOf(name));
  const states = await loadTableStates(tx, deps.place.environmentId, [name]);
  const before = states.get(tableKeyOf(name));
  const packed = before?.changeToken && !before.isRemoved ? await loadMemory(tx, before.tableId, before.changeToken) : undefined;
  return { lease, before, mustReread: wake.reread, memory: packed && unpackMemory(packed) };
}

/** Commits were there, and their manifests still are: a drop takes those first, so this table lost its schema otherwise. */
async function hasLostItsSchema(name: TableName, metadata: TableMetadata, deps: CollectDeps): Promise<boolean> {
  if (!metadata.changeToken.includes('snapshot-')) return false;
  const prefix = `${tablePrefix(deps.warehousePrefix, name.database, name.table)}manifest/`;
  const page = await deps.store.list({ prefix, maxKeys: 2, signal: deps.signal });
  return page.objects.some((object) => !object.key.endsWith('/'));
}

/** Read before anything is written: what the ledger holds cannot change while we hold the lease. */
async function newCommits(
  name: TableName,
  store: ObjectStore,
  metadata: TableMetadata,
  before: StoredTableState | undefined,
  deps: CollectDeps,
): Promise<LedgerAppend[]> {
  const ledger = await transaction(deps, (tx) => loadLedger(tx, before, metadata));
  const creation = creationIdentityOf(metadata.schemas);
  const isNewLife = before?.creationIdentity != null && creation !== null && creation !== before.creationIdentity;
  return missingCommits(store, locationOf(name, deps), metadata, ledger, { isNewLife, signal: deps.signal });
}

async function write(
  tx: TenantTransaction,
  name: TableName,
  metadata: TableMetadata,
  before: StoredTableState | undefined,
  lease: Lease,
  meter: RequestMeter,
  deps: CollectDeps,
): Promise<void> {
  const cost = costOf(meter);
  const applied = await applyTable(tx, deps.place, recordOf(metadata, cost), before, lease.term);
  if (applied === 'superseded') throw new Error(`the stored state of ${name.database}.${name.table} changed under its lease`);
  deps.log.info('table collected', {
    database: name.database,
    table: name.table,
    status: metadata.status,
    snapshotId: metadata.latest?.id,
    applied,
    ...cost,
  });
  if (!deps.run) return;
  const outcome: TableOutcome = { state: 'read', tableStatus: metadata.status, ...cost };
  const worst = metadata.problems.find((problem) => problem.severity !== 'warning');
  await recordOutcome(tx, deps.run.id, name, {
    ...outcome,
    ...(metadata.status !== 'ok' && worst && { error: { code: worst.code, message: `${worst.object}: ${worst.message}` } }),
  });
}

/** For the next read; and says what made this one whole although something was known. */
async function keep(
  tx: TenantTransaction,
  name: TableName,
  { metadata, following, left }: Awaited<ReturnType<typeof readWithMemory>>,
  deps: CollectDeps,
): Promise<void> {
  const states = await loadTableStates(tx, deps.place.environmentId, [name]);
  const state = states.get(tableKeyOf(name));
  if (!state?.changeToken) return;
  const readWhole = [...following.doubts.values()];
  const content = left.live.size > 0 ? packMemory(left) : null;
  const isFollowed = following.followed.has('');
  await keepMemory(tx, state.tableId, { changeToken: state.changeToken, content, isFollowed, readWhole });
  for (const [branch, reason] of following.doubts) {
    const snapshotId = metadata.latest?.id.toString() ?? null;
    const isMismatch = MISMATCHES.has(reason);
    deps.log[isMismatch ? 'warn' : 'info']('table read whole', { ...name, branch, reason, snapshotId });
    if (isMismatch)
      await announce(tx, {
        type: 'table.recounted',
        subject: subjectOf(deps.place, name),
        data: { database: name.database, table: name.table, branch, reason, snapshotId },
      });
  }
}

/** A sweep decides whether a known table is gone; an event alone asks for a look that may. */
async function recordNoTable(
  tx: TenantTransaction,
  name: TableName,
  before: StoredTableState | undefined,
  meter: RequestMeter,
  deps: CollectDeps,
): Promise<void> {
  const { requests } = costOf(meter);
  if (deps.run?.reportsAbsence && !isAlive(before)) {
    const message = 'there is no table of this name in the warehouse';
    await recordOutcome(tx, deps.run.id, name, { state: 'failed', error: { code: 'not-found', message }, ...costOf(meter) });
  } else if (deps.run) await recordAbsent(tx, deps.run.id, name, { isKnown: isAlive(before), requests });
  else if (isAlive(before)) await askForRemoval(tx, name, deps);
}

async function askForRemoval(tx: TenantTransaction, { database, table }: TableName, deps: CollectDeps): Promise<void> {
  const { environmentId } = deps.place;
  const tables = [{ database, table }];
  const waiting = await tx.query(
    `select id from collection_run where environment_id = $1 and cause = 'event' and phase in ('queued', 'planning', 'collecting')
       and requested_tables = $2::jsonb`,
    [environmentId, JSON.stringify(tables)],
  );
  if (waiting.length === 0) await createRun(tx, { environmentId, cause: 'event', requestedBy: 'collect-tables', tables });
}

/** Frees the lease; when somebody came meanwhile, what was read may be older than what they know of. */
async function release(tx: TenantTransaction, lease: Lease, { database, table }: TableName, deps: CollectDeps): Promise<void> {
  const { wanted } = await releaseLease(tx, lease);
  if (wanted)
    await enqueue(tx, QUEUES.tableEvents, {
      type: 'table-collection.requested',
      data: { workspaceId: deps.workspaceId, environmentId: deps.place.environmentId, tables: [{ database, table }] },
    });
}

function isAlive(before: StoredTableState | undefined): boolean {
  return before !== undefined && !before.isRemoved;
}

function transaction<T>(deps: CollectDeps, work: (tx: TenantTransaction) => Promise<T>): Promise<T> {
  return deps.database.tenant(deps.workspaceId, work);
}

function locationOf({ database, table }: TableName, { warehousePrefix }: CollectDeps) {
  return { warehousePrefix, database, table };
}

function costOf(meter: RequestMeter): { requests: number; bytes: number } {
  return { requests: totalRequests(meter), bytes: meter.bytesRead };
}

function describe(error: unknown, signal: AbortSignal): { code: string; message: string } {
  if (signal.aborted) return { code: 'too-slow', message: 'the read was stopped before the function would have been' };
  if (!(error instanceof Error)) return { code: 'internal', message: String(error) };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : 'internal';
  return { code, message: error.message };
}
