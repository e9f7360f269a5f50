import { createHash } from 'node:crypto';

/** A message in a dead-letter queue, whatever put it there. */
export interface DeadLetter {
  /** Where a redrive sends it; undefined when only the dead-letter queue's name tells. */
  queueName?: string;
  messageId?: string;
  /** Why a function gave up on it; undefined when the platform did after its last attempt. */
  reason?: string;
  functionName?: string;
  requestId?: string;
  failedAt?: Date;
  /** The message as its sender wrote it: what a redrive sends again. */
  body: string;
}

/** Our own form carries this mark. */
const MARK = 'paimon-datamap.dead-letter';
/** A queue takes 64 KB and base64 adds a third; larger ones travel without their reason. */
const MAX_TEXT_BYTES = 48_000;
const MAX_REASON_CHARS = 2_000;

/** Text of a dead letter that says why; the bare message where both do not fit. */
export function writeDeadLetter(letter: Required<Pick<DeadLetter, 'reason' | 'body'>> & DeadLetter): string {
  const text = JSON.stringify({ deadLetter: MARK, ...letter, reason: letter.reason.slice(0, MAX_REASON_CHARS) });
  return Buffer.byteLength(text) <= MAX_TEXT_BYTES ? text : letter.body;
}

/**
 * Reads what lies in a dead-letter queue: our own form, the CloudEvent that an event stream leaves there after its last
 * attempt, the report of an asynchronous invocation that failed for good, or the bare message that the queue service's
 * own policy moved. Never throws.
 */
export function readDeadLetter(text: string): DeadLetter {
  const json = parseRecord(text);
  if (!json) return { body: text };
  if (json.deadLetter === MARK && typeof json.body === 'string') {
    const failedAt = new Date(String(json.failedAt));
    return {
      ...pickStrings(json, ['queueName', 'messageId', 'reason', 'functionName', 'requestId']),
      ...(!Number.isNaN(failedAt.getTime()) && { failedAt }),
      body: json.body,
    };
  }
  const data = json.type === 'mns:Queue:SendMessage' ? asRecord(json.data) : undefined;
  if (typeof data?.messageBody === 'string') {
    const queueName = /queues\/([^/]+)/.exec(String(json.subject))?.[1];
    return { ...(queueName && { queueName }), ...pickStrings(data, ['messageId']), body: data.messageBody };
  }
  const failed = asRecord(json.requestContext);
  if (failed && typeof json.requestPayload === 'string')
    return { ...pickStrings(failed, ['requestId']), ...pickReason(json), body: json.requestPayload };
  return { body: text };
}

function pickReason(report: Record<string, unknown>): { reason?: string } {
  const answer = parseRecord(typeof report.responsePayload === 'string' ? report.responsePayload : '');
  return typeof answer?.errorMessage === 'string' ? { reason: answer.errorMessage.slice(0, MAX_REASON_CHARS) } : {};
}

/** Names a body in a log without showing it. */
export function fingerprint(body: string): { sha256: string; sizeBytes: number } {
  return { sha256: createHash('sha256').update(body).digest('hex').slice(0, 16), sizeBytes: Buffer.byteLength(body) };
}

function pickStrings<Name extends string>(from: Record<string, unknown>, names: Name[]): Partial<Record<Name, string>> {
  const picked: Partial<Record<Name, string>> = {};
  for (const name of names) if (typeof from[name] === 'string') picked[name] = from[name];
  return picked;
}

function parseRecord(text: string): Record<string, unknown> | undefined {
  try {
    return asRecord(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function asRecord(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
}
