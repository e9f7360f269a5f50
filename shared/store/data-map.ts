import { announce } from './change-feed.ts';
import type { RunCause, TableName } from './collection-runs.ts';
import type { TenantTransaction } from './database.ts';

/**
 * The data map's rows that are not one table's content: which databases and tables there are, and which are gone. What a
 * table says of itself is written by `table-map.ts`. Callers that write a table's rows hold its lease and have fenced.
 */

/** Names an environment in feed entries: `<data source>/<environment>`. */
export interface MapPlace {
  environmentId: string;
  dataSourceName: string;
  environment: string;
}

export function subjectOf(place: MapPlace, name: { database: string; table?: string }): string {
  const base = `${place.dataSourceName}/${place.environment}/${name.database}`;
  return name.table === undefined ? base : `${base}.${name.table}`;
}

/** Writes the databases of a complete listing: new ones, ones that came back, and the time of this look on the others. */
export async function seeDatabases(tx: TenantTransaction, place: MapPlace, names: readonly string[]): Promise<void> {
  const before = new Map(
    (
      await tx.query<{ name: string; is_removed: boolean }>(
        'select name, removed_at is not null as is_removed from catalog_database where environment_id = $1 and name = any($2)',
        [place.environmentId, names],
      )
    ).map((row) => [row.name, row.is_removed]),
  );
  const written = await tx.query<{ name: string; is_new: boolean }>(
    `insert into catalog_database (workspace_id, environment_id, name)
     select $1, $2, n from unnest($3::text[]) as listed(n) order by n collate "C"
     on conflict (environment_id, name) do update set last_seen_at = clock_timestamp(), removed_at = null
     returning name, xmax = 0 as is_new`,
    [tx.workspaceId, place.environmentId, names],
  );
  for (const { name, is_new: isNew } of written) {
    const type = isNew ? 'database.found' : before.get(name) === true ? 'database.restored' : undefined;
    if (type) await announce(tx, { type, subject: subjectOf(place, { database: name }), data: { database: name } });
  }
}

/** Every table of one database that the map ever knew, with what reading it cost last. */
export async function knownTables(
  tx: TenantTransaction,
  environmentId: string,
  database: string,
): Promise<Array<{ name: string; readRequests: number; readBytes: number; removed: boolean }>> {
  const rows = await tx.query<{ name: string; read_requests: number | null; read_bytes: string | null; removed: boolean }>(
    `select t.name, s.read_requests, s.read_bytes, t.removed_at is not null as removed
     from catalog_database d join catalog_table t on t.database_id = d.id left join table_state s on s.table_id = t.id
     where d.environment_id = $1 and d.name = $2`,
    [environmentId, database],
  );
  return rows.map((row) => ({
    name: row.name,
    readRequests: row.read_requests ?? 0,
    readBytes: Number(row.read_bytes ?? 0),
    removed: row.removed,
  }));
}

/** Names of the databases that the map believes to exist. */
export async function aliveDatabases(tx: TenantTransaction, environmentId: string): Promise<string[]> {
  const rows = await tx.query<{ name: string }>(
    'select name from catalog_database where environment_id = $1 and removed_at is null order by name',
    [environmentId],
  );
  return rows.map((row) => row.name);
}

/**
 * Per database, how many tables the map believes to exist, and how many of those this run is about to remove or removed
 * already. Tables whose removal a person approved count as neither. For runs that events asked for, one table each, what
 * others removed within the hour counts too: many small removals are one large one.
 */
export async function countRemovals(
  tx: TenantTransaction,
  environmentId: string,
  run: { id: string; cause: RunCause },
): Promise<Array<{ database: string; known: number; missing: number }>> {
  return tx.query<{ database: string; known: number; missing: number }>(
    `select d.name as database,
       count(*) filter (where t.removed_at is null or r.state = 'removed' or e.is_recent)::int as known,
       count(*) filter (where r.state in ('missing', 'removed') or e.is_recent)::int as missing
     from catalog_database d
     join catalog_table t on t.database_id = d.id
     cross join lateral (select $3 and t.removed_at > clock_timestamp() - interval '1 hour' as is_recent) e
     left join collection_run_table r on r.run_id = $2 and r.database_name = d.name and r.table_name = t.name
     where d.environment_id = $1 and not exists (
       select from collection_run approving
       join collection_run_table held on held.run_id = approving.approves_run_id and held.state = 'held'
       where approving.id = $2 and held.database_name = d.name and held.table_name = t.name)
     group by d.name order by d.name`,
    [environmentId, run.id, run.cause === 'event'],
  );
}

/** Marks a table as gone, once. Its rows stay, for history and for the day it comes back. */
export async function tombstoneTable(tx: TenantTransaction, place: MapPlace, name: TableName): Promise<boolean> {
  const [gone] = await tx.query<{ public_id: string; removed_at: Date }>(
    `update catalog_table set removed_at = clock_timestamp()
     where removed_at is null and name = $3
       and database_id = (select id from catalog_database where environment_id = $1 and name = $2)
     returning public_id, removed_at`,
    [place.environmentId, name.database, name.table],
  );
  if (!gone) return false;
  await announce(tx, {
    type: 'table.removed',
    subject: subjectOf(place, name),
    data: { tableId: gone.public_id, ...name, removedAt: gone.removed_at.toISOString() },
  });
  return true;
}

/** Marks as gone every database that a complete listing does not hold and that has no table left in the map. */
export async function tombstoneDatabases(tx: TenantTransaction, place: MapPlace, listed: readonly string[]): Promise<string[]> {
  const gone = await tx.query<{ name: string; removed_at: Date }>(
    `update catalog_database d set removed_at = clock_timestamp()
     where environment_id = $1 and removed_at is null and name <> all($2)
       and not exists (select from catalog_table t where t.database_id = d.id and t.removed_at is null)
     returning name, removed_at`,
    [place.environmentId, listed],
  );
  for (const { name, removed_at: removedAt } of gone)
    await announce(tx, {
      type: 'database.removed',
      subject: subjectOf(place, { database: name }),
      data: { database: name, removedAt: removedAt.toISOString() },
    });
  return gone.map((row) => row.name);
}
