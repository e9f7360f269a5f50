import type { Message, QueueName } from '../messages.ts';
import type { Queue } from '../queue/queue.ts';
import type { Database, Transaction } from './database.ts';

/**
 * A state change that must lead to a message writes both in one transaction; the message goes out after the commit. A
 * process that dies in between loses nothing: the next flush sends it. Sent at least once.
 */
export async function enqueue(
  tx: Transaction,
  queueName: QueueName,
  message: Message,
  options: { delaySeconds?: number } = {},
): Promise<void> {
  await tx.query('insert into outbox (workspace_id, queue_name, message, delay_seconds) values ($1, $2, $3, $4)', [
    message.data.workspaceId,
    queueName,
    JSON.stringify(message),
    options.delaySeconds ?? 0,
  ]);
}

const DEFAULT_BATCH = 100;
/** Bounds one call; what is left belongs to the next caller or the timer. */
const MAX_BATCHES = 50;

/**
 * Sends what waits, oldest first, and deletes a message only when the queue has it. Many may flush at once: each takes other
 * rows. A queue that refuses does not hold up the others; its error is thrown at the end. Returns how many were sent.
 */
export async function flushOutbox(database: Database, queue: Queue, options: { limit?: number } = {}): Promise<number> {
  const refused = new Map<string, unknown>();
  let sent = 0;
  for (let batch = 0; batch < MAX_BATCHES; batch++) {
    const taken = await database.system((tx) => flushBatch(tx, queue, options.limit ?? DEFAULT_BATCH, refused));
    sent += taken.sent;
    if (taken.found === 0) break;
  }
  for (const error of refused.values()) throw error;
  return sent;
}

interface OutboxRow {
  id: string;
  queue_name: string;
  message: Message;
  delay_seconds: number;
}

async function flushBatch(tx: Transaction, queue: Queue, limit: number, refused: Map<string, unknown>) {
  const rows = await tx.query<OutboxRow>(
    'select id, queue_name, message, delay_seconds from outbox where queue_name <> all($1) order by id limit $2 for update skip locked',
    [[...refused.keys()], limit],
  );
  const sent: string[] = [];
  for (const group of groups(rows)) {
    const { queue_name: queueName, delay_seconds: delaySeconds } = group[0]!;
    if (refused.has(queueName)) continue;
    try {
      await queue.send(
        queueName,
        group.map((row) => row.message),
        { delaySeconds },
      );
      sent.push(...group.map((row) => row.id));
    } catch (error) {
      refused.set(queueName, error);
    }
  }
  if (sent.length > 0) await tx.query('delete from outbox where id = any($1::bigint[])', [sent]);
  return { found: rows.length, sent: sent.length };
}

function groups(rows: OutboxRow[]): OutboxRow[][] {
  const byTarget = new Map<string, OutboxRow[]>();
  for (const row of rows) {
    const target = `${row.queue_name} ${row.delay_seconds}`;
    const group = byTarget.get(target);
    if (group) group.push(row);
    else byTarget.set(target, [row]);
  }
  return [...byTarget.values()];
}
