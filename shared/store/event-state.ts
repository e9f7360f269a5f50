import type { TenantTransaction } from './database.ts';

/** Feed entries that are looked at, newest first: bounded, whatever the size of the map. */
const ENTRIES_READ = 5_000;
const LOOK_BACK_HOURS = 24;
/** An event may come behind a sweep that was quicker. */
const GRACE_SECONDS = 60;

export interface MissedCommit {
  database: string;
  table: string;
  snapshotId: string;
  foundAt: Date;
}

export interface EventState {
  /** `silent`: commits were found without events, after the last one came; `waiting`: there was nothing to hear of yet. */
  state: 'receiving' | 'silent' | 'waiting';
  /** Commits of the last 24 hours that an event led to, and those that a sweep or a person found. */
  byEvent: number;
  withoutEvent: number;
  /** The newest one that no event came for. */
  missed: MissedCommit | null;
}

/** Whether object events of an environment arrive, from what the change feed says of its commits. */
export async function eventStateOf(tx: TenantTransaction, environmentId: string, lastEventAt: Date | null): Promise<EventState> {
  // Commits from before the first look had no chance to be heard of.
  const rows = await tx.query<MissedCommit & { isByEvent: boolean; isSettled: boolean }>(
    `select c.data->>'database' as database, c.data->>'table' as table, c.data->>'snapshotId' as "snapshotId", c.created_at as "foundAt",
            c.data->>'eventAt' is not null as "isByEvent", c.created_at < clock_timestamp() - $4 * interval '1 second' as "isSettled"
       from (select * from change_feed where workspace_id = $1 order by sequence desc limit $3) c
       join catalog_table t on t.public_id::text = c.data->>'tableId'
      where c.type = 'commit.applied' and t.environment_id = $2 and c.created_at > clock_timestamp() - $5 * interval '1 hour'
        and (c.data->>'timeMillis')::numeric > extract(epoch from t.first_seen_at) * 1000
      order by c.sequence desc`,
    [tx.workspaceId, environmentId, ENTRIES_READ, GRACE_SECONDS, LOOK_BACK_HOURS],
  );
  const found = rows.find((row) => !row.isByEvent && row.isSettled && (lastEventAt === null || row.foundAt > lastEventAt));
  const missed = found
    ? { database: found.database, table: found.table, snapshotId: found.snapshotId, foundAt: found.foundAt }
    : null;
  const byEvent = rows.filter((row) => row.isByEvent).length;
  const state = missed ? 'silent' : lastEventAt ? 'receiving' : 'waiting';
  return { state, byEvent, withoutEvent: rows.length - byEvent, missed };
}
