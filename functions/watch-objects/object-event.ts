import { z } from 'zod';
import { readQueueEvent } from '../../shared/fc/queue-event.ts';

/** What an object event says, of which only the place is believed: size and tag come from the sender. */
export interface ObjectEvent {
  bucket: string;
  /** Undefined where the sender did not say. */
  region: string | undefined;
  key: string;
  /** `ObjectCreated:PutObject`, without a prefix. */
  name: string;
  /** By the storage service's clock; undefined when missing or not a time. */
  time: Date | undefined;
}

const Record = z.object({
  eventName: z.string().optional(),
  eventTime: z.string().optional(),
  region: z.string().optional(),
  oss: z.object({
    region: z.string().optional(),
    bucket: z.object({ name: z.string().min(1) }),
    object: z.object({ key: z.string().min(1) }),
  }),
});
const Native = z.object({ events: z.array(z.unknown()) });
const CloudEvent = z.object({
  specversion: z.string(),
  type: z.string().optional(),
  time: z.string().optional(),
  aliyunregionid: z.string().optional(),
  data: z.unknown(),
});

/** Events that bring or take an object; parts of an upload that is not finished are neither. */
const RELEVANT = /^Object(Created|Removed):/;
const UNFINISHED = /:(InitiateMultipartUpload|UploadPart|UploadPartCopy|AbortMultipartUpload)$/;

export interface ReadEvents {
  events: ObjectEvent[];
  /** Not an object event at all, or one without bucket and key. */
  malformed: number;
  /** Understood, but nothing that adds or removes an object. */
  irrelevant: number;
}

/**
 * Object events in every form in which they reach a function: the native trigger's `{ events: […] }`, EventBridge
 * CloudEvents (one or an array), and either of them inside queue messages. Never throws.
 */
export function readObjectEvents(event: unknown): ReadEvents {
  const read: ReadEvents = { events: [], malformed: 0, irrelevant: 0 };
  for (const delivery of readQueueEvent(Buffer.from(JSON.stringify(event) ?? 'null'))) {
    for (const item of itemsOf(parseJson(delivery.body))) {
      const one = readOne(item.record, item.defaults);
      if (!one) read.malformed++;
      else if (!RELEVANT.test(one.name) || UNFINISHED.test(one.name)) read.irrelevant++;
      else read.events.push(one);
    }
  }
  return read;
}

interface Defaults {
  name?: string | undefined;
  region?: string | undefined;
  time?: string | undefined;
}

function itemsOf(value: unknown, defaults: Defaults = {}): Array<{ record: unknown; defaults: Defaults }> {
  if (Array.isArray(value)) return value.flatMap((item) => itemsOf(item, defaults));
  const native = Native.safeParse(value);
  if (native.success) return native.data.events.map((record) => ({ record, defaults }));
  const cloudEvent = CloudEvent.safeParse(value);
  if (cloudEvent.success && typeof cloudEvent.data.data === 'object' && cloudEvent.data.data !== null) {
    const { type, time, aliyunregionid: region, data } = cloudEvent.data;
    // A queue's CloudEvent that was opened already, or a native event that somebody wrapped.
    return itemsOf(data, { name: type, region, time });
  }
  return [{ record: value, defaults }];
}

function readOne(value: unknown, defaults: Defaults): ObjectEvent | undefined {
  const result = Record.safeParse(value);
  if (!result.success) return undefined;
  const { oss, ...record } = result.data;
  const time = new Date(record.eventTime ?? defaults.time ?? Number.NaN);
  return {
    bucket: oss.bucket.name,
    region: regionName(record.region ?? oss.region ?? defaults.region),
    key: decodedKey(oss.object.key),
    name: (record.eventName ?? defaults.name ?? '').replace(/^oss:/, ''),
    time: Number.isNaN(time.getTime()) ? undefined : time,
  };
}

/** Samples write `oss-cn-hangzhou` as well as `cn-hangzhou`. */
function regionName(region: string | undefined): string | undefined {
  return region?.replace(/^oss-/, '');
}

/**
 * Keys are taken as they stand: a partition's folder may really hold `%2F`. Only a key whose every slash is encoded was
 * encoded on its way, since no object of a table lies outside a folder.
 */
function decodedKey(key: string): string {
  if (key.includes('/') || !/%2f/i.test(key)) return key;
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
