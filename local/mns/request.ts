import type { IncomingHttpHeaders } from 'node:http';
import { MnsError } from './error.ts';
import { QUEUE_NAME } from './limits.ts';
import type { QueueState, QueueStore } from './queue-store.ts';

/** What an action gets: verified, routed, not yet parsed. */
export interface MnsRequest {
  queueName: string;
  query: URLSearchParams;
  headers: IncomingHttpHeaders;
  body: string;
  store: QueueStore;
  /** Base of addresses in answers, e.g. `http://127.0.0.1:7073`. */
  url: string;
  /** Aborts when the client is gone or the endpoint closes. */
  signal: AbortSignal;
}

export interface MnsAnswer {
  status: number;
  /** XML text; absent for 204. */
  body?: string;
  headers?: Record<string, string>;
}

export type Action = (request: MnsRequest) => Promise<MnsAnswer>;

export function checkQueueName(name: string): void {
  if (name.length > 120) throw new MnsError('QueueNameLengthError', 'The name of a queue has at most 120 characters.');
  if (!QUEUE_NAME.test(name))
    throw new MnsError('InvalidQueueName', 'The name of a queue begins with a letter or digit, then letters, digits and "-".');
}

export async function requireQueue(request: MnsRequest): Promise<QueueState> {
  checkQueueName(request.queueName);
  const queue = await request.store.get(request.queueName);
  if (!queue) throw new MnsError('QueueNotExist', 'The queue name you provided does not exist.');
  return queue;
}

/** A whole number in its range, or its default when absent. */
export function numberIn(
  text: string | undefined | null,
  name: string,
  range: { default: number; min: number; max: number },
): number {
  if (text === undefined || text === null || text === '') return range.default;
  const value = Number(text);
  if (!/^\d+$/.test(text.trim()) || value < range.min || value > range.max)
    throw new MnsError('InvalidArgument', `The value of ${name} should be between ${range.min} and ${range.max}.`);
  return value;
}
