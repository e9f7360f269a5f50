import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import type { Log } from '../../shared/log.ts';
import type { Clock } from '../clock.ts';
import { DEFAULT_ATTRIBUTES } from '../mns/queue-attributes.ts';
import type { QueueStore, StoredMessage } from '../mns/queue-store.ts';
import { queueOfArn } from './arn.ts';
import type { FunctionPool } from './function-pool.ts';
import type { Invocation } from './instance.ts';

const DEFAULT_RETRIES = 3;
const DEFAULT_MAX_AGE_SECONDS = 86_400;
/** Between attempts; the cloud gives no figure for function errors. */
const RETRY_DELAYS_SECONDS = [1, 2, 4, 8, 16, 32, 64, 64];
/** The cloud's limit of an asynchronous payload. */
export const MAX_ASYNC_PAYLOAD_BYTES = 131_072;

/** Events that wait for a function. They lie in a hidden queue of the store, so that a restart goes on with them. */
export interface AsyncInvocations {
  /** Returns when the event is kept; the request id of its first attempt. */
  accept(pool: FunctionPool, event: Buffer): Promise<string>;
  start(): Promise<void>;
  /** Takes no further events; resolves when the running ones have ended. */
  stop(): Promise<void>;
}

const PAUSE_AFTER_ERROR_MS = 1_000;

interface KeptEvent {
  requestId: string;
  event: string;
  acceptedAtMs: number;
}

export function openAsyncInvocations(options: {
  pools: FunctionPool[];
  store: QueueStore;
  accountId: string;
  workers: number;
  clock: Clock;
  log: Log;
}): AsyncInvocations {
  const { store, clock, log } = options;
  const stopping = new AbortController();
  // Every worker listens to it.
  setMaxListeners(0, stopping.signal);
  const loops: Promise<void>[] = [];

  async function work(pool: FunctionPool): Promise<void> {
    const queue = queueOf(pool);
    while (!stopping.signal.aborted) {
      try {
        const [message] = await store.receive(queue, { max: 1, waitSeconds: Number.POSITIVE_INFINITY, signal: stopping.signal });
        if (message) await attempt(pool, queue, message);
      } catch (error) {
        // The database was away: what was in hand comes again when its visibility ends.
        if (stopping.signal.aborted) return;
        log.error('asynchronous invocations are held up', { function: pool.config.functionName, error });
        await new Promise<void>((resolve) => {
          clock.after(PAUSE_AFTER_ERROR_MS, resolve);
          stopping.signal.addEventListener('abort', () => resolve(), { once: true });
        });
      }
    }
  }

  async function attempt(pool: FunctionPool, queue: string, message: StoredMessage): Promise<void> {
    const kept = JSON.parse(message.body) as KeptEvent;
    const { maxAsyncRetryAttempts = DEFAULT_RETRIES, maxAsyncEventAgeInSeconds = DEFAULT_MAX_AGE_SECONDS } =
      pool.config.asyncInvokeConfig ?? {};
    let invocation: Invocation;
    try {
      const retryCount = message.dequeueCount - 1;
      invocation = await pool.invoke(Buffer.from(kept.event, 'base64'), {
        requestId: retryCount === 0 ? kept.requestId : `1-${randomUUID()}`,
        retryCount,
      });
    } catch (error) {
      // No instance could run it: that does not count as an attempt of the function.
      log.warn('asynchronous invocation could not start', { function: pool.config.functionName, error });
      await store.changeVisibility(queue, message.receiptHandle, RETRY_DELAYS_SECONDS[0]!);
      return;
    }
    const tooOld = clock.now() - kept.acceptedAtMs > maxAsyncEventAgeInSeconds * 1000;
    if (invocation.errorType && message.dequeueCount <= maxAsyncRetryAttempts && !tooOld) {
      const delay = RETRY_DELAYS_SECONDS[Math.min(message.dequeueCount, RETRY_DELAYS_SECONDS.length) - 1]!;
      await store.changeVisibility(queue, message.receiptHandle, delay);
      return;
    }
    await reportOutcome(pool, kept, invocation, message.dequeueCount, tooOld);
    await store.delete(queue, message.receiptHandle);
  }

  async function reportOutcome(pool: FunctionPool, kept: KeptEvent, invocation: Invocation, attempts: number, tooOld: boolean) {
    const destinations = pool.config.asyncInvokeConfig?.destinationConfig;
    const arn = (invocation.errorType ? destinations?.onFailure : destinations?.onSuccess)?.destination;
    if (invocation.errorType)
      log.error('asynchronous invocation failed for good', {
        function: pool.config.functionName,
        requestId: invocation.requestId,
        attempts,
      });
    const queueName = arn === undefined ? undefined : queueOfArn(arn);
    if (!queueName) return;
    const outcome = {
      timestamp: clock.now(),
      requestContext: {
        requestId: invocation.requestId,
        functionArn: `acs:fc:${pool.config.region}:${options.accountId}:functions/${pool.config.functionName}`,
        condition: invocation.errorType ? (tooOld ? 'EventAgeExceeded' : 'RetriesExhausted') : '',
        approximateInvokeCount: attempts,
      },
      requestPayload: Buffer.from(kept.event, 'base64').toString('utf8'),
      responseContext: { statusCode: 200, functionError: invocation.errorType ?? '' },
      responsePayload: invocation.body.toString('utf8'),
    };
    const body = Buffer.from(JSON.stringify(outcome)).toString('base64');
    const sent = await store.send(queueName, [{ body, priority: 8 }]);
    if (sent.length === 0) log.error('destination queue is not there', { queue: queueName });
  }

  return {
    async accept(pool, event) {
      const requestId = `1-${randomUUID()}`;
      const kept: KeptEvent = { requestId, event: event.toString('base64'), acceptedAtMs: clock.now() };
      await store.send(queueOf(pool), [{ body: JSON.stringify(kept), priority: 8 }]);
      return requestId;
    },
    async start() {
      for (const pool of options.pools) {
        const visibilityTimeout = Math.max(60, pool.config.timeout * 6);
        await store.create(queueOf(pool), { ...DEFAULT_ATTRIBUTES, visibilityTimeout, messageRetentionPeriod: 604_800 });
        await store.releaseHeld(queueOf(pool));
        for (let i = 0; i < options.workers; i++) loops.push(work(pool));
      }
    },
    async stop() {
      stopping.abort();
      await Promise.all(loops);
    },
  };
}

/** Names that begin with a dot are refused on the wire, so nothing else reaches these queues. */
function queueOf(pool: FunctionPool): string {
  return `.async-${pool.config.functionName}`;
}
