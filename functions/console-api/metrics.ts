import type { Log } from '../../shared/log.ts';
import { deadLetterQueueOf, QUEUES } from '../../shared/messages.ts';
import type { DeadLetterQueues } from '../../shared/queue/dead-letters.ts';
import type { Transaction } from '../../shared/store/database.ts';
import { SCHEMA_VERSION } from '../../shared/store/migrate.ts';
import type { Deps } from './app.ts';

interface Sample {
  labels?: Record<string, string>;
  value: string | number;
}

/** A queue service that hangs must not hold up the figures of the database. */
const QUEUES_WITHIN_MS = 5_000;

/**
 * What Prometheus scrapes. All figures come from rows and from the queues: an instance may be frozen or gone between two
 * scrapes, so it counts nothing itself. Without an answer of the queue service its figures are missing, and one says so.
 */
export async function metricsText(deps: Pick<Deps, 'database' | 'deadLetters'>, log: Log): Promise<string> {
  const [rows, queues] = await Promise.all([
    deps.database.system(figuresOfRows),
    deps.deadLetters ? figuresOfQueues(deps.deadLetters, log) : [],
  ]);
  return [...rows, ...queues].join('');
}

async function figuresOfRows(tx: Transaction): Promise<string[]> {
  const one = async (sql: string): Promise<Sample[]> => tx.query<{ value: string }>(sql);
  const tables = await tx.query<{ state: string; value: string }>(
    `select case when c.removed_at is not null then 'tombstone' else coalesce(s.status, 'unread') end as state, count(*)::text as value
       from catalog_table c left join table_state s on s.table_id = c.id group by 1 order by 1`,
  );
  const runs = await tx.query<{ phase: string; value: string }>(
    'select phase, count(*)::text as value from collection_run group by 1 order by 1',
  );
  const perWorkspace = await tx.query<{ workspace: string; feed: string; audit: string }>(
    `select w.name as workspace, coalesce(f.last_sequence, 0)::text as feed,
            coalesce((select max(sequence) from audit_log where workspace_id = w.id), 0)::text as audit
       from (select id, name from workspace union all select 0, '') w left join workspace_feed f on f.workspace_id = w.id order by 1 limit 1000`,
  );
  const environments = await tx.query<{
    workspace: string;
    source: string;
    environment: string;
    value: string;
    unconfirmed: string | null;
  }>(
    `select w.name as workspace, s.name as source, e.name as environment, (e.connection_state = 'connected')::int::text as value,
            extract(epoch from clock_timestamp() - (select max(finished_at) from collection_run
              where environment_id = e.id and phase = 'done' and requested_tables is null))::text as unconfirmed
       from environment e join data_source s on s.id = e.data_source_id join workspace w on w.id = e.workspace_id
      where not s.draft order by 1, 2, 3 limit 1000`,
  );
  const labelsOf = ({ workspace, source, environment }: (typeof environments)[number]) => ({ workspace, source, environment });
  return [
    family('datamap_build_info', 'gauge', 'This program', [{ labels: { schema: String(SCHEMA_VERSION) }, value: 1 }]),
    family('datamap_tables', 'gauge', 'Tables in the data map', byLabel('state', tables)),
    family('datamap_collection_runs', 'gauge', 'Collection runs kept, by phase', byLabel('phase', runs)),
    family(
      'datamap_collection_oldest_open_seconds',
      'gauge',
      'Since when the oldest run that has not ended was asked for',
      await one(
        `select coalesce(extract(epoch from clock_timestamp() - min(requested_at)), 0)::text as value from collection_run
          where phase in ('queued', 'planning', 'collecting')`,
      ),
    ),
    family(
      'datamap_removals_held',
      'gauge',
      'Environments whose newest whole collection waits for an approval of its removals',
      await one(
        `select count(*)::text as value from (select distinct on (environment_id) phase from collection_run
          where requested_tables is null and finished_at is not null order by environment_id, requested_at desc) r
          where phase = 'needs-approval'`,
      ),
    ),
    family(
      'datamap_environment_connected',
      'gauge',
      '1: the newest test of the environment found it Connected',
      environments.map((row) => ({ labels: labelsOf(row), value: row.value })),
    ),
    family(
      'datamap_environment_unconfirmed_seconds',
      'gauge',
      'Since when no whole collection of the environment ended well',
      environments.flatMap((row) => (row.unconfirmed === null ? [] : [{ labels: labelsOf(row), value: row.unconfirmed }])),
    ),
    family(
      'datamap_outbox_oldest_age_seconds',
      'gauge',
      'How long the oldest unsent message has waited',
      await one('select coalesce(extract(epoch from clock_timestamp() - min(created_at)), 0)::text as value from outbox'),
    ),
    family('datamap_outbox_messages', 'gauge', 'Messages not sent yet', await one('select count(*)::text as value from outbox')),
    family(
      'datamap_feed_unnumbered_age_seconds',
      'gauge',
      'How long the oldest change has waited for its number',
      await one('select coalesce(extract(epoch from clock_timestamp() - min(created_at)), 0)::text as value from feed_outbox'),
    ),
    family(
      'datamap_feed_head',
      'gauge',
      'Last sequence of the change feed',
      perWorkspace
        .filter(({ workspace }) => workspace !== '')
        .map(({ workspace, feed }) => ({ labels: { workspace }, value: feed })),
    ),
    family(
      'datamap_audit_rows_total',
      'counter',
      'Rows of the audit log; of the installation where no workspace is named',
      perWorkspace.map(({ workspace, audit }) => ({ labels: { workspace }, value: audit })),
    ),
    family(
      'datamap_sign_in_failures',
      'gauge',
      'Tokens that were not good, in the present windows of their addresses',
      await one('select coalesce(sum(count), 0)::text as value from sign_in_failure'),
    ),
    family(
      'datamap_leases_overdue',
      'gauge',
      'Tables whose reader died and that nobody has taken over',
      await one(
        `select count(*)::text as value from lease where expires_at > '-infinity' and expires_at < clock_timestamp() - interval '2 min'`,
      ),
    ),
    family(
      'datamap_database_size_bytes',
      'gauge',
      'Size of the database',
      await one('select pg_database_size(current_database())::text as value'),
    ),
  ];
}

