import { MnsError } from '../error.ts';
import { BATCH_BYTES, BATCH_MESSAGES } from '../limits.ts';
import { readMessage, sentMessage } from '../message-xml.ts';
import type { NewMessage, QueueState } from '../queue-store.ts';
import { type Action, type MnsAnswer, type MnsRequest, requireQueue } from '../request.ts';
import { childrenOf, parseXml, writeXml, type XmlRecord } from '../xml.ts';

/** `POST /queues/{name}/messages`: one `<Message>`, or a batch in `<Messages>`. */
export const sendMessage: Action = async (request) => {
  const queue = await requireQueue(request);
  return /<Messages[\s>/]/.test(request.body) ? sendBatch(request, queue) : sendOne(request, queue);
};

async function sendOne(request: MnsRequest, queue: QueueState): Promise<MnsAnswer> {
  const message = readMessage(parseXml(request.body, 'Message'), queue);
  const [sent] = await request.store.send(queue.name, [message]);
  if (!sent) throw new MnsError('QueueNotExist', 'The queue name you provided does not exist.');
  return { status: 201, body: writeXml('Message', sentMessage(message.body, sent)) };
}

/** Each message is judged alone; when one is refused the others are sent and the answer is 500 with an entry for each. */
async function sendBatch(request: MnsRequest, queue: QueueState): Promise<MnsAnswer> {
  const items = childrenOf(parseXml(request.body, 'Messages'), 'Message');
  if (items.length === 0 || items.length > BATCH_MESSAGES)
    throw new MnsError('InvalidArgument', `A batch has 1 to ${BATCH_MESSAGES} messages.`);
  const read = items.map((item): NewMessage | MnsError => {
    try {
      return readMessage(typeof item === 'string' || Array.isArray(item) ? {} : item, queue);
    } catch (error) {
      if (error instanceof MnsError) return error;
      throw error;
    }
  });
  const good = read.filter((one): one is NewMessage => !(one instanceof MnsError));
  if (good.reduce((bytes, one) => bytes + Buffer.byteLength(one.body), 0) > BATCH_BYTES)
    throw new MnsError('InvalidArgument', `The bodies of a batch have at most ${BATCH_BYTES} bytes together.`);
  const sent = good.length > 0 ? await request.store.send(queue.name, good) : [];
  if (sent.length !== good.length) throw new MnsError('QueueNotExist', 'The queue name you provided does not exist.');
  let next = 0;
  const entries = read.map((one): XmlRecord => {
    if (one instanceof MnsError) return { ErrorCode: one.code, ErrorMessage: one.message };
    return sentMessage(one.body, sent[next++]!);
  });
  return { status: good.length === read.length ? 201 : 500, body: writeXml('Messages', { Message: entries }) };
}
