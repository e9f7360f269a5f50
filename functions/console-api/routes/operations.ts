import type { Transaction } from '../../../shared/store/database.ts';
import { SCHEMA_VERSION } from '../../../shared/store/migrate.ts';
import type { App } from '../app.ts';

const READY_WITHIN_MS = 1_000;
/** Messages that wait longer say that the queue or the timer is not there. */
const MAX_OUTBOX_AGE_SECONDS = 300;

/** What operators and load balancers ask; not part of the described API. A customer's bucket never turns these red. */
export function addOperations(app: App): void {
  app.get('/healthz', (c) => c.text('ok\n'));

  app.get('/readyz', async (c) => {
    const problems = await Promise.race([
      c.env.deps.database.system(readiness).catch(() => ['the database cannot be reached']),
      new Promise<string[]>((resolve) =>
        setTimeout(resolve, READY_WITHIN_MS, ['the database did not answer within 1 s']).unref(),
      ),
    ]);
    return c.json({ ready: problems.length === 0, problems }, problems.length === 0 ? 200 : 503);
  });

  app.get('/metrics', async (c) => {
    const text = await c.env.deps.database.system(metrics);
    return c.body(text, 200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
  });
}

async function readiness(tx: Transaction): Promise<string[]> {
  const problems: string[] = [];
  const [row] = await tx.query<{ version: number | null; age: number }>(
    `select (select max(id) from schema_migration) as version,
            coalesce((select extract(epoch from clock_timestamp() - min(created_at))::int from outbox), 0) as age`,
  );
  if (row!.version !== SCHEMA_VERSION)
    problems.push(`the database has schema version ${row!.version}, this program needs ${SCHEMA_VERSION}: run 'datamap migrate'`);
  if (row!.age > MAX_OUTBOX_AGE_SECONDS) problems.push(`the oldest message has waited ${row!.age} s to be sent`);
  return problems;
}

interface Sample {
  labels?: Record<string, string>;
  value: string | number;
}

/** All figures come from rows: an instance may be frozen or gone between two scrapes, so it counts nothing itself. */
async function metrics(tx: Transaction): Promise<string> {
  const one = async (sql: string): Promise<Sample[]> => tx.query<{ value: string }>(sql);
  const tables = await tx.query<{ state: string; value: string }>(
    `select case when c.removed_at is not null then 'tombstone' else coalesce(s.status, 'unread') end as state, count(*)::text as value
       from catalog_table c left join table_state s on s.table_id = c.id group by 1 order by 1`,
  );
  const runs = await tx.query<{ phase: string; value: string }>(
    'select phase, count(*)::text as value from collection_run group by 1 order by 1',
  );
  const feeds = await tx.query<{ name: string; value: string }>(
    'select w.name, f.last_sequence::text as value from workspace_feed f join workspace w on w.id = f.workspace_id order by 1',
  );
  const environments = await tx.query<{ workspace: string; source: string; environment: string; value: string }>(
    `select w.name as workspace, s.name as source, e.name as environment, (e.connection_state = 'connected')::int::text as value
       from environment e join data_source s on s.id = e.data_source_id join workspace w on w.id = e.workspace_id
      where not s.draft order by 1, 2, 3 limit 1000`,
  );
  return [
    family('datamap_build_info', 'gauge', 'This program', [{ labels: { schema: String(SCHEMA_VERSION) }, value: 1 }]),
    family('datamap_tables', 'gauge', 'Tables in the data map', byLabel('state', tables)),
    family('datamap_collection_runs', 'gauge', 'Collection runs kept, by phase', byLabel('phase', runs)),
    family(
      'datamap_environment_connected',
      'gauge',
      '1: the newest test of the environment found it Connected',
      environments.map(({ value, ...labels }) => ({ labels, value })),
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
      feeds.map(({ name, value }) => ({ labels: { workspace: name }, value })),
    ),
  ].join('');
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
