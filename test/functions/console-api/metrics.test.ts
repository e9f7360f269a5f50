import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { deadLetterQueueOf, QUEUES } from '../../../shared/messages.ts';
import type { DeadLetterQueues } from '../../../shared/queue/dead-letters.ts';
import { dataSource, type Harness, startHarness } from './harness.ts';

let api: Harness;
beforeAll(async () => {
  api = await startHarness();
  await api.call('POST', '/data-sources', { body: dataSource('mine') });
});
afterAll(() => api.close());

/** As a queue service would say it; the real one is asked in the dead letters' tests. */
const queues: Pick<DeadLetterQueues, 'attributes' | 'peek'> = {
  async attributes(name) {
    if (name === deadLetterQueueOf(QUEUES.collection)) return { active: 2, inactive: 1, delayed: 0 };
    return name === QUEUES.objectEvents ? undefined : { active: name === QUEUES.tableEvents ? 3 : 0, inactive: 0, delayed: 1 };
  },
  peek: async () => [{ id: '1', receiptHandle: '', body: '', dequeueCount: 0, enqueuedAt: new Date(Date.now() - 90_000) }],
};

async function scrape(): Promise<Map<string, number>> {
  const { status, text } = await api.call('GET', '/metrics', { whole: true, as: 'everywhere' });
  expect(status, text).toBe(200);
  for (const line of text.trimEnd().split('\n'))
    expect(line).toMatch(/^(# (HELP|TYPE) \w+ .+|\w+(\{(\w+="[^"]*",?)+\})? -?[\d.]+)$/);
  return new Map(
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

describe('metrics', () => {
  it('say what waits in the queues, and since when', async () => {
    api.deps.deadLetters = queues as DeadLetterQueues;
    const figures = await scrape();
    expect(figures.get('datamap_queue_up')).toBe(1);
    expect(figures.get(`datamap_dead_letters{queue="${QUEUES.collection}"}`)).toBe(3);
    expect(figures.get(`datamap_queue_depth{queue="${QUEUES.tableEvents}"}`)).toBe(4);
    expect(figures.get(`datamap_queue_oldest_age_seconds{queue="${QUEUES.tableEvents}"}`)).toBeGreaterThanOrEqual(90);
    expect(figures.get(`datamap_queue_oldest_age_seconds{queue="${QUEUES.tableBulk}"}`)).toBe(0);
    expect(figures.has(`datamap_queue_depth{queue="${QUEUES.objectEvents}"}`)).toBe(false);
  });

  it('go on without a queue service, and say that it is away', async () => {
    api.deps.deadLetters = { ...queues, attributes: () => Promise.reject(new Error('away')) } as unknown as DeadLetterQueues;
    const figures = await scrape();
    expect(figures.get('datamap_queue_up')).toBe(0);
    expect(figures.get('datamap_outbox_messages')).toBe(0);
    expect([...figures.keys()].filter((name) => name.startsWith('datamap_queue_depth'))).toEqual([]);
  });

  it('count what rows say of runs, removals, readers and the log', async () => {
    const [environment] = await api.db.query<{ id: string }>("select id from environment where name = 'production'");
    const run = (phase: string, ago: string) =>
      api.db.query(
        `insert into collection_run (workspace_id, id, environment_id, cause, requested_by, phase, requested_at, finished_at)
         values ($1, $2, $3, 'timer', 'x', $4, clock_timestamp() - $5::interval, case when $4 <> 'collecting' then clock_timestamp() - $5::interval end)`,
        [api.workspaces.default, randomUUID(), environment!.id, phase, ago],
      );
    const place = '{workspace="default",source="mine",environment="production"}';
    expect((await scrape()).has(`datamap_environment_unconfirmed_seconds${place}`)).toBe(false);
    await run('done', '3 h');
    await run('needs-approval', '2 h');
    await run('collecting', '1 h');
    await api.db.query(
      "insert into lease (workspace_id, environment_id, table_key, holder, term, expires_at) values ($1, $2, 'a.b', 'x', 1, now() - interval '1 h')",
      [api.workspaces.default, environment!.id],
    );
    const figures = await scrape();
    expect(figures.get('datamap_removals_held')).toBe(1);
    expect(Math.round(figures.get('datamap_collection_oldest_open_seconds')! / 60)).toBe(60);
    expect(Math.round(figures.get(`datamap_environment_unconfirmed_seconds${place}`)! / 60)).toBe(180);
    expect(figures.get('datamap_leases_overdue')).toBe(1);
    expect(figures.get('datamap_audit_rows_total{workspace="default"}')).toBe(1);
    expect(figures.get('datamap_database_size_bytes')).toBeGreaterThan(1_000_000);
    // What an approval led to takes the held run's place.
    await run('done', '10 min');
    expect((await scrape()).get('datamap_removals_held')).toBe(0);
  });
});

describe('alerts', () => {
  interface Rule {
    alert: string;
    expr: string;
    labels: { severity: string };
    annotations: { summary: string; runbook: string };
  }
  const rules: Rule[] = parse(readFileSync('deploy/alerts.yml', 'utf8')).groups.flatMap(
    (group: { rules: Rule[] }) => group.rules,
  );

  it('ask for figures that there are, with labels that they have', async () => {
    api.deps.deadLetters = queues as DeadLetterQueues;
    const figures = [...(await scrape()).keys(), 'up{job="datamap"}'];
    for (const { alert, expr } of rules) {
      const [, name, label] = /^(\w+)(?:\{(\w+)=~?"[^"]+"\})? (?:==|>) [\d.]+$/.exec(expr) ?? [];
      const found = figures.filter((figure) => figure.split('{')[0] === name);
      // No table is there; the label stands in the family's own test.
      if (name !== 'datamap_tables') expect(found.length, `${alert}: ${expr}`).toBeGreaterThan(0);
      if (label) for (const figure of found) expect(figure, alert).toContain(`${label}="`);
    }
  });

  it('name a runbook each, and each page has all five parts', () => {
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
    for (const { alert, labels, annotations } of rules) {
      expect(existsSync(annotations.runbook), alert).toBe(true);
      expect(['page', 'ticket']).toContain(labels.severity);
    }
    const index = readFileSync('docs/runbooks/README.md', 'utf8');
    for (const page of readdirSync('docs/runbooks').filter((file) => file !== 'README.md')) {
      const text = readFileSync(`docs/runbooks/${page}`, 'utf8');
      for (const part of ['Sign', 'Cause', 'Check', 'Act', 'Undo']) expect(text, page).toContain(`**${part}.**`);
      expect(index).toContain(`(${page})`);
    }
  });
});
