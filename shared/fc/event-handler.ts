import type { z } from 'zod';
import { InvalidInput, isPermanent } from '../errors.ts';
import type { Log } from '../log.ts';
import { unwrapMessage } from '../queue/envelope.ts';
import { type Call, type FcHandler, startCall } from './context.ts';
import { buryMessage } from './dead-letter.ts';
import { lazyEnv } from './instance.ts';
import { type Delivery, readQueueEvent } from './queue-event.ts';

export type { Call, FcContext, FcHandler } from './context.ts';

export interface EventHandlerOptions<Message, Env, Deps> {
  /** The messages that this function understands; anything else in its queue goes to the dead letters. */
  message: z.ZodType<Message>;
  env: z.ZodType<Env>;
  /** Once per invocation, because the role's keys change; `instanceDatabase` keeps the pool for the instance's life. */
  build(env: Env, call: Call): Deps | Promise<Deps>;
  /** Once per message; may run twice for the same one, also at the same moment. */
  run(message: Message, deps: Deps, call: Call): Promise<void>;
}

/** No message is begun with less than this share of the invocation's time left; the trigger brings it again. */
const LAST_START = 0.3;

/**
 * Entry point of a function that a queue wakes. Each message is caught alone: one that cannot be read, or whose failure a
 * repeat would not cure, goes to its queue's dead letters with the reason; its neighbours go on. When a curable failure
 * remains the invocation throws, and the trigger brings the whole batch again.
 */
export function eventHandler<Message, Env, Deps>(options: EventHandlerOptions<Message, Env, Deps>): FcHandler {
  const env = lazyEnv(options.env);
  return async (event, context) => {
    const call = startCall(context);
    const deps = await options.build(env(), call);
    const failures: unknown[] = [];
    const deliveries = readQueueEvent(event);
    const enoughMs = call.remainingMs() * LAST_START;
    for (const delivery of deliveries) {
      if (delivery !== deliveries[0] && call.remainingMs() < enoughMs) {
        failures.push(new Error('no time left in this invocation'));
        continue;
      }
      const log = call.log.child({ queue: delivery.queueName, messageId: delivery.messageId });
      try {
        await handleOne(delivery, options, deps, { ...call, log });
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw redeliver(failures, deliveries.length);
    return { messages: deliveries.length };
  };
}

async function handleOne<Message, Env, Deps>(
  delivery: Delivery,
  options: EventHandlerOptions<Message, Env, Deps>,
  deps: Deps,
  call: Call,
): Promise<void> {
  try {
    await options.run(readMessage(delivery, options.message), deps, call);
  } catch (error) {
    if (!isPermanent(error)) {
      call.log.warn('message failed, will come again', { error });
      throw error;
    }
    call.log.error('message failed for good, goes to the dead letters', { error });
    await buryMessage(delivery, error as Error, call);
  }
}

function readMessage<Message>(delivery: Delivery, schema: z.ZodType<Message>): Message {
  const { message } = unwrapMessage(delivery.body);
  const result = schema.safeParse(message);
  if (!result.success) throw InvalidInput.at('message.type', `'${message.type}' does not belong in this queue`);
  return result.data;
}

function redeliver(failures: unknown[], total: number): Error {
  const first = failures[0] instanceof Error ? failures[0].message : String(failures[0]);
  return new AggregateError(failures, `${failures.length} of ${total} messages must come again: ${first}`);
}

/** What a timer trigger says. `payload` is the text of the trigger's configuration. */
export interface Tick {
  triggerTime: Date;
  triggerName: string;
  payload: string;
}

/** Entry point of a function that a timer wakes. A thrown error lets the platform try again. */
export function timerHandler<Env, Deps>(options: {
  env: z.ZodType<Env>;
  build(env: Env, call: Call): Deps | Promise<Deps>;
  run(tick: Tick, deps: Deps, call: Call): Promise<void>;
}): FcHandler {
  const env = lazyEnv(options.env);
  return async (event, context) => {
    const call = startCall(context);
    await logged(call.log, async () => options.run(readTick(event), await options.build(env(), call), call));
  };
}

function readTick(event: Uint8Array): Tick {
  const json = readJson(event) as { triggerTime?: unknown; triggerName?: unknown; payload?: unknown } | null;
  const time = new Date(typeof json?.triggerTime === 'string' ? json.triggerTime : Number.NaN);
  if (Number.isNaN(time.getTime())) throw InvalidInput.at('event.triggerTime', 'is not a time');
  return {
    triggerTime: time,
    triggerName: typeof json?.triggerName === 'string' ? json.triggerName : '',
    payload: typeof json?.payload === 'string' ? json.payload : '',
  };
}

/**
 * Entry point of a function that object events wake: natively, through EventBridge, or through a queue. `run` gets the
 * event as parsed JSON, whatever its form; `readQueueEvent` opens the queue form. A thrown error brings the event again.
 */
export function objectEventHandler<Env, Deps>(options: {
  env: z.ZodType<Env>;
  build(env: Env, call: Call): Deps | Promise<Deps>;
  run(event: unknown, deps: Deps, call: Call): Promise<void>;
}): FcHandler {
  const env = lazyEnv(options.env);
  return async (event, context) => {
    const call = startCall(context);
    let json: unknown;
    try {
      json = readJson(event);
    } catch (error) {
      // A repeat would bring the same bytes, and an object event is only a hint: the next sweep finds what it meant.
      call.log.error('object event dropped', { error, sizeBytes: event.byteLength });
      return;
    }
    await logged(call.log, async () => options.run(json, await options.build(env(), call), call));
  };
}

function readJson(event: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(event).toString('utf8'));
  } catch (cause) {
    throw InvalidInput.at('event', 'is not JSON', { cause });
  }
}

async function logged(log: Log, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    log.error('invocation failed', { error });
    throw error;
  }
}
