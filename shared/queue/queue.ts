import type { Message } from '../messages.ts';

/** Sends to named queues. Delivery is at least once and unordered; a resolved promise means the queue has the message. */
export interface Queue {
  /** Up to any number of messages to one queue; the adapter batches. Throws Unreachable when any was not taken. */
  send(queueName: string, messages: Message[], options?: { delaySeconds?: number }): Promise<void>;
}

/** What operators need of a dead-letter queue. `peek` does not hide messages. */
export interface QueueAdministration {
  attributes(queueName: string): Promise<{ active: number; inactive: number; delayed: number } | undefined>;
  receive(queueName: string, max: number): Promise<ReceivedMessage[]>;
  remove(queueName: string, receiptHandle: string): Promise<void>;
}

export interface ReceivedMessage {
  id: string;
  receiptHandle: string;
  /** Decoded from base64; not yet parsed. */
  body: string;
  dequeueCount: number;
  enqueuedAt: Date;
}
