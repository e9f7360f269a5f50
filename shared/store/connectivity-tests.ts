import { randomUUID } from 'node:crypto';
import { Check } from '../data-source.ts';
import { NotFound } from '../errors.ts';
import { type EnvironmentName, QUEUES } from '../messages.ts';
import type { TenantTransaction, Transaction } from './database.ts';
import { enqueue } from './outbox.ts';

/**
 * Connectivity tests and what follows from them: the state of an environment and the gate of a data source. A verdict
 * counts only for the configuration that was tested; every change of it raises `config_version`.
 */

export type Verdict = 'connected' | 'failed';

export interface ConnectivityTest {
  id: string;
  environmentId: string;
  configVersion: number;
  state: 'queued' | 'running' | 'done';
  verdict: Verdict | null;
  /** A person's or function's name. */
  requestedBy: string;
  requestedAt: Date;
  startedAt: Date | null;
  finishedAt: Date | null;
  /** In order; grows while the test runs. */
  checks: Check[];
  /** The configuration changed since: the verdict says nothing about the present one. */
  isStale: boolean;
}

/** Whether a data source may be collected. */
export interface Gate {
  open: boolean;
  /** Environments that are needed and not Connected in their present configuration. */
  waitingFor: EnvironmentName[];
  /** For people; empty when open. */
  reason: string;
}

/** Tests that a workspace may ask for within a minute (threat: the test as a scanner); the API answers 429 beyond. */
export const MAX_TESTS_PER_MINUTE = 10;

const COLUMNS = `t.id, t.environment_id as "environmentId", t.config_version as "configVersion", t.state, t.verdict,
  t.requested_by as "requestedBy", t.requested_at as "requestedAt", t.started_at as "startedAt", t.finished_at as "finishedAt",
  t.checks, t.config_version <> e.config_version as "isStale"`;

/**
 * Asks for a test of one environment: writes the test, sets the environment to `testing` and, in the same transaction,
 * writes the message that starts it. A test that nobody has begun yet is returned instead of a second one. Throws
 * NotFound when the environment is not there.
 */
export async function requestTest(tx: Transaction, environmentId: string, requestedBy: string): Promise<string> {
  // The lock makes two askers at the same moment see each other's test.
  const [environment] = await tx.query<{ workspace_id: number; config_version: number }>(
    'select workspace_id, config_version from environment where id = $1 for no key update',
    [environmentId],
  );
  if (!environment) throw new NotFound(`environment ${environmentId}`);
  const [waiting] = await tx.query<{ id: string }>(
    `update connectivity_test set config_version = $2
      where id = (select id from connectivity_test where environment_id = $1 and state = 'queued' order by requested_at limit 1)
      returning id`,
    [environmentId, environment.config_version],
  );
  await tx.query("update environment set connection_state = 'testing' where id = $1", [environmentId]);
  if (waiting) return waiting.id;
  const testId = randomUUID();
  await tx.query(
    `insert into connectivity_test (workspace_id, id, environment_id, config_version, requested_by) values ($1, $2, $3, $4, $5)`,
    [environment.workspace_id, testId, environmentId, environment.config_version, requestedBy],
  );
  await enqueue(tx, QUEUES.connectivityTest, {
    type: 'connectivity-test.requested',
    data: { workspaceId: environment.workspace_id, environmentId, testId },
  });
  return testId;
}

/** How many tests were asked for in this workspace within the last minute. */
export async function countRecentTests(tx: TenantTransaction): Promise<number> {
  const [row] = await tx.query<{ n: string }>(
    "select count(*) as n from connectivity_test where workspace_id = $1 and requested_at > clock_timestamp() - interval '1 minute'",
    [tx.workspaceId],
  );
  return Number(row!.n);
}

/**
 * Begins a test, or goes on with one that an earlier delivery began: it tests the configuration as it is now. Undefined
 * when it is done, or is not there any more.
 */
export async function startTest(tx: Transaction, testId: string): Promise<{ configVersion: number } | undefined> {
  const [row] = await tx.query<{ configVersion: number }>(
    `update connectivity_test t
        set state = 'running', started_at = coalesce(t.started_at, clock_timestamp()), config_version = e.config_version, checks = '[]'
       from environment e
      where t.id = $1 and e.id = t.environment_id and t.state <> 'done'
      returning t.config_version as "configVersion"`,
    [testId],
  );
  return row;
}

/** What is known so far, for those who watch. */
export async function recordChecks(tx: Transaction, testId: string, checks: readonly Check[]): Promise<void> {
  await tx.query("update connectivity_test set checks = $2 where id = $1 and state = 'running'", [
    testId,
    JSON.stringify(checks),
  ]);
}

/**
 * Ends a test, once: later callers get `isFirst: false`. The verdict reaches the environment only if its configuration
 * still is the tested one. `gateOpened` holds the environments to collect when exactly this verdict opened the gate.
 */
