import { InvalidInput, NotFound } from '../errors.ts';
import { deadLetterQueueOf, type Message, QUEUES } from '../messages.ts';
import { type DeadLetter, readDeadLetter } from './dead-letter.ts';
import { unwrapMessage } from './envelope.ts';
import type { QueueAdministration, ReceivedMessage } from './queue.ts';

/** The part of a queue service that dead letters need. */
export interface DeadLetterQueues extends QueueAdministration {
  peek(queueName: string, max: number): Promise<ReceivedMessage[]>;
  sendText(queueName: string, text: string): Promise<void>;
  /** Shows a received message to others again, a second from now. */
  release(queueName: string, receiptHandle: string): Promise<void>;
}

export interface FoundLetter {
  /** The dead-letter queue's own id of it. */
  id: string;
  /** Where it lies. */
  deadQueue: string;
  /** Where a redrive sends it. */
  queueName: string;
  enqueuedAt: Date;
  letter: DeadLetter;
  /** Undefined when the body is none of our messages: then nobody knows whose it is. */
  message?: Message;
}

/** Who asks: a workspace sees its own letters only, and what is nobody's goes to who administers all. */
export type Sees = (letter: FoundLetter) => boolean;

/** One call of the service gives at most this many. */
const BATCH = 16;
/** Per queue; a list says when there are more. */
const MAX_LETTERS = 1_000;
/** A released message is hidden for one more second, so a second look comes after that. */
const AGAIN_AFTER_MS = 1_100;
const MAX_LOOKS = 4;

/** `complete` is false when a queue holds more than is read, or somebody else holds letters just now. */
export async function listDeadLetters(
  queues: DeadLetterQueues,
  sees: Sees,
): Promise<{ letters: FoundLetter[]; complete: boolean }> {
  const letters: FoundLetter[] = [];
  let complete = true;
  for (const queueName of Object.values(QUEUES)) {
    const read = await readAll(queues, deadLetterQueueOf(queueName), queueName);
    letters.push(...read.letters.filter(sees));
    complete &&= read.complete;
  }
  return { letters: letters.sort((a, b) => a.enqueuedAt.getTime() - b.enqueuedAt.getTime()), complete };
}

/** Sends the original message to its queue again, then removes the letter. Throws NotFound when it is gone already. */
export function redriveDeadLetter(queues: DeadLetterQueues, id: string, sees: Sees): Promise<FoundLetter> {
  return take(queues, id, sees, (found) => queues.sendText(found.queueName, found.letter.body));
}

/** Removes the letter for good. Throws NotFound when it is gone already. */
export function discardDeadLetter(queues: DeadLetterQueues, id: string, sees: Sees): Promise<FoundLetter> {
  return take(queues, id, sees, async () => {});
}

async function readAll(queues: DeadLetterQueues, deadQueue: string, queueName: string) {
  for (let look = 1; ; look++) {
    const state = await queues.attributes(deadQueue);
    if (!state) return { letters: [], complete: true };
    const peeked = await queues.peek(deadQueue, BATCH);
    // A peek always shows the same first ones: more than that can only be received.
    const seen = peeked.length < BATCH ? peeked : await receiveAll(queues, deadQueue);
    const letters = seen.map((received) => toLetter(received, deadQueue, queueName));
    const held = peeked.length < BATCH && state.inactive > 0;
    if (!held || look === MAX_LOOKS) return { letters, complete: !held && letters.length < MAX_LETTERS };
    await pause();
  }
}

async function receiveAll(queues: DeadLetterQueues, deadQueue: string): Promise<ReceivedMessage[]> {
  const found = new Map<string, ReceivedMessage>();
  try {
    while (found.size < MAX_LETTERS) {
      const batch = await queues.receive(deadQueue, BATCH);
      const fresh = batch.filter(({ id }) => !found.has(id));
      for (const received of batch) found.set(received.id, received);
      if (fresh.length === 0) break;
    }
  } finally {
    await releaseAll(queues, deadQueue, [...found.values()]);
  }
  return [...found.values()];
}

/** Receiving hides the letter, so of two who ask for it at the same moment one finds nothing. */
async function take(
  queues: DeadLetterQueues,
  id: string,
  sees: Sees,
  work: (found: FoundLetter) => Promise<void>,
): Promise<FoundLetter> {
  for (let look = 1; look <= MAX_LOOKS; look++) {
    let isHeld = false;
    for (const queueName of Object.values(QUEUES)) {
      const deadQueue = deadLetterQueueOf(queueName);
      const state = await queues.attributes(deadQueue);
      if (!state) continue;
      isHeld ||= state.inactive > 0;
      const kept = new Map<string, ReceivedMessage>();
      try {
        while (kept.size < MAX_LETTERS) {
          const batch = await queues.receive(deadQueue, BATCH);
          const fresh = batch.filter((received) => !kept.has(received.id));
          for (const received of batch) kept.set(received.id, received);
          const wanted = batch.find((received) => received.id === id);
          if (wanted) {
            const found = toLetter(wanted, deadQueue, queueName);
            if (!sees(found)) throw new NotFound('dead letter');
            await work(found);
            await queues.remove(deadQueue, wanted.receiptHandle);
            kept.delete(id);
            return found;
          }
          if (fresh.length === 0) break;
        }
      } finally {
        await releaseAll(queues, deadQueue, [...kept.values()]);
      }
    }
    if (!isHeld) break;
    await pause();
  }
  throw new NotFound('dead letter');
}

/** What cannot be released shows itself again when its time is over. */
async function releaseAll(queues: DeadLetterQueues, deadQueue: string, held: ReceivedMessage[]): Promise<void> {
  await Promise.allSettled(held.map(({ receiptHandle }) => queues.release(deadQueue, receiptHandle)));
}

function toLetter({ id, body, enqueuedAt }: ReceivedMessage, deadQueue: string, queueName: string): FoundLetter {
  const letter = readDeadLetter(body);
  const message = messageIn(letter.body);
  return { id, deadQueue, queueName, enqueuedAt, letter, ...(message && { message }) };
}

function messageIn(body: string): Message | undefined {
  try {
    return unwrapMessage(body).message;
  } catch (error) {
    if (error instanceof InvalidInput) return undefined;
    throw error;
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, AGAIN_AFTER_MS));
}
