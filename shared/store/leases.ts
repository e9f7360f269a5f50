import type { TenantTransaction, Transaction } from './database.ts';

/**
 * One row per (environment, table) says who may write that table's part of the map. The database's clock alone decides,
 * the term only grows, rows stay for ever: a holder that slept past its end is fenced off by its old term.
 *
 * Take → read the warehouse → `fence` at the start of every write transaction → `releaseLease` in the last one.
 */
export interface Lease {
  environmentId: string;
  /** `database.table`. */
  tableKey: string;
  /** Who holds it, for people who look: function and request id. */
  holder: string;
  /** Grows with every change of hands; 64 bits. */
  term: bigint;
  /** When it was taken, by the database's clock, cut to milliseconds. */
  takenAt: Date;
}

/** Without a renewal the lease may be taken by another after this. */
export const LEASE_SECONDS = 30;
/** How often a holder that works on renews. */
export const RENEW_EVERY_MS = 10_000;
/** A holder trusts its lease until this long after the start of its last good renewal, on its monotonic clock. */
export const TRUST_MS = 25_000;

/**
 * The lease, or undefined while another holds it; then the holder is told: its release answers `wanted`, so the caller may
 * acknowledge its message and no wake-up is lost. Repeating takers of one table wait for its running write transaction.
 */
export async function takeLease(
  tx: TenantTransaction,
  environmentId: string,
  tableKey: string,
  holder: string,
): Promise<Lease | undefined> {
  await lockTable(tx, environmentId, tableKey);
  const [taken] = await tx.query<{ term: string; taken_at: Date }>(
    `insert into lease (workspace_id, environment_id, table_key, holder, term, expires_at)
     values ($1, $2, $3, $4, 1, clock_timestamp() + $5 * interval '1 second')
     on conflict (environment_id, table_key) do update
       set holder = excluded.holder, term = lease.term + 1, expires_at = excluded.expires_at
       where lease.expires_at < clock_timestamp()
     returning term, clock_timestamp() as taken_at`,
    [tx.workspaceId, environmentId, tableKey, holder, LEASE_SECONDS],
  );
  if (taken) return { environmentId, tableKey, holder, term: BigInt(taken.term), takenAt: taken.taken_at };
  // The refused insert has locked the row: the holder cannot free the lease before this mark is committed.
  await tx.query('update lease set wanted_at = clock_timestamp() where environment_id = $1 and table_key = $2', [
    environmentId,
    tableKey,
  ]);
  return undefined;
}

/**
 * First statement of every transaction that writes a table's state: true means that the lease is ours until this
 * transaction ends. False: somebody took over; write nothing, stop quietly. Several tables in one transaction: in order of key.
 */
export async function fence(tx: TenantTransaction, lease: Lease): Promise<boolean> {
  // Before any row lock or write. Feed rows draw their number while this is held, so a table's entries stay in order.
  await lockTable(tx, lease.environmentId, lease.tableKey);
  const held = await tx.query(
    'select 1 from lease where environment_id = $1 and table_key = $2 and term = $3 and holder = $4 for update',
    [lease.environmentId, lease.tableKey, lease.term.toString(), lease.holder],
  );
  return held.length === 1;
}

/** Another LEASE_SECONDS from now; false when somebody else took over. */
export async function renewLease(tx: TenantTransaction, lease: Lease): Promise<boolean> {
  const renewed = await tx.query(
    `update lease set expires_at = clock_timestamp() + $5 * interval '1 second'
     where environment_id = $1 and table_key = $2 and term = $3 and holder = $4 returning term`,
    [lease.environmentId, lease.tableKey, lease.term.toString(), lease.holder, LEASE_SECONDS],
  );
  return renewed.length === 1;
}

/**
 * Frees the lease; a no-op when it is no longer ours. `wanted`: somebody came after `readStartedAt` (the database's clock;
 * default: when the lease was taken), so what was read may be older than their event: enqueue one more message in this
 * same transaction.
 */
export async function releaseLease(
  tx: TenantTransaction,
  lease: Lease,
  readStartedAt: Date = lease.takenAt,
): Promise<{ wanted: boolean }> {
  if (!(await fence(tx, lease))) return { wanted: false };
  const [freed] = await tx.query<{ wanted: boolean }>(
    `update lease set expires_at = '-infinity', holder = '', wanted_at = null
     from (select wanted_at from lease where environment_id = $1 and table_key = $2) as before
     where environment_id = $1 and table_key = $2
     returning coalesce(before.wanted_at >= $3, false) as wanted`,
    [lease.environmentId, lease.tableKey, readStartedAt],
  );
  return { wanted: freed?.wanted ?? false };
}

/**
 * Leases whose holders died: ran out, never released. Each is named once; the caller enqueues a message for it in the same
 * transaction. The term stays, so a holder that was only slow is fenced as soon as the next one takes over.
 */
export async function sweepAbandonedLeases(
  tx: Transaction,
  limit = 500,
): Promise<{ workspaceId: number; environmentId: string; tableKey: string }[]> {
  const rows = await tx.query<{ workspace_id: number; environment_id: string; table_key: string }>(
    `update lease set expires_at = '-infinity'
     where (environment_id, table_key) in (
       select environment_id, table_key from lease
       where expires_at < clock_timestamp() and expires_at > '-infinity'
       order by expires_at limit $1 for update skip locked)
     returning workspace_id, environment_id, table_key`,
    [limit],
  );
  return rows.map((row) => ({
    workspaceId: row.workspace_id,
    environmentId: row.environment_id,
    tableKey: row.table_key,
  }));
}

/**
 * Renews in the background while work goes on. `isTrusted` turns false when renewals fail or were refused: then stop
 * before the next write. Call `stop` before the handler ends: nothing may outlive it.
 */
export function keepRenewing(
  renew: () => Promise<boolean>,
  options: { everyMs?: number; now?: () => number } = {},
): { isTrusted(): boolean; stop(): void } {
  const now = options.now ?? (() => performance.now());
  let trustedUntil = now() + TRUST_MS;
  let lost = false;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  const schedule = () => {
    timer = setTimeout(async () => {
      const startedAt = now();
      try {
        if (await renew()) trustedUntil = startedAt + TRUST_MS;
        else lost = true;
      } catch {
        // Not renewed; trust ends by itself unless the next attempt succeeds.
      }
      if (!stopped && !lost) schedule();
    }, options.everyMs ?? RENEW_EVERY_MS);
  };
  schedule();
  return {
    isTrusted: () => !lost && now() < trustedUntil,
    stop: () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

async function lockTable(tx: Transaction, environmentId: string, tableKey: string): Promise<void> {
  await tx.query("select pg_advisory_xact_lock(hashtextextended($1 || '/' || $2, 0))", [environmentId, tableKey]);
}
