import type { QueueStore } from '../mns/queue-store.ts';
import { bucketOfArn } from './arn.ts';
import type { AsyncInvocations } from './async-invocations.ts';
import type { OssTrigger } from './deployment.ts';
import type { FunctionPool } from './function-pool.ts';

/** What the storage service says when an object came, changed or went: the payload of a native trigger. */
export interface ObjectNotification {
  events: {
    /** Without the prefix `oss:`. */
    eventName: string;
    oss: { bucket: { name: string }; object: { key: string } };
  }[];
}

/** One native trigger; it invokes asynchronously with the notification as it is. */
export interface ObjectTrigger {
  trigger: OssTrigger;
  pool: FunctionPool;
}

/**
 * Where object events go: to each native trigger whose bucket, kind, prefix and suffix fit, and otherwise to the queue
 * that an event rule of the deployment fills for every bucket.
 */
export function objectEventRouter(options: {
  triggers: ObjectTrigger[];
  invocations: AsyncInvocations;
  store: QueueStore;
  /** For buckets without a native trigger; undefined drops their events. */
  queueName: string | undefined;
}): (notification: ObjectNotification) => Promise<void> {
  return async (notification) => {
    const matching = options.triggers.filter(({ trigger }) => notification.events.some((event) => fits(event, trigger)));
    for (const { pool } of matching) await options.invocations.accept(pool, Buffer.from(JSON.stringify(notification)));
    if (matching.length > 0 || !options.queueName) return;
    const body = Buffer.from(JSON.stringify(notification)).toString('base64');
    await options.store.send(options.queueName, [{ body, priority: 8 }]);
  };
}

export function fits(event: ObjectNotification['events'][number], { sourceArn, triggerConfig }: OssTrigger): boolean {
  const { prefix, suffix } = triggerConfig.filter.key;
  const { key } = event.oss.object;
  return (
    event.oss.bucket.name === bucketOfArn(sourceArn) &&
    key.startsWith(prefix) &&
    key.endsWith(suffix) &&
    triggerConfig.events.some((kind) => {
      const wanted = kind.replace(/^oss:/, '');
      return wanted.endsWith('*') ? event.eventName.startsWith(wanted.slice(0, -1)) : event.eventName === wanted;
    })
  );
}
