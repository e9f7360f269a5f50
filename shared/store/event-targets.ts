import { CollectionScope, type WarehouseLocation } from '../data-source.ts';
import { parseWarehouse } from '../data-source-rules.ts';
import { InvalidInput } from '../errors.ts';
import { QUEUES } from '../messages.ts';
import type { TableName } from './collection-runs.ts';
import type { Database, TenantTransaction } from './database.ts';
import { enqueue } from './outbox.ts';
import { tableKeyOf } from './table-key.ts';

/** Which environments object events may speak of, and what keeps a burst of them to one message. */

export interface EventTarget {
  workspaceId: number;
  environmentId: string;
  region: string;
  bucket: string;
  /** Ends in `/` or is empty. */
  prefix: string;
  scope: CollectionScope;
}

/**
 * Environments of every workspace whose warehouse lies in one of these storage buckets. One that is being tested again is
 * among them: who reads asks the gate.
 */
export async function eventTargets(database: Database, buckets: readonly string[]): Promise<EventTarget[]> {
  const rows = await database.system((tx) =>
    tx.query<{ id: string; workspace_id: number; region: string | null; warehouse: string; scope: unknown }>(
      `select e.id, e.workspace_id, e.region, e.warehouse, e.scope
       from environment e join data_source s on s.id = e.data_source_id
       where not s.draft and e.connection_state in ('connected', 'testing') and split_part(e.warehouse, '/', 3) = any($1)`,
      [buckets],
    ),
  );
  return rows.flatMap((row) => {
    const location = locationOf(row.warehouse);
    if (!location) return [];
    const { id: environmentId, workspace_id: workspaceId } = row;
    return [{ workspaceId, environmentId, region: row.region ?? '', scope: CollectionScope.parse(row.scope), ...location }];
  });
}

/** A place that was connected once and then changed into something unusable takes no events. */
function locationOf(warehouse: string): WarehouseLocation | undefined {
  try {
    return parseWarehouse(warehouse);
  } catch (error) {
    if (error instanceof InvalidInput) return undefined;
    throw error;
  }
}

/**
 * A quiet table's first event is sent at once; what comes within so many seconds after a look waits as long, so that a burst
 * leads to one look at its begin and one after it. The queue counts in whole seconds.
 */
const BURST_SECONDS = 1;
/** A mark this old belongs to a message that was lost: the next event sends another. */
const LOST_AFTER_SECONDS = 60;

export interface Wake extends TableName {
  workspaceId: number;
  environmentId: string;
  /** What moved does not show in a probe of schemas and snapshots. */
  reread: boolean;
  /** The earliest event, by the storage service's clock. */
  eventAt?: Date;
}

/**
 * One message for each table that nobody was sent to already. The mark and the message are one transaction, and the reader
 * takes the mark (`takeWake`) before it looks: an event either finds it waiting, and the look comes after it, or sends its own
 * message.
 */
export async function wakeTables(database: Database, wakes: readonly Wake[]): Promise<number> {
  if (wakes.length === 0) return 0;
  const byKey = new Map(wakes.map((wake) => [`${wake.environmentId} ${tableKeyOf(wake)}`, wake]));
  return database.system(async (tx) => {
    const all = [...byKey.values()];
    const marked = await tx.query<{ environment_id: string; table_key: string; is_sent: boolean; is_burst: boolean }>(
      `insert into table_wake as wake (workspace_id, environment_id, table_key, reread)
       select w, e, k, r from unnest($1::int[], $2::uuid[], $3::text[], $4::bool[]) as woken(w, e, k, r) order by e, k collate "C"
       on conflict (environment_id, table_key) do update set reread = wake.reread or excluded.reread,
         sent_at = case when wake.taken_at >= wake.sent_at or wake.sent_at < clock_timestamp() - $5 * interval '1 second'
           then clock_timestamp() else wake.sent_at end
         where wake.taken_at >= wake.sent_at or wake.sent_at < clock_timestamp() - $5 * interval '1 second'
           or excluded.reread and not wake.reread
       returning environment_id, table_key, sent_at >= transaction_timestamp() as is_sent,
         coalesce(taken_at > clock_timestamp() - $6 * interval '1 second', false) as is_burst`,
      [
        all.map((wake) => wake.workspaceId),
        all.map((wake) => wake.environmentId),
        all.map((wake) => tableKeyOf(wake)),
        all.map((wake) => wake.reread),
        LOST_AFTER_SECONDS,
        BURST_SECONDS,
      ],
    );
    const sent = marked.filter((row) => row.is_sent);
    for (const row of sent) {
      const {
        workspaceId,
        environmentId,
        database: databaseName,
        table,
        eventAt,
      } = byKey.get(`${row.environment_id} ${row.table_key}`)!;
      await enqueue(
        tx,
        QUEUES.tableEvents,
        {
          type: 'table-collection.requested',
          data: {
            workspaceId,
            environmentId,
            tables: [{ database: databaseName, table }],
            ...(eventAt && { eventAt: eventAt.toISOString() }),
          },
        },
        { delaySeconds: row.is_burst ? BURST_SECONDS : 0 },
      );
    }
    await tx.query('update environment set last_event_at = clock_timestamp() where id = any($1::uuid[])', [
      [...new Set(all.map((wake) => wake.environmentId))].sort(),
    ]);
    return sent.length;
  });
}

/**
 * Before a look, under the table's lease: from the end of this transaction on an event sends a message of its own. `reread`:
 * what moved does not show in a probe.
 */
export async function takeWake(tx: TenantTransaction, environmentId: string, tableKey: string): Promise<{ reread: boolean }> {
  const [taken] = await tx.query<{ reread: boolean }>(
    `update table_wake set taken_at = clock_timestamp(), reread = false
     from (select reread from table_wake where environment_id = $1 and table_key = $2 for update) as before
     where environment_id = $1 and table_key = $2 returning before.reread`,
    [environmentId, tableKey],
  );
  return { reread: taken?.reread ?? false };
}
