import { z } from 'zod';
import { InvalidInput } from '../errors.ts';
import { openMnsQueue } from '../queue/mns.ts';
import type { Queue } from '../queue/queue.ts';
import type { Call } from './context.ts';

/** Variables of every function that sends messages; spread into the function's own zod object. */
export const queueEnv = {
  DATAMAP_ACCOUNT_ID: z.string().min(1),
  DATAMAP_MNS_ENDPOINT: z.url(),
};

/** The queues as this invocation's role may use them. Throws InvalidInput when the function has no role. */
export function functionQueue(env: { DATAMAP_ACCOUNT_ID: string; DATAMAP_MNS_ENDPOINT: string }, call: Call): Queue {
  if (!call.credentials)
    throw InvalidInput.at('function role', 'is missing: without keys of its own this function cannot send messages');
  return openMnsQueue({ endpoint: env.DATAMAP_MNS_ENDPOINT, accountId: env.DATAMAP_ACCOUNT_ID, keys: call.credentials });
}
