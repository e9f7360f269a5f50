import { MnsError } from '../error.ts';
import { BATCH_MESSAGES, POLLING_WAIT_SECONDS } from '../limits.ts';
import { receivedMessage } from '../message-xml.ts';
import { type Action, numberIn, requireQueue } from '../request.ts';
import { writeXml } from '../xml.ts';

/** `GET /queues/{name}/messages`: receive or (with `peekonly`) look, one or (with `numOfMessages`) several. */
export const receiveMessage: Action = async (request) => {
  const queue = await requireQueue(request);
  const { query, store, signal } = request;
  const batch = query.has('numOfMessages');
  const max = numberIn(query.get('numOfMessages'), 'numOfMessages', { default: 1, min: 1, max: BATCH_MESSAGES });
  const waitSeconds = numberIn(query.get('waitseconds'), 'waitseconds', {
    ...POLLING_WAIT_SECONDS,
    default: queue.pollingWaitSeconds,
  });
  const messages =
    query.get('peekonly') === 'true'
      ? await store.peek(queue.name, max)
      : await store.receive(queue.name, { max, waitSeconds, signal });
  if (messages.length === 0) throw new MnsError('MessageNotExist', 'Message not exist.');
  const body = batch
    ? writeXml('Messages', { Message: messages.map(receivedMessage) })
    : writeXml('Message', receivedMessage(messages[0]!));
  return { status: 200, body };
};
