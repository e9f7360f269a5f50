import { z } from 'zod';
import { deadLetterQueueOf } from '../messages.ts';
import { fingerprint, writeDeadLetter } from '../queue/dead-letter.ts';
import { openMnsQueue } from '../queue/mns.ts';
import type { Call } from './context.ts';
import { lazyEnv } from './instance.ts';
import type { Delivery } from './queue-event.ts';

const env = lazyEnv(z.object({ DATAMAP_ACCOUNT_ID: z.string().min(1), DATAMAP_MNS_ENDPOINT: z.url() }));

/**
 * Sends a message that no repeat would cure to its queue's dead letters. When that is not possible (no queue named, no
 * keys, queue away) the reason is thrown: then the trigger repeats, and its own dead-letter rule catches the message.
 */
export async function buryMessage(delivery: Delivery, reason: Error, call: Call): Promise<void> {
  if (!delivery.queueName || !call.credentials) throw reason;
  const { DATAMAP_ACCOUNT_ID, DATAMAP_MNS_ENDPOINT } = env();
  const queue = openMnsQueue({ endpoint: DATAMAP_MNS_ENDPOINT, accountId: DATAMAP_ACCOUNT_ID, keys: call.credentials });
  const letter = writeDeadLetter({
    queueName: delivery.queueName,
    ...(delivery.messageId && { messageId: delivery.messageId }),
    reason: `${reason.name}: ${reason.message}`,
    ...(call.functionName && { functionName: call.functionName }),
    requestId: call.requestId,
    failedAt: new Date(),
    body: delivery.body,
  });
  await queue.sendText(deadLetterQueueOf(delivery.queueName), letter);
  call.log.warn('message is in the dead letters', fingerprint(delivery.body));
}