export async function finishTest(
  tx: Transaction,
  testId: string,
  result: { verdict: Verdict; checks: readonly Check[]; configVersion: number },
): Promise<{ isFirst: boolean; isApplied: boolean; gateOpened: string[] }> {
  const [place] = await tx.query<{ environmentId: string; dataSourceId: string }>(
    `select e.id as "environmentId", e.data_source_id as "dataSourceId"
       from connectivity_test t join environment e on e.id = t.environment_id where t.id = $1`,
    [testId],
  );
  if (!place) return { isFirst: false, isApplied: false, gateOpened: [] };
  // Two environments that finish at the same moment must see each other's verdict: one of them opens the gate.
  await tx.query('select id from data_source where id = $1 for no key update', [place.dataSourceId]);
  const before = await gateOf(tx, place.dataSourceId);
  const finished = await tx.query(
    `update connectivity_test set state = 'done', verdict = $2, checks = $3, config_version = $4, finished_at = clock_timestamp()
      where id = $1 and state <> 'done' returning id`,
    [testId, result.verdict, JSON.stringify(result.checks), result.configVersion],
  );
  if (finished.length === 0) return { isFirst: false, isApplied: false, gateOpened: [] };
  const applied = await tx.query(
    `update environment set connection_state = $2, tested_config_version = $3, last_test_id = $4
      where id = $1 and config_version = $3 returning id`,
    [place.environmentId, result.verdict, result.configVersion, testId],
  );
  const isApplied = applied.length > 0;
  if (!isApplied || result.verdict !== 'connected' || before.open) return { isFirst: true, isApplied, gateOpened: [] };
  const after = await gateOf(tx, place.dataSourceId);
  return { isFirst: true, isApplied, gateOpened: after.open ? after.environmentIds : [] };
}

export async function getTest(tx: TenantTransaction, testId: string): Promise<ConnectivityTest | undefined> {
  const [row] = await tx.query<ConnectivityTest>(
    `select ${COLUMNS} from connectivity_test t join environment e on e.id = t.environment_id where t.workspace_id = $1 and t.id = $2`,
    [tx.workspaceId, testId],
  );
  return row && readTest(row);
}

/** Newest first. `before` is the place of the last test of the page before. */
export async function listTests(
  tx: TenantTransaction,
  environmentId: string,
  options: { limit: number; before?: { requestedAt: Date; id: string } },
): Promise<ConnectivityTest[]> {
  const rows = await tx.query<ConnectivityTest>(
    `select ${COLUMNS} from connectivity_test t join environment e on e.id = t.environment_id
      where t.workspace_id = $1 and t.environment_id = $2
        and ($3::timestamptz is null or date_trunc('milliseconds', t.requested_at) < $3
             or (date_trunc('milliseconds', t.requested_at) = $3 and t.id < $4::uuid))
      order by date_trunc('milliseconds', t.requested_at) desc, t.id desc limit $5`,
    [tx.workspaceId, environmentId, options.before?.requestedAt ?? null, options.before?.id ?? null, options.limit],
  );
  return rows.map(readTest);
}

/**
 * Whether the data source may be collected: it is no draft, and each environment that its workspace needs is Connected in
 * its present configuration. A re-test of an unchanged, connected environment leaves the gate open while it runs.
 */
export async function gateOf(tx: Transaction, dataSourceId: string): Promise<Gate & { environmentIds: string[] }> {
  const [source] = await tx.query<{ draft: boolean; kind: 'standard' | 'basic' }>(
    `select s.draft, w.kind from data_source s join workspace w on w.id = s.workspace_id where s.id = $1`,
    [dataSourceId],
  );
  if (!source) throw new NotFound(`data source ${dataSourceId}`);
  const environments = await tx.query<{ id: string; name: EnvironmentName; isConnected: boolean; state: string }>(
    `select e.id, e.name, e.connection_state as state, case e.connection_state
              when 'connected' then e.tested_config_version = e.config_version
              when 'testing' then coalesce((select t.verdict = 'connected' and t.config_version = e.config_version
                                              from connectivity_test t where t.environment_id = e.id and t.state = 'done'
                                              order by t.finished_at desc limit 1), false)
              else false end as "isConnected"
       from environment e where e.data_source_id = $1 order by e.name`,
    [dataSourceId],
  );
  const needed: EnvironmentName[] = source.kind === 'basic' ? ['production'] : ['development', 'production'];
  const waitingFor = needed.filter((name) => !environments.some((e) => e.name === name && e.isConnected));
  const environmentIds = environments.filter((e) => needed.includes(e.name)).map((e) => e.id);
  if (source.draft)
    return { open: false, waitingFor, environmentIds, reason: 'The data source is a draft: complete it and save it as final.' };
  if (waitingFor.length === 0) return { open: true, waitingFor, environmentIds, reason: '' };
  const states = waitingFor.map((name) => `${name} ${inWords(environments.find((e) => e.name === name)?.state)}`);
  return {
    open: false,
    waitingFor,
    environmentIds,
    reason: `Collection waits: ${states.join(', ')}. ${needed.length === 1 ? 'It' : 'Each environment'} must be Connected first.`,
  };
}

function inWords(state: string | undefined): string {
  switch (state) {
    case undefined:
      return 'is not configured';
    case 'testing':
      return 'is being tested';
    case 'failed':
      return 'failed its connectivity test';
    default:
      return 'is not tested in its present configuration';
  }
}

function readTest(row: ConnectivityTest): ConnectivityTest {
  return { ...row, checks: row.checks.map((check) => Check.parse(check)) };
}
