import type { ObjectStore } from '../../shared/object-store/object-store.ts';
import { idOf, tablePrefix } from '../../shared/paimon/layout.ts';
import { listDatabases, listTableFolders } from '../../shared/paimon/warehouse.ts';
import type { RunHead, TableName } from '../../shared/store/collection-runs.ts';
import { countRemovals, type MapPlace, tombstoneDatabases, tombstoneTable } from '../../shared/store/data-map.ts';
import type { TenantTransaction } from '../../shared/store/database.ts';
import { releaseLease, takeLease } from '../../shared/store/leases.ts';
import { holdMissing, listMissing, requeueMissing, settleMissing } from '../../shared/store/run-tables.ts';
import { tableKeyOf } from '../../shared/store/table-key.ts';
import { reasonToHold } from './plan.ts';
import { type PlanDeps, type PlanRequest, placeOf } from './plan-environment.ts';

/** Candidates settled between two looks at the clock. */
const CHUNK_TABLES = 200;
const PARALLEL_LISTINGS = 8;

/**
 * The end of a run: every table that was not found is looked for once more, by a complete listing of its database and a
 * list of its `schema/`; what is really gone becomes a tombstone. Too many at once: all are held for a person. A table
 * that is there after all goes back to be read. False when the slice ended before all were settled.
 */
export async function settleRemovals(request: PlanRequest, head: RunHead, deps: PlanDeps): Promise<boolean> {
  const { config, store } = request;
  const place = placeOf(config);
  const inTransaction = <T>(work: (tx: TenantTransaction) => Promise<T>) => deps.database.tenant(config.workspaceId, work);
  const folders = new Map<string, ReadonlySet<string>>();
  for (;;) {
    const { missing, reason } = await inTransaction(async (tx) => ({
      missing: await listMissing(tx, head.id, CHUNK_TABLES),
      reason: reasonToHold(await countRemovals(tx, config.id, head)),
    }));
    if (missing.length === 0) break;
    if (reason) {
      deps.log.warn('removals held for a person', { reason });
      await inTransaction((tx) => holdMissing(tx, head.id, reason));
      break;
    }
    for (const database of new Set(missing.map((name) => name.database)))
      if (!folders.has(database))
        folders.set(database, new Set((await listTableFolders(store, config.location.prefix, database)).items));
    for (let at = 0; at < missing.length; at += PARALLEL_LISTINGS) {
      const group = missing.slice(at, at + PARALLEL_LISTINGS);
      const there = await Promise.all(group.map((name) => hasSchema(store, config.location.prefix, name)));
      for (const [index, name] of group.entries()) {
        if (there[index]) await inTransaction((tx) => requeueMissing(tx, head, name));
        else {
          const isFolderLeft = folders.get(name.database)!.has(name.table);
          deps.log.info('table is gone', { ...name, isFolderLeft });
          await inTransaction((tx) => removeTable(tx, place, head.id, name, deps.holder));
        }
      }
      if (deps.isSliceOver()) return false;
    }
  }
  if (!head.requestedTables) {
    const listed = (await listDatabases(store, config.location.prefix)).items;
    await inTransaction((tx) => tombstoneDatabases(tx, place, listed));
  }
  return true;
}

/** The rule by which a folder is a table. One request. */
async function hasSchema(store: ObjectStore, warehousePrefix: string, { database, table }: TableName): Promise<boolean> {
  const prefix = `${tablePrefix(warehousePrefix, database, table)}schema/`;
  const page = await store.list({ prefix });
  // A page that is cut off holds something; what, the reader will see.
  return page.nextToken !== undefined || page.objects.some(({ key }) => idOf(key.slice(prefix.length), 'schema') !== undefined);
}

/** Somebody who holds the table's lease is reading it: then it may well be back, and the next sweep decides. */
async function removeTable(
  tx: TenantTransaction,
  place: MapPlace,
  runId: string,
  name: TableName,
  holder: string,
): Promise<void> {
  const lease = await takeLease(tx, place.environmentId, tableKeyOf(name), holder);
  if (!lease) return settleMissing(tx, runId, name, 'not-missing');
  const isRemoved = await tombstoneTable(tx, place, name);
  await settleMissing(tx, runId, name, 'removed');
  if (isRemoved) await tx.query('update collection_run set removed = removed + 1 where id = $1', [runId]);
  await releaseLease(tx, lease);
}
