import { randomUUID } from 'node:crypto';
import type { Log } from '../../shared/log.ts';
import type { Clock } from '../clock.ts';
import type { QueueStore, StoredMessage } from '../mns/queue-store.ts';
import { queueOfArn } from './arn.ts';
import type { QueueTrigger } from './deployment.ts';
import type { FunctionPool } from './function-pool.ts';

/** Tries after the first, and seconds before each. Source: EventBridge documentation, "Retry policies and dead-letter queues". */
const RETRY = {
  BACKOFF_RETRY: { tries: 3, delaySeconds: () => 10 + Math.random() * 10 },
  EXPONENTIAL_DECAY_RETRY: { tries: 176, delaySeconds: (attempt: number) => Math.min(512, 2 ** (attempt - 1)) },
};
/** A batch never grows over this, whatever the trigger asks. */
const MAX_BATCH = 100;

export interface Running {
  /** Takes no further messages; resolves when the running invocations have ended. */
  stop(): Promise<void>;
}

/**
 * An event stream from a queue to a function: as many tasks as the trigger has, each takes a batch, invokes and waits.
 * A message is deleted when the invocation succeeded; else it comes again after the retry strategy's delay, and goes to
 * the dead letters after its last try.
 */
export async function startQueueTrigger(options: {
  trigger: QueueTrigger;
  pool: FunctionPool;
  store: QueueStore;
  accountId: string;
  clock: Clock;
  log: Log;
}): Promise<Running> {
  const { trigger, pool, store, log } = options;
  const { eventSourceConfig, runOptions } = trigger.triggerConfig;
  const queueName = eventSourceConfig.eventSourceParameters.sourceMNSParameters.QueueName;
  const retry = RETRY[runOptions.retryStrategy.PushRetryStrategy];
  const stopping = new AbortController();
  const { signal } = stopping;

  async function task(): Promise<void> {
    while (!signal.aborted) {
      try {
        const batch = await nextBatch();
        if (batch.length > 0) await deliver(batch);
      } catch (error) {
        if (signal.aborted) return;
        log.error('queue trigger failed', { trigger: trigger.triggerName, queue: queueName, error });
        await new Promise<void>((resolve) => {
          options.clock.after(1_000, resolve);
          signal.addEventListener('abort', () => resolve(), { once: true });
        });
      }
    }
  }

  /** Waits for a first message, then up to the window for more. */
  async function nextBatch(): Promise<StoredMessage[]> {
    const max = Math.min(MAX_BATCH, runOptions.batchWindow.CountBasedWindow);
    const batch = await store.receive(queueName, { max, waitSeconds: Number.POSITIVE_INFINITY, signal });
    const until = options.clock.now() + runOptions.batchWindow.TimeBasedWindow * 1000;
    while (batch.length > 0 && batch.length < max) {
      const waitSeconds = (until - options.clock.now()) / 1000;
      if (waitSeconds <= 0) break;
      const more = await store.receive(queueName, { max: max - batch.length, waitSeconds, signal });
      if (more.length === 0) break;
      batch.push(...more);
    }
    return batch;
  }

  async function deliver(batch: StoredMessage[]): Promise<void> {
    if (signal.aborted) {
      for (const message of batch) await store.changeVisibility(queueName, message.receiptHandle, 0);
      return;
    }
    const events = batch.map((message) => toCloudEvent(message, options));
    let failure: string | undefined;
    try {
      const invocation = await pool.invoke(Buffer.from(JSON.stringify(events)));
      if (invocation.errorType) failure = invocation.body.toString('utf8').slice(0, 500);
    } catch (error) {
      failure = String(error);
    }
    for (const [i, message] of batch.entries()) {
      if (failure === undefined) await store.delete(queueName, message.receiptHandle);
      else await failed(message, events[i]!, failure);
    }
  }

  async function failed(message: StoredMessage, event: object, failure: string): Promise<void> {
    const fields = { trigger: trigger.triggerName, messageId: message.messageId, attempt: message.dequeueCount, failure };
    if (message.dequeueCount <= retry.tries) {
      await store.changeVisibility(queueName, message.receiptHandle, Math.round(retry.delaySeconds(message.dequeueCount)));
      log.warn('queue message comes again', fields);
      return;
    }
    const deadQueue = runOptions.deadLetterQueue && queueOfArn(runOptions.deadLetterQueue.Arn);
    log.error(deadQueue ? 'queue message goes to the dead letters' : 'queue message discarded', fields);
    if (deadQueue) {
      const body = Buffer.from(JSON.stringify(event)).toString('base64');
      const sent = await store.send(deadQueue, [{ body, priority: 8 }]);
      if (sent.length === 0) throw new Error(`dead-letter queue ${deadQueue} is not there`);
    }
    await store.delete(queueName, message.receiptHandle);
  }

  // Only this trigger receives here: what it held when the platform was killed comes back now, not when its visibility ends.
  await store.releaseHeld(queueName);
  const tasks = Array.from({ length: runOptions.maximumTasks }, task);
  return {
    async stop() {
      stopping.abort();
      await Promise.all(tasks);
    },
  };
}

function toCloudEvent(
  message: StoredMessage,
  { trigger, pool, accountId }: { trigger: QueueTrigger; pool: FunctionPool; accountId: string },
): object {
  const source = trigger.triggerConfig.eventSourceConfig.eventSourceParameters.sourceMNSParameters;
  const data = {
    requestId: randomUUID(),
    messageId: message.messageId,
    messageBody: source.IsBase64Decode ? decodeBody(message.body) : message.body,
  };
  if (trigger.triggerConfig.eventSinkConfig.deliveryOption.eventSchema === 'RawData') return data;
  const time = new Date(message.enqueuedAtMs).toISOString();
  return {
    id: randomUUID(),
    source: `MNS-${pool.config.functionName}-${trigger.triggerName}`,
    specversion: '1.0',
    type: 'mns:Queue:SendMessage',
    datacontenttype: 'application/json; charset=utf-8',
    subject: `acs:mns:${pool.config.region}:${accountId}:queues/${source.QueueName}`,
    time,
    aliyunaccountid: accountId,
    aliyunpublishtime: time,
    aliyunoriginalaccountid: accountId,
    aliyuneventbusname: `MNS-${pool.config.functionName}-${trigger.triggerName}`,
    aliyunregionid: pool.config.region,
    aliyunpublishaddr: '127.0.0.1',
    data,
  };
}

/** A body that is not base64 passes as it is, so that the function can refuse it and nothing is lost. */
function decodeBody(body: string): string {
  return /^[A-Za-z0-9+/]*={0,2}$/.test(body) && body.length % 4 === 0 ? Buffer.from(body, 'base64').toString('utf8') : body;
}
