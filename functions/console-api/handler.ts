import { z } from 'zod';
import { storageEnv, storageSettings } from '../../shared/credentials/environment-store.ts';
import type { Call } from '../../shared/fc/context.ts';
import { httpHandler } from '../../shared/fc/http-handler.ts';
import { instanceDatabase } from '../../shared/fc/instance.ts';
import { openMnsQueue } from '../../shared/queue/mns.ts';
import { type App, createApp, type Deps } from './app.ts';

/** HTTP: everything that people and programs ask of the data map. */

const Env = z.object({
  ...storageEnv,
  DATABASE_URL: z.string().min(1),
  DATAMAP_ACCOUNT_ID: z.string().min(1),
  DATAMAP_MNS_ENDPOINT: z.url(),
});
type Env = z.infer<typeof Env>;

export const handler = httpHandler({ env: Env, build, fetch: run });

export function build(env: Env, call: Call): Deps {
  const { credentials: keys } = call;
  const queue = keys && openMnsQueue({ endpoint: env.DATAMAP_MNS_ENDPOINT, accountId: env.DATAMAP_ACCOUNT_ID, keys });
  return {
    database: instanceDatabase(env.DATABASE_URL),
    accountId: env.DATAMAP_ACCOUNT_ID,
    settings: storageSettings(env, call.credentials),
    ...(keys && { functionKeys: keys }),
    ...(queue && { queue, deadLetters: queue }),
  };
}

let app: App | undefined;

/** The routes are made once per instance; what they work with comes with each request. */
export async function run(request: Request, deps: Deps, call: Call & { sourceIp?: string }): Promise<Response> {
  app ??= createApp();
  return app.fetch(request, { deps, call });
}
