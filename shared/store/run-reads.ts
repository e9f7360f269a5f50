import type { EnvironmentName } from '../messages.ts';
import type { RunCause, RunPhase, TableName } from './collection-runs.ts';
import type { TenantTransaction } from './database.ts';

/** A collection run as people read it. Counts are sums over its tables, so that no repeated message counts twice. */
export interface RunSummary {
  id: string;
  dataSource: string;
  environment: EnvironmentName;
  cause: RunCause;
  requestedBy: string;
  phase: RunPhase;
  requestedTables: TableName[] | null;
  databasesFound: number | null;
  tablesFound: number | null;
  tablesQueued: number;
  tablesRead: number;
  tablesUnchanged: number;
  tablesFailed: number;
  tablesDegraded: number;
  tablesBroken: number;
  tablesRemoved: number;
  /** Tables whose removal waits for a person; null unless the phase is `needs-approval`. */
  heldRemovals: TableName[] | null;
  requests: number;
  bytes: bigint;
  errorCode: string | null;
  errorMessage: string | null;
  requestedAt: Date;
  startedAt: Date | null;
  plannedAt: Date | null;
  finishedAt: Date | null;
}

export interface RunTable {
  database: string;
  table: string;
  state: string;
  status: 'ok' | 'degraded' | 'broken' | null;
  errorCode: string | null;
  errorMessage: string | null;
  requests: number;
  bytes: bigint;
  finishedAt: Date | null;
}

const RUN_COLUMNS = `r.id, s.name as "dataSource", e.name as environment, r.cause, r.requested_by as "requestedBy", r.phase,
  r.requested_tables as "requestedTables", r.databases_found as "databasesFound", r.tables_found as "tablesFound",
  coalesce(t.queued, 0)::int as "tablesQueued", coalesce(t.read, 0)::int as "tablesRead", coalesce(t.unchanged, 0)::int as "tablesUnchanged",
  coalesce(t.failed, 0)::int as "tablesFailed", coalesce(t.degraded, 0)::int as "tablesDegraded", coalesce(t.broken, 0)::int as "tablesBroken",
  r.removed as "tablesRemoved", r.held_removals as "heldRemovals",
  (r.plan_requests + coalesce(t.requests, 0))::int as requests, (r.plan_bytes + coalesce(t.bytes, 0))::text as bytes,
  r.error_code as "errorCode", r.error_message as "errorMessage", r.requested_at as "requestedAt", r.started_at as "startedAt",
  r.planned_at as "plannedAt", r.finished_at as "finishedAt", r.requested_at::text as "cursorAt"`;

const SUMS = `left join lateral (
    select count(*) filter (where state in ('queued', 'missing')) as queued, count(*) filter (where state = 'read') as read,
           count(*) filter (where state = 'unchanged') as unchanged, count(*) filter (where state = 'failed') as failed,
           count(*) filter (where table_status = 'degraded') as degraded, count(*) filter (where table_status = 'broken') as broken,
           sum(requests) as requests, sum(bytes) as bytes
      from collection_run_table where run_id = r.id) t on true`;

type RunRow = Omit<RunSummary, 'bytes'> & { bytes: string; cursorAt: string };

/** Newest first. `after` is the `cursorAt` and id of the last run of the page before. */
export async function listRuns(
  tx: TenantTransaction,
  options: { dataSource?: string; environment?: string; phase?: string; after?: { cursorAt: string; id: string }; limit: number },
): Promise<(RunSummary & { cursorAt: string })[]> {
  const rows = await tx.query<RunRow>(
    `select ${RUN_COLUMNS}
       from (select r.* from collection_run r join environment e on e.id = r.environment_id join data_source s on s.id = e.data_source_id
              where r.workspace_id = $1 and ($2::text is null or s.name = $2) and ($3::text is null or e.name = $3)
                and ($4::text is null or r.phase = $4)
                and ($5::timestamptz is null or (r.requested_at, r.id) < ($5::timestamptz, $6::uuid))
              order by r.requested_at desc, r.id desc limit $7) r
       join environment e on e.id = r.environment_id join data_source s on s.id = e.data_source_id ${SUMS}
      order by r.requested_at desc, r.id desc`,
    [
      tx.workspaceId,
      options.dataSource ?? null,
      options.environment ?? null,
      options.phase ?? null,
      options.after?.cursorAt ?? null,
      options.after?.id ?? null,
      options.limit,
    ],
  );
  return rows.map(summaryOf);
}

export async function getRun(tx: TenantTransaction, id: string): Promise<RunSummary | undefined> {
  const [row] = await tx.query<RunRow>(
    `select ${RUN_COLUMNS} from collection_run r join environment e on e.id = r.environment_id
       join data_source s on s.id = e.data_source_id ${SUMS} where r.workspace_id = $1 and r.id = $2`,
    [tx.workspaceId, id],
  );
  return row && summaryOf(row);
}

/** By name. `withProblems` keeps those that failed or were not fully read. Undefined when there is no such run. */
export async function listRunTables(
  tx: TenantTransaction,
  runId: string,
  options: { state?: string; withProblems?: boolean; after?: TableName; limit: number },
): Promise<RunTable[] | undefined> {
  const [run] = await tx.query('select from collection_run where workspace_id = $1 and id = $2', [tx.workspaceId, runId]);
  if (!run) return undefined;
  const rows = await tx.query<Omit<RunTable, 'bytes'> & { bytes: string }>(
    `select database_name as database, table_name as "table", state, table_status as status, error_code as "errorCode",
            error_message as "errorMessage", requests, bytes::text as bytes, finished_at as "finishedAt"
       from collection_run_table
      where workspace_id = $1 and run_id = $2 and ($3::text is null or state = $3)
        and (not $4 or state = 'failed' or table_status in ('degraded', 'broken'))
        and ($5::text is null or (database_name, table_name) > ($5, $6))
      order by database_name, table_name limit $7`,
    [
      tx.workspaceId,
      runId,
      options.state ?? null,
      options.withProblems ?? false,
      options.after?.database ?? null,
      options.after?.table ?? null,
      options.limit,
    ],
  );
  return rows.map((row) => ({ ...row, bytes: BigInt(row.bytes) }));
}

function summaryOf(row: RunRow): RunSummary & { cursorAt: string } {
  return { ...row, bytes: BigInt(row.bytes) };
}
