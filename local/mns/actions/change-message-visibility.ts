import { MnsError } from '../error.ts';
import { VISIBILITY_TIMEOUT } from '../limits.ts';
import { type Action, numberIn, requireQueue } from '../request.ts';
import { writeXml } from '../xml.ts';
import { refusal } from './delete-message.ts';

/** `PUT /queues/{name}/messages?receiptHandle=…&visibilityTimeout=…`: the old handle ends. */
export const changeMessageVisibility: Action = async (request) => {
  const queue = await requireQueue(request);
  const handle = request.query.get('receiptHandle') ?? request.query.get('ReceiptHandle');
  const timeout = request.query.get('visibilityTimeout') ?? request.query.get('VisibilityTimeout');
  if (!handle) throw new MnsError('MissingReceiptHandle', 'ReceiptHandle is required.');
  if (!timeout) throw new MnsError('MissingVisibilityTimeout', 'VisibilityTimeout is required.');
  const changed = await request.store.changeVisibility(
    queue.name,
    handle,
    numberIn(timeout, 'VisibilityTimeout', { ...VISIBILITY_TIMEOUT }),
  );
  if (typeof changed === 'string') throw refusal(changed)!;
  return {
    status: 200,
    body: writeXml('ChangeVisibility', {
      ReceiptHandle: changed.receiptHandle,
      NextVisibleTime: String(changed.visibleAtMs),
    }),
  };
};
