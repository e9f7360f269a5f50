import type MnsClient from '@alicloud/mns';
import type { AccessKeys } from '../credentials/secret.ts';
import { AccessDenied, NotFound, type ServiceEvidence, Unreachable } from '../errors.ts';
import type { Message } from '../messages.ts';
import type { DeadLetterQueues } from './dead-letters.ts';
import { wrapMessage } from './envelope.ts';
import type { Queue, ReceivedMessage } from './queue.ts';

/** The service's limits for one call; bytes count the bodies as sent, after base64. */
const MAX_BATCH_MESSAGES = 16;
const MAX_BATCH_BYTES = 64 * 1024;
const MAX_ATTEMPTS = 3;
/** Longest poll is 30 s; nothing that we do needs longer than this. */
const READ_TIMEOUT_MS = 40_000;
const CONNECT_TIMEOUT_MS = 5_000;

export interface MnsQueue extends Queue, DeadLetterQueues {
  /** One message that is not in our envelope, such as a dead letter. */
  sendText(queueName: string, text: string): Promise<void>;
  /** Text as it was sent to `queueName`, without hiding it from anyone. At most 16. */
  peek(queueName: string, max: number): Promise<ReceivedMessage[]>;
}

/**
 * SMQ (formerly MNS) through its own client. Bodies are base64, since the client writes text into XML as it is. Made per
 * invocation: the keys must still be valid when it is used. `endpoint` is a URL without a path.
 */
export function openMnsQueue(options: { endpoint: string; accountId: string; keys: AccessKeys; source?: string }): MnsQueue {
  const { keys, source = 'paimon-datamap' } = options;
  const endpoint = options.endpoint.replace(/\/+$/, '');
  const host = new URL(endpoint).host;
  let opened: Promise<MnsClient> | undefined;
  const client = () => {
    opened ??= import('@alicloud/mns').then(
      ({ default: Client }) =>
        new Client(options.accountId, {
          endpoint,
          accessKeyId: keys.accessKeyId,
          accessKeySecret: keys.accessKeySecret.reveal(),
          ...(keys.securityToken && { securityToken: keys.securityToken.reveal() }),
          readTimeout: READ_TIMEOUT_MS,
          connectTimeout: CONNECT_TIMEOUT_MS,
        }),
    );
    return opened;
  };

  async function sendBodies(queueName: string, bodies: string[], delaySeconds: number): Promise<void> {
    for (let batch of batches(bodies)) {
      for (let attempt = 1; batch.length > 0; attempt++) {
        const result = await trySend(queueName, batch, delaySeconds);
        batch = result.left;
        if (batch.length === 0) break;
        if (attempt >= MAX_ATTEMPTS || !result.worthARepeat) throw result.error;
        await pause(attempt);
      }
    }
  }

  /** Which bodies the queue did not take. A repeat after a lost answer sends some twice: receivers expect that. */
  async function trySend(queueName: string, batch: string[], delaySeconds: number) {
    const items = batch.map((MessageBody) => ({ MessageBody, ...(delaySeconds > 0 && { DelaySeconds: delaySeconds }) }));
    try {
      const answer = await (await client()).batchSendMessage(queueName, items);
      if (answer.code !== 201 && !Array.isArray(answer.body)) throw badAnswer(host, answer.code);
      const left = batch.filter((_, i) => !answer.body[i]?.MessageId);
      const code = answer.body.find((item) => item.ErrorCode)?.ErrorCode;
      const evidence: ServiceEvidence = { status: answer.code, ...(code && { code }) };
      return { left, worthARepeat: true, error: new Unreachable(host, 'server-error', { evidence }) };
    } catch (cause) {
      const error = cause instanceof Unreachable ? cause : translate(cause, host, `queue ${queueName}`);
      // A refusal by our own queue is a fault of the deployment, never of the message: it must not count as permanent.
      if (error instanceof Unreachable) return { left: batch, worthARepeat: true, error };
      return { left: batch, worthARepeat: false, error: new Unreachable(host, 'server-error', {}, { cause: error }) };
    }
  }

  /** `undefined` when the queue is empty. */
  async function read<T>(
    queueName: string,
    call: (client: MnsClient) => Promise<{ code: number; body: T }>,
  ): Promise<T | undefined> {
    try {
      const answer = await call(await client());
      if (answer.code !== 200) throw badAnswer(host, answer.code);
      return answer.body;
    } catch (cause) {
      if (cause instanceof Unreachable) throw cause;
      if (vendorCode(cause) === 'MessageNotExist') return undefined;
      throw translate(cause, host, `queue ${queueName}`);
    }
  }

  return {
    send: (queueName, messages: Message[], { delaySeconds = 0 } = {}) =>
      sendBodies(
        queueName,
        messages.map((message) => encode(wrapMessage(message, source))),
        delaySeconds,
      ),
    sendText: (queueName, text) => sendBodies(queueName, [encode(text)], 0),

    async attributes(queueName) {
      try {
        const body = await read(queueName, (mns) => mns.getQueueAttributes(queueName));
        return (
          body && {
            active: Number(body.ActiveMessages),
            inactive: Number(body.InactiveMessages),
            delayed: Number(body.DelayMessages),
          }
        );
      } catch (error) {
        if (error instanceof NotFound) return undefined;
        throw error;
      }
    },
    async receive(queueName, max) {
      const items = await read(queueName, (mns) => mns.batchReceiveMessage(queueName, Math.min(max, MAX_BATCH_MESSAGES)));
      return (items ?? []).map(toReceived);
    },
    async peek(queueName, max) {
      const items = await read(queueName, (mns) => mns.batchPeekMessage(queueName, Math.min(max, MAX_BATCH_MESSAGES)));
      return (items ?? []).map(toReceived);
    },
    async release(queueName, receiptHandle) {
      try {
        await (await client()).changeMessageVisibility(queueName, receiptHandle, 1);
      } catch (cause) {
        throw translate(cause, host, `message of queue ${queueName}`);
      }
    },
    async remove(queueName, receiptHandle) {
      try {
        await (await client()).deleteMessage(queueName, receiptHandle);
      } catch (cause) {
        throw translate(cause, host, `message of queue ${queueName}`);
      }
    },
  };
}

