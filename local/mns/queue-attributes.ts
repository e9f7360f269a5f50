import { MnsError } from './error.ts';
import {
  DELAY_SECONDS,
  MAX_RECEIVE_COUNT,
  MAXIMUM_MESSAGE_SIZE,
  MESSAGE_RETENTION_PERIOD,
  POLLING_WAIT_SECONDS,
  VISIBILITY_TIMEOUT,
} from './limits.ts';
import type { QueueAttributes } from './queue-store.ts';
import { numberIn } from './request.ts';
import { parseXml, textOf, type XmlRecord } from './xml.ts';

export const DEFAULT_ATTRIBUTES: QueueAttributes = {
  delaySeconds: DELAY_SECONDS.default,
  maximumMessageSize: MAXIMUM_MESSAGE_SIZE.default,
  messageRetentionPeriod: MESSAGE_RETENTION_PERIOD.default,
  visibilityTimeout: VISIBILITY_TIMEOUT.default,
  pollingWaitSeconds: POLLING_WAIT_SECONDS.default,
  loggingEnabled: false,
};

/** A `<Queue>` body over the present attributes: what it does not name stays. */
export function readAttributes(body: string, present: QueueAttributes): QueueAttributes {
  const queue: XmlRecord = body.trim() === '' ? {} : parseXml(body, 'Queue');
  const number = (name: string, range: { min: number; max: number }, now: number) =>
    numberIn(textOf(queue, name), name, { ...range, default: now });
  const deadLetter = readDeadLetterPolicy(queue, present);
  return {
    delaySeconds: number('DelaySeconds', DELAY_SECONDS, present.delaySeconds),
    maximumMessageSize: number('MaximumMessageSize', MAXIMUM_MESSAGE_SIZE, present.maximumMessageSize),
    messageRetentionPeriod: number('MessageRetentionPeriod', MESSAGE_RETENTION_PERIOD, present.messageRetentionPeriod),
    visibilityTimeout: number('VisibilityTimeout', VISIBILITY_TIMEOUT, present.visibilityTimeout),
    pollingWaitSeconds: number('PollingWaitSeconds', POLLING_WAIT_SECONDS, present.pollingWaitSeconds),
    loggingEnabled: readBoolean(textOf(queue, 'LoggingEnabled'), 'LoggingEnabled', present.loggingEnabled),
    ...(deadLetter && { deadLetter }),
  };
}

function readDeadLetterPolicy(queue: XmlRecord, present: QueueAttributes): QueueAttributes['deadLetter'] {
  const policy = queue.DlqPolicy;
  if (policy === undefined) return present.deadLetter;
  if (typeof policy === 'string' || Array.isArray(policy))
    throw new MnsError('MalformedXML', 'DlqPolicy has elements of its own.');
  if (!readBoolean(textOf(policy, 'Enabled'), 'DlqPolicy.Enabled', true)) return undefined;
  // A name, or an address such as acs:mns:{region}:{account}:/queues/{name}.
  const queueName = textOf(policy, 'DeadLetterTargetQueue')?.split('/').at(-1);
  if (!queueName) throw new MnsError('InvalidArgument', 'DlqPolicy.DeadLetterTargetQueue is required.');
  return {
    queueName,
    maxReceiveCount: numberIn(textOf(policy, 'MaxReceiveCount'), 'DlqPolicy.MaxReceiveCount', MAX_RECEIVE_COUNT),
  };
}

function readBoolean(text: string | undefined, name: string, fallback: boolean): boolean {
  if (text === undefined) return fallback;
  const lower = text.trim().toLowerCase();
  if (lower !== 'true' && lower !== 'false')
    throw new MnsError('InvalidArgument', `The value of ${name} should be true or false.`);
  return lower === 'true';
}
