import { compileScope } from '../../shared/collection-scope.ts';
import type { EnvironmentConfig } from '../../shared/data-source.ts';
import type { Log } from '../../shared/log.ts';
import { type CollectionRequested, QUEUES } from '../../shared/messages.ts';
import type { ObjectStore } from '../../shared/object-store/object-store.ts';
import { listDatabases, listTableFolders } from '../../shared/paimon/warehouse.ts';
import type { TableName } from '../../shared/store/collection-runs.ts';
import { aliveDatabases, knownTables, type MapPlace, seeDatabases, tombstoneDatabases } from '../../shared/store/data-map.ts';
import type { Database, TenantTransaction } from '../../shared/store/database.ts';
import { enqueue } from '../../shared/store/outbox.ts';
import { addMissing, countOpenBatches, handOut } from '../../shared/store/run-tables.ts';
import { storableText } from '../../shared/store/storable.ts';
import { cutBatches, planDatabase } from './plan.ts';

/** More messages than this in flight for one run, and planning waits: other environments want their turn too. */
export const MAX_OPEN_MESSAGES = 2_000;
const WAIT_FOR_ROOM_SECONDS = 15;
/** Tables that one transaction hands out. */
const CHUNK_TABLES = 5_000;
/** Databases listed at the same time. */
const PARALLEL_LISTINGS = 8;

export interface PlanDeps {
  database: Database;
  log: Log;
  /** Who holds a lease, for people who look. */
  holder: string;
  /** True when this slice must hand the rest on. */
  isSliceOver(): boolean;
}

export interface PlanRequest {
  config: EnvironmentConfig;
  store: ObjectStore;
  runId: string;
  continueAfter?: NonNullable<CollectionRequested['data']['continueAfter']>;
}

/** `planned`: everything is handed out. `superseded`: another delivery has finished the plan. */
export type PlanResult = 'planned' | 'continued' | 'superseded';

export function placeOf(config: EnvironmentConfig): MapPlace {
  return { environmentId: config.id, dataSourceName: config.dataSourceName, environment: config.environment };
}

/**
 * Plans a whole environment: lists databases and table folders completely, hands out what to look at, and notes what is
 * missing. Whether a folder is a table is seen by who looks at it, at the cost of the look alone. Works in slices; every
 * step may be done again. Throws what the store throws.
 */
export async function planEnvironment(request: PlanRequest, deps: PlanDeps): Promise<PlanResult> {
  const { config, store, runId, continueAfter } = request;
  const place = placeOf(config);
  const inTransaction = <T>(work: (tx: TenantTransaction) => Promise<T>) => deps.database.tenant(config.workspaceId, work);
  const scope = compileScope(config.scope);

  const listed = (await listDatabases(store, config.location.prefix)).items;
  const wanted = sortStorable(listed, deps.log, 'database').filter((name) => scope.mayHoldTables(name));
  await inTransaction(async (tx) => {
    await seeDatabases(tx, place, wanted);
    await tx.query('update collection_run set databases_found = $2 where id = $1', [runId, wanted.length]);
  });

  const left = wanted.filter((name) => continueAfter === undefined || name >= continueAfter.database);
  for (let at = 0; at < left.length; at += PARALLEL_LISTINGS) {
    // '' sorts before every table.
    if (at > 0 && deps.isSliceOver()) return handOn(request, { database: left[at]!, table: '' }, 0, inTransaction);
    const group = left.slice(at, at + PARALLEL_LISTINGS);
    const listings = await Promise.all(group.map((database) => listTableFolders(store, config.location.prefix, database)));
    // Several databases share messages: a thousand databases of two tables are not a thousand messages.
    const toRead: Array<TableName & { requests: number; bytes: number }> = [];
    for (const [index, database] of group.entries()) {
      const folders = sortStorable(listings[index]!.items, deps.log, 'table');
      const stored = await inTransaction((tx) => knownTables(tx, config.id, database));
      const plan = planDatabase(folders, stored, (table) => scope.holds(database, table));
      await inTransaction((tx) => addMissing(tx, runId, nameAll(database, plan.missing)));
      const isLeft = (table: string) => continueAfter?.database !== database || table > continueAfter.table;
      for (const table of plan.toRead) if (isLeft(table.table)) toRead.push({ database, ...table });
    }
    for (let from = 0; from < toRead.length; from += CHUNK_TABLES) {
      const chunk = toRead.slice(from, from + CHUNK_TABLES);
      const batches = cutBatches(chunk);
      if (!(await inTransaction((tx) => handOut(tx, { id: runId, environmentId: config.id }, batches)))) return 'superseded';
      const isCrowded = (await inTransaction((tx) => countOpenBatches(tx, runId))) >= MAX_OPEN_MESSAGES;
      if (isCrowded || deps.isSliceOver())
        return handOn(request, chunk.at(-1)!, isCrowded ? WAIT_FOR_ROOM_SECONDS : 0, inTransaction);
    }
  }

  // Out of scope is not gone: only databases that the warehouse itself does not list.
  const present = new Set(listed);
  const gone = (await inTransaction((tx) => aliveDatabases(tx, config.id))).filter((name) => !present.has(name));
  for (const database of gone) {
    const stored = await inTransaction((tx) => knownTables(tx, config.id, database));
    const { missing } = planDatabase([], stored, (table) => scope.holds(database, table));
    await inTransaction((tx) => addMissing(tx, runId, nameAll(database, missing)));
  }
  await inTransaction((tx) => tombstoneDatabases(tx, place, listed));
  return 'planned';
}

async function handOn(
  { config, runId }: PlanRequest,
  { database, table }: TableName,
  delaySeconds: number,
  inTransaction: <T>(work: (tx: TenantTransaction) => Promise<T>) => Promise<T>,
): Promise<PlanResult> {
  const data = { workspaceId: config.workspaceId, environmentId: config.id, runId, continueAfter: { database, table } };
  await inTransaction((tx) => enqueue(tx, QUEUES.collection, { type: 'collection.requested', data }, { delaySeconds }));
  return 'continued';
}

function nameAll(database: string, tables: readonly string[]): Array<{ database: string; table: string }> {
  return tables.map((table) => ({ database, table }));
}

/** In the order that continuing relies on. Names that cannot be stored are left out, and counted in the log. */
function sortStorable(names: readonly string[], log: Log, what: 'database' | 'table'): string[] {
  const storable = names.filter((name) => storableText(name) === name);
  if (storable.length < names.length)
    log.warn(`${what} names left out: they hold characters that cannot be stored`, { count: names.length - storable.length });
  return storable.sort((a, b) => (a < b ? -1 : 1));
}
