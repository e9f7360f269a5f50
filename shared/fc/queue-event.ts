/** One queue message as a queue trigger brings it, before anybody looked inside. */
export interface Delivery {
  /** From the event's `subject`; absent in the raw form. */
  queueName?: string;
  messageId?: string;
  /** Decoded text: JSON as the sender wrote it. The untouched text when it is neither base64 nor JSON. */
  body: string;
}

/**
 * Every documented form in which a queue message reaches a function: an array of CloudEvents (streaming mode), a single
 * CloudEvent (older mode), the content alone (`RawData`: one object or an array, with `messageBody` or the sender's own
 * JSON), and a topic's `Message`. The body may be decoded already or still base64. Never throws: what cannot be
 * recognised comes back as one delivery whose body is the event's text, for the reader to refuse.
 */
export function readQueueEvent(event: Uint8Array): Delivery[] {
  const text = Buffer.from(event).toString('utf8');
  const json = parseJson(text);
  if (json === undefined) return [{ body: decodeBody(text) }];
  return (Array.isArray(json) ? json : [json]).map(readOne);
}

function readOne(item: unknown): Delivery {
  if (typeof item === 'string') return { body: decodeBody(item) };
  if (!isRecord(item)) return { body: JSON.stringify(item) };
  const data = isRecord(item.data) ? item.data : item;
  const queueName = queueOfSubject(item.subject);
  const content = data.messageBody ?? data.MessageBody ?? data.Message;
  const messageId = data.messageId ?? data.MessageId;
  const at = { ...(queueName && { queueName }), ...(typeof messageId === 'string' && { messageId }) };
  if (typeof content === 'string') return { ...at, body: decodeBody(content) };
  if (content !== undefined) return { ...at, body: JSON.stringify(content) };
  return { ...at, body: JSON.stringify(item) };
}

/** `acs:mns:{region}:{account}:queues/{name}`; the slash before `queues` is seen in destinations. */
function queueOfSubject(subject: unknown): string | undefined {
  return typeof subject === 'string' ? /^acs:mns:[^:]*:[^:]*:\/?queues\/([^/]+)/.exec(subject)?.[1] : undefined;
}

/** A sender's JSON starts with a bracket or brace and so is never base64. */
function decodeBody(text: string): string {
  const trimmed = text.trim();
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(trimmed) || trimmed.length % 4 !== 0) return text;
  const bytes = Buffer.from(trimmed, 'base64');
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return text;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
