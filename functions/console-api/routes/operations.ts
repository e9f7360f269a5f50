import type { Transaction } from '../../../shared/store/database.ts';
import { SCHEMA_VERSION } from '../../../shared/store/migrate.ts';
import type { App } from '../app.ts';
import { metricsText } from '../metrics.ts';

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
    const text = await metricsText(c.env.deps, c.env.call.log);
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
