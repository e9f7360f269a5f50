import { createHash } from 'node:crypto';
import { MnsError } from './error.ts';
import { DELAY_SECONDS, PRIORITY } from './limits.ts';
import type { NewMessage, QueueState, StoredMessage } from './queue-store.ts';
import { numberIn } from './request.ts';
import { textOf, type XmlRecord } from './xml.ts';

/** A `<Message>` to send. Throws InvalidArgument; the queue decides how large a body may be. */
export function readMessage(message: XmlRecord, queue: QueueState): NewMessage {
  const body = textOf(message, 'MessageBody');
  if (body === undefined || body === '') throw new MnsError('InvalidArgument', 'MessageBody is required and must not be empty.');
  if (Buffer.byteLength(body) > queue.maximumMessageSize)
    throw new MnsError('InvalidArgument', `The message body is over the queue's limit of ${queue.maximumMessageSize} bytes.`);
  const delay = textOf(message, 'DelaySeconds');
  return {
    body,
    priority: numberIn(textOf(message, 'Priority'), 'Priority', PRIORITY),
    ...(delay !== undefined && { delaySeconds: numberIn(delay, 'DelaySeconds', DELAY_SECONDS) }),
  };
}

export function sentMessage(body: string, sent: { messageId: string; receiptHandle?: string }): XmlRecord {
  return {
    MessageId: sent.messageId,
    MessageBodyMD5: md5(body),
    ...(sent.receiptHandle && { ReceiptHandle: sent.receiptHandle }),
  };
}

/** As an answer to a receive, or to a peek, which has no handle. */
export function receivedMessage(message: StoredMessage): XmlRecord {
  return {
    MessageId: message.messageId,
    ...(message.receiptHandle && { ReceiptHandle: message.receiptHandle }),
    MessageBody: message.body,
    MessageBodyMD5: md5(message.body),
    EnqueueTime: String(message.enqueuedAtMs),
    ...(message.receiptHandle && { NextVisibleTime: String(message.visibleAtMs) }),
    FirstDequeueTime: String(message.firstDequeuedAtMs),
    DequeueCount: String(message.dequeueCount),
    Priority: String(message.priority),
  };
}

function md5(text: string): string {
  return createHash('md5').update(text).digest('hex').toUpperCase();
}