function* batches(bodies: string[]): Generator<string[]> {
  let batch: string[] = [];
  let bytes = 0;
  for (const body of bodies) {
    if (batch.length > 0 && (batch.length === MAX_BATCH_MESSAGES || bytes + body.length > MAX_BATCH_BYTES)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(body);
    bytes += body.length;
  }
  if (batch.length > 0) yield batch;
}

function toReceived(item: Record<string, string>): ReceivedMessage {
  return {
    id: item.MessageId ?? '',
    receiptHandle: item.ReceiptHandle ?? '',
    body: decode(item.MessageBody ?? ''),
    dequeueCount: Number(item.DequeueCount ?? 0),
    enqueuedAt: new Date(Number(item.EnqueueTime ?? 0)),
  };
}

function encode(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}

/** A foreign sender may have left out the base64. */
function decode(body: string): string {
  return /^[A-Za-z0-9+/\s]*={0,2}$/.test(body) ? Buffer.from(body, 'base64').toString('utf8') : body;
}

/** The client's errors have no code, only a name: `MNS` + the service's code + `Error`. */
function vendorCode(error: unknown): string | undefined {
  return error instanceof Error ? /^MNS(.+)Error$/.exec(error.name)?.[1] : undefined;
}

function translate(cause: unknown, host: string, what: string): Error {
  const code = vendorCode(cause);
  const status = Number(/ failed with (\d{3})\./.exec((cause as Error).message)?.[1] ?? 0);
  const evidence: ServiceEvidence = { status, ...(code && { code }) };
  switch (code) {
    case 'QueueNotExist':
    case 'MessageNotExist':
    case 'ReceiptHandleError':
      return new NotFound(what, evidence, { cause });
    case 'AccessDenied':
      return new AccessDenied(what, 'not-authorized', { evidence }, { cause });
    case 'InvalidAccessKeyId':
      return new AccessDenied(what, 'unknown-access-key', { evidence }, { cause });
    case 'SignatureDoesNotMatch':
      return new AccessDenied(what, 'wrong-secret', { evidence }, { cause });
    case 'TimeExpired':
      return new AccessDenied(what, 'clock-skew', { evidence }, { cause });
    case 'QpsLimitExceeded':
      return new Unreachable(host, 'throttled', { evidence }, { cause });
  }
  if (code) return new Unreachable(host, 'server-error', { evidence }, { cause });
  const text = `${(cause as Error).name} ${(cause as { code?: string }).code ?? ''}`;
  const reason = /Timeout/i.test(text)
    ? 'timeout'
    : /ENOTFOUND|EAI_AGAIN/.test(text)
      ? 'dns'
      : /ECONNREFUSED/.test(text)
        ? 'connect'
        : 'cut';
  return new Unreachable(host, reason, {}, { cause });
}

function badAnswer(host: string, status: number): Unreachable {
  return new Unreachable(host, 'bad-answer', { evidence: { status } });
}

function pause(attempt: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 100 * 2 ** attempt * (0.5 + Math.random())));
}
