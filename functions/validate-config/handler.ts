import { z } from 'zod';
import { storageEnv } from '../../shared/credentials/environment-store.ts';
import type { PermittedEndpoints } from '../../shared/data-source-rules/endpoint.ts';
import { type Call, eventHandler } from '../../shared/fc/event-handler.ts';
import { functionQueue, queueEnv } from '../../shared/fc/function-queue.ts';
import { instanceDatabase } from '../../shared/fc/instance.ts';
import { DataSourceSaved } from '../../shared/messages.ts';
import type { Queue } from '../../shared/queue/queue.ts';
import type { Database } from '../../shared/store/database.ts';
import { flushOutbox } from '../../shared/store/outbox.ts';
import { validate } from './validate.ts';

const Env = z.object({
  DATABASE_URL: z.string().min(1),
  ...queueEnv,
  DATAMAP_ALLOWED_ENDPOINTS: storageEnv.DATAMAP_ALLOWED_ENDPOINTS,
});

export interface Deps {
  database: Database;
  queue: Queue;
  permitted: PermittedEndpoints;
}

/** Queue: data-source.saved. Judges the configuration without the network, and asks for a test of each environment. */
export const handler = eventHandler({ message: DataSourceSaved, env: Env, build, run });

export async function run({ data }: DataSourceSaved, deps: Deps, call: Call): Promise<void> {
  const { workspaceId, dataSourceId, version } = data;
  const log = call.log.child({ dataSourceId, version });
  const result = await deps.database.tenant(workspaceId, (tx) => validate(tx, { dataSourceId, version }, deps.permitted));
  await flushOutbox(deps.database, deps.queue);
  if (result.outcome === 'gone') return log.info('data source is gone');
  if (result.outcome === 'outdated') return log.info('older revision dropped', { present: result.version });
  log.info('data source judged', { findings: result.findings.map(({ code, path }) => ({ code, path })), tests: result.tests });
}

function build(env: z.infer<typeof Env>, call: Call): Deps {
  return {
    database: instanceDatabase(env.DATABASE_URL),
    queue: functionQueue(env, call),
    permitted: env.DATAMAP_ALLOWED_ENDPOINTS,
  };
}
