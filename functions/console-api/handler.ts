import { z } from 'zod';
import { parseKeyRing } from '../../shared/credentials/envelope.ts';
import { permittedEndpoints } from '../../shared/data-source-rules/endpoint.ts';
import type { Call } from '../../shared/fc/context.ts';
import { httpHandler } from '../../shared/fc/http-handler.ts';
import { instanceDatabase } from '../../shared/fc/instance.ts';
import { openMnsQueue } from '../../shared/queue/mns.ts';
import { type App, createApp, type Deps } from './app.ts';

/** HTTP: everything that people and programs ask of the data map. */

const Env = z.object({
  DATABASE_URL: z.string().min(1),
  DATAMAP_ENCRYPTION_KEY: z.string().min(1),
  DATAMAP_ACCOUNT_ID: z.string().min(1),
  DATAMAP_MNS_ENDPOINT: z.url(),
  DATAMAP_STS_ENDPOINT: z.string().default(''),
  DATAMAP_ALLOWED_ENDPOINTS: z.string().default(''),
});
type Env = z.infer<typeof Env>;

export const handler = httpHandler({ env: Env, build, fetch: run });

export function build(env: Env, call: Call): Deps {
  return {
    database: instanceDatabase(env.DATABASE_URL),
    keyRing: parseKeyRing(env.DATAMAP_ENCRYPTION_KEY),
    accountId: env.DATAMAP_ACCOUNT_ID,
    permittedEndpoints: permittedEndpoints(env.DATAMAP_ALLOWED_ENDPOINTS),
    ...(env.DATAMAP_STS_ENDPOINT !== '' && { stsEndpoint: env.DATAMAP_STS_ENDPOINT }),
    ...(call.credentials && {
      queue: openMnsQueue({ endpoint: env.DATAMAP_MNS_ENDPOINT, accountId: env.DATAMAP_ACCOUNT_ID, keys: call.credentials }),
    }),
  };
}

let app: App | undefined;

/** The routes are made once per instance; what they work with comes with each request. */
export async function run(request: Request, deps: Deps, call: Call): Promise<Response> {
  app ??= createApp();
  return app.fetch(request, { deps, call });
}