async function figuresOfQueues(queues: DeadLetterQueues, log: Log): Promise<string[]> {
  const up = (value: number) => family('datamap_queue_up', 'gauge', '1: the queue service answers', [{ value }]);
  const read = async (queue: string) => {
    const dead = await queues.attributes(deadLetterQueueOf(queue));
    const state = await queues.attributes(queue);
    const waiting = state && state.active > 0 ? await queues.peek(queue, 1) : [];
    return { queue, dead, state, oldest: waiting[0]?.enqueuedAt };
  };
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${QUEUES_WITHIN_MS} ms`)), QUEUES_WITHIN_MS);
  });
  try {
    const found = await Promise.race([Promise.all(Object.values(QUEUES).map(read)), late]);
    const known = found.filter(({ state }) => state);
    return [
      up(1),
      family(
        'datamap_queue_depth',
        'gauge',
        'Messages that wait, are at work or are delayed',
        known.map(({ queue, state }) => ({ labels: { queue }, value: state!.active + state!.inactive + state!.delayed })),
      ),
      family(
        'datamap_queue_oldest_age_seconds',
        'gauge',
        'How long the first message that waits has been in the queue',
        known.map(({ queue, oldest }) => ({
          labels: { queue },
          value: oldest ? Math.max(0, (Date.now() - oldest.getTime()) / 1_000) : 0,
        })),
      ),
      family(
        'datamap_dead_letters',
        'gauge',
        'Messages that no function could handle, by the queue that they came from',
        found.flatMap(({ queue, dead }) => (dead ? [{ labels: { queue }, value: dead.active + dead.inactive }] : [])),
      ),
    ];
  } catch (error) {
    log.warn('figures without the queues', { error });
    return [up(0)];
  } finally {
    clearTimeout(timer);
  }
}

function byLabel<Row extends { value: string }>(label: Exclude<keyof Row, 'value'> & string, rows: Row[]): Sample[] {
  return rows.map((row) => ({ labels: { [label]: String(row[label]) }, value: row.value }));
}

function family(name: string, type: string, help: string, samples: Sample[]): string {
  const lines = samples.map(({ labels = {}, value }) => {
    const inside = Object.entries(labels)
      .map(([label, text]) => `${label}="${text.replace(/[\\"\n]/g, (char) => (char === '\n' ? '\\n' : `\\${char}`))}"`)
      .join(',');
    return `${name}${inside === '' ? '' : `{${inside}}`} ${value}\n`;
  });
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}
