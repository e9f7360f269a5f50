import type { Database, TenantTransaction } from './database.ts';

/** One entry of a workspace's change feed. */
export interface Change {
  /** 1, 2, 3 … per workspace, without gaps. */
  sequence: bigint;
  /** What happened, such as `table.created`. */
  type: string;
  /** What it happened to, such as `<data source>/<environment>/<database>.<table>`. */
  subject: string;
  data: Record<string, unknown>;
  createdAt: Date;
}

/** Any constant: names the numbering step among the advisory locks of the database. */
const NUMBERING_LOCK = 7_205_759_406;
const MAX_ROWS_A_STEP = 5_000;

/**
 * Adds an entry that gets its number after the commit. After the fence only: row ids drawn while the table's lock is held
 * keep the entries of one table in order of their commits. `data` must be plain JSON: 64-bit integers as strings.
 */
export async function announce(
  tx: TenantTransaction,
  change: { type: string; subject: string; data: Record<string, unknown> },
): Promise<void> {
  await tx.query('insert into feed_outbox (workspace_id, type, subject, data) values ($1, $2, $3, $4)', [
    tx.workspaceId,
    change.type,
    change.subject,
    JSON.stringify(change.data),
  ]);
}

/** As `announce`, for many entries about one thing, in this order. */
export async function announceAll(
  tx: TenantTransaction,
  subject: string,
  changes: ReadonlyArray<{ type: string; data: Record<string, unknown> }>,
): Promise<void> {
  if (changes.length === 0) return;
  await tx.query(
    `insert into feed_outbox (workspace_id, type, subject, data)
     select $1, type, $2, data from unnest($3::text[], $4::jsonb[]) with ordinality as entry(type, data, place) order by place`,
    [tx.workspaceId, subject, changes.map((entry) => entry.type), changes.map((entry) => JSON.stringify(entry.data))],
  );
}

/**
 * Gives the committed entries their sequences. Run at the end of each apply and before each read. A sequence drawn inside
 * the writers' transactions would become visible out of order, and readers behind a cursor would miss entries for ever.
 * Returns how many were numbered.
 */
export async function numberFeed(database: Database): Promise<number> {
  for (let total = 0; ; ) {
    const numbered = await database.system(async (tx) => {
      // A statement of its own: the next one must see everything that the previous numbering committed.
      await tx.query('select pg_advisory_xact_lock($1)', [NUMBERING_LOCK]);
      const [{ count } = { count: 0 }] = await tx.query<{ count: number }>(
        `with moved as (
           delete from feed_outbox where id in (select id from feed_outbox order by id limit $1) returning *
         ), counted as (
           select workspace_id, count(*) as entries from moved group by workspace_id
         ), raised as (
           insert into workspace_feed (workspace_id, last_sequence) select workspace_id, entries from counted order by workspace_id
           on conflict (workspace_id) do update set last_sequence = workspace_feed.last_sequence + excluded.last_sequence
           returning workspace_id, last_sequence
         ), numbered as (
           insert into change_feed (workspace_id, sequence, type, subject, data, created_at)
           select moved.workspace_id,
                  raised.last_sequence - counted.entries + row_number() over (partition by moved.workspace_id order by moved.id),
                  moved.type, moved.subject, moved.data, moved.created_at
           from moved join counted using (workspace_id) join raised using (workspace_id)
           returning 1
         )
         select count(*)::int as count from numbered`,
        [MAX_ROWS_A_STEP],
      );
      return count;
    });
    total += numbered;
    if (numbered < MAX_ROWS_A_STEP) return total;
  }
}

/** Entries after `after`, in order, at most `limit`. Call `numberFeed` first to see everything committed. */
export async function readChanges(tx: TenantTransaction, after: bigint, limit: number): Promise<Change[]> {
  const rows = await tx.query<{
    sequence: string;
    type: string;
    subject: string;
    data: Record<string, unknown>;
    created_at: Date;
  }>(
    'select sequence, type, subject, data, created_at from change_feed where workspace_id = $1 and sequence > $2 order by sequence limit $3',
    [tx.workspaceId, after.toString(), limit],
  );
  return rows.map((row) => ({
    sequence: BigInt(row.sequence),
    type: row.type,
    subject: row.subject,
    data: row.data,
    createdAt: row.created_at,
  }));
}
