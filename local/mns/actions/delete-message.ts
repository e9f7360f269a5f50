import { MnsError } from '../error.ts';
import { BATCH_MESSAGES } from '../limits.ts';
import type { HandleOutcome } from '../queue-store.ts';
import { type Action, type MnsAnswer, type MnsRequest, requireQueue } from '../request.ts';
import { childrenOf, parseXml, writeXml } from '../xml.ts';

/** `DELETE /queues/{name}/messages`: one handle in the query, or a batch of them in the body. */
export const deleteMessage: Action = async (request) => {
  const queue = await requireQueue(request);
  const handle = request.query.get('ReceiptHandle');
  if (handle === null) return deleteBatch(request, queue.name);
  const error = refusal(await request.store.delete(queue.name, handle));
  if (error) throw error;
  return { status: 204 };
};

/** All that can be deleted are; the answer is 404 and names those that cannot. */
async function deleteBatch(request: MnsRequest, queueName: string): Promise<MnsAnswer> {
  if (request.body.trim() === '') throw new MnsError('MissingReceiptHandle', 'ReceiptHandle is required.');
  const handles = childrenOf(parseXml(request.body, 'ReceiptHandles'), 'ReceiptHandle').map(String);
  if (handles.length === 0 || handles.length > BATCH_MESSAGES)
    throw new MnsError('InvalidArgument', `A batch has 1 to ${BATCH_MESSAGES} receipt handles.`);
  const errors = [];
  for (const handle of handles) {
    const error = refusal(await request.store.delete(queueName, handle));
    if (error) errors.push({ ErrorCode: error.code, ErrorMessage: error.message, ReceiptHandle: handle });
  }
  return errors.length === 0 ? { status: 204 } : { status: 404, body: writeXml('Errors', { Error: errors }) };
}

export function refusal(outcome: HandleOutcome): MnsError | undefined {
  if (outcome === 'gone') return new MnsError('MessageNotExist', 'Message not exist.');
  if (outcome === 'stale') return new MnsError('ReceiptHandleError', 'The receipt handle you provided is not valid any more.');
  return undefined;
}
