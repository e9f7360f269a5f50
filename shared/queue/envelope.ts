import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { InvalidInput } from '../errors.ts';
import { AnyMessage, MESSAGE_VERSION, type Message } from '../messages.ts';

/** CloudEvents 1.0 in structured JSON mode, base64 on the wire: the queue service's clients differ in escaping text. */
const Envelope = z.looseObject({
  specversion: z.literal('1.0'),
  id: z.string().min(1),
  source: z.string(),
  type: z.string(),
  time: z.string(),
  dataversion: z.int(),
  data: z.unknown(),
});

/** A queue takes 64 KB; base64 adds a third. */
export const MAX_ENVELOPE_BYTES = 47_000;

/** JSON text of one message; the queue adapter turns it into base64. */
export function wrapMessage(message: Message, source: string): string {
  const text = JSON.stringify({
    specversion: '1.0',
    id: randomUUID(),
    source,
    type: `paimon-datamap.${message.type}`,
    time: new Date().toISOString(),
    datacontenttype: 'application/json',
    dataversion: MESSAGE_VERSION,
    data: message.data,
  });
  if (Buffer.byteLength(text) > MAX_ENVELOPE_BYTES)
    throw InvalidInput.at('message', `over ${MAX_ENVELOPE_BYTES} bytes; split it`);
  return text;
}

/** Throws InvalidInput with the failing path for anything that is not one of our messages in a known version. */
export function unwrapMessage(text: string): { id: string; message: Message } {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw InvalidInput.at('message', 'is not JSON', { cause });
  }
  const envelope = parse(Envelope, json, 'message');
  if (envelope.dataversion !== MESSAGE_VERSION && envelope.dataversion !== MESSAGE_VERSION - 1)
    throw InvalidInput.at('message.dataversion', `version ${envelope.dataversion} is not known, this is ${MESSAGE_VERSION}`);
  const type = envelope.type.replace(/^paimon-datamap\./, '');
  return { id: envelope.id, message: parse(AnyMessage, { type, data: envelope.data }, 'message') };
}

function parse<T>(schema: z.ZodType<T>, value: unknown, at: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new InvalidInput(result.error.issues.map((i) => ({ path: [at, ...i.path].join('.'), issue: i.message })));
}
