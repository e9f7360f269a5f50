import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { type Clock, systemClock } from '../clock.ts';
import schema from './schema.sql';
import { createWake } from './wake.ts';

export interface QueueAttributes {
  delaySeconds: number;
  maximumMessageSize: number;
  messageRetentionPeriod: number;
  visibilityTimeout: number;
  pollingWaitSeconds: number;
  loggingEnabled: boolean;
  deadLetter?: { queueName: string; maxReceiveCount: number };
}

export interface QueueState extends QueueAttributes {
  name: string;
  createdAtMs: number;
  modifiedAtMs: number;
  /** Ready to be received. */
  active: number;
  /** Received and hidden. */
  inactive: number;
  /** Sent with a delay that has not ended. */
  delayed: number;
}

export interface NewMessage {
  body: string;
  priority: number;
  /** Seconds; undefined takes the queue's. */
  delaySeconds?: number;
}

export interface StoredMessage {
  messageId: string;
  body: string;
  priority: number;
  enqueuedAtMs: number;
  visibleAtMs: number;
  firstDequeuedAtMs: number;
  dequeueCount: number;
  /** Empty for a peek. */
  receiptHandle: string;
}

export interface ReceiveOptions {
  max: number;
  /** Seconds to wait for the first message. Infinity waits until the signal aborts. */
  waitSeconds?: number;
  signal?: AbortSignal;
}

/** Queues in PostgreSQL with the service's semantics; the wire lies in `actions/`. One process serves a database at a time. */
export interface QueueStore {
  create(name: string, attributes: QueueAttributes): Promise<'created' | 'equal' | 'different'>;
  update(name: string, change: (present: QueueAttributes) => QueueAttributes): Promise<boolean>;
  remove(name: string): Promise<void>;
  get(name: string): Promise<QueueState | undefined>;
  /** By name, after `marker`. Names that begin with a dot are the platform's own and stay hidden. */
  list(options: { prefix: string; marker: string; max: number }): Promise<string[]>;
  send(name: string, messages: NewMessage[]): Promise<{ messageId: string; receiptHandle?: string }[]>;
  receive(name: string, options: ReceiveOptions): Promise<StoredMessage[]>;
  peek(name: string, max: number): Promise<StoredMessage[]>;
  delete(name: string, receiptHandle: string): Promise<HandleOutcome>;
  /** A new handle, or why not. Zero seconds gives the message back at once. */
  changeVisibility(
    name: string,
    receiptHandle: string,
    seconds: number,
  ): Promise<{ receiptHandle: string; visibleAtMs: number } | Exclude<HandleOutcome, 'done'>>;
  /** After a crash of the only receiver: what it held may be received again now. Returns how many. */
  releaseHeld(name: string): Promise<number>;
  close(): Promise<void>;
}

/** `stale`: the message is there, but this handle no longer rules it. `gone`: no such message. */
export type HandleOutcome = 'done' | 'stale' | 'gone';

interface MessageRow {
  id: string;
  message_id: string;
  body: string;
  priority: number;
  enqueued_at_ms: string;
  visible_at_ms: string;
  first_dequeued_at_ms: string | null;
  dequeue_count: number;
  receipt_handle: string | null;
}

const PURGE_EVERY_MS = 60_000;

export async function openQueueStore(databaseUrl: string, clock: Clock = systemClock): Promise<QueueStore> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 4 });
  // A connection that the server closes while idle is replaced at the next query.
  pool.on('error', () => {});
  const wake = createWake(clock);
  const purgedAt = new Map<string, number>();
  const rows = async <Row extends object>(sql: string, values: unknown[]): Promise<Row[]> =>
    (await pool.query(sql, values)).rows as Row[];

  async function transaction<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await pool.connect();
    try {
      await client.query('begin');
      const result = await work(client);
      await client.query('commit');
      return result;
    } catch (error) {
      await client.query('rollback').catch(() => {});
      throw error;
    } finally {
      client.release();
    }
  }

  await transaction(async (client) => {
    await client.query('select pg_advisory_xact_lock(7205759404)');
    await client.query(schema);
  });

  /** Moves what was received too often to the dead letters, then takes what is visible, best priority first. */
  async function take(name: string, max: number, now: number): Promise<StoredMessage[]> {
    let moved: string | undefined;
    const taken = await transaction(async (client) => {
      const [queue] = (
        await client.query<{ visibility_timeout: number; dead_letter_queue: string | null; max_receive_count: number | null }>(
          'select visibility_timeout, dead_letter_queue, max_receive_count from local_queue.queue where name = $1',
          [name],
        )
      ).rows;
      if (!queue) return [];
      if (now - (purgedAt.get(name) ?? 0) >= PURGE_EVERY_MS) {
        purgedAt.set(name, now);
        await client.query('delete from local_queue.message where queue_name = $1 and expires_at_ms <= $2', [name, now]);
      }
      if (queue.dead_letter_queue !== null) {
        const dead = await client.query(
          `with spent as (
             select id from local_queue.message
             where queue_name = $1 and visible_at_ms <= $2 and dequeue_count >= $3 for update skip locked)
           update local_queue.message m
           set queue_name = q.name, dequeue_count = 0, first_dequeued_at_ms = null, receipt_handle = null, visible_at_ms = $2,
               expires_at_ms = $2 + q.message_retention_period * 1000::bigint
           from spent, local_queue.queue q where m.id = spent.id and q.name = $4`,
          [name, now, queue.max_receive_count, queue.dead_letter_queue],
        );
        if ((dead.rowCount ?? 0) > 0) moved = queue.dead_letter_queue;
      }
      const result = await client.query<MessageRow>(
        `with next as (
           select id from local_queue.message
           where queue_name = $1 and visible_at_ms <= $2 and expires_at_ms > $2
           order by priority, visible_at_ms, id limit $3 for update skip locked)
         update local_queue.message m
         set dequeue_count = dequeue_count + 1, first_dequeued_at_ms = coalesce(first_dequeued_at_ms, $2),
             visible_at_ms = $2 + $4 * 1000::bigint, receipt_handle = $5 || '-' || m.id
         from next where m.id = next.id returning m.*`,
        [name, now, max, queue.visibility_timeout, newHandle()],
      );
      return result.rows.sort((a, b) => a.priority - b.priority || Number(a.id) - Number(b.id)).map(toMessage);
    });
    if (moved) wake.notify(moved);
    return taken;
  }

  async function nextVisibleAtMs(name: string, after: number): Promise<number | undefined> {
    const [row] = await rows<{ at: string | null }>(
      'select min(visible_at_ms) as at from local_queue.message where queue_name = $1 and visible_at_ms > $2',
      [name, after],
    );
    return row?.at == null ? undefined : Number(row.at);
  }

  async function outcomeOfUnknownHandle(name: string, receiptHandle: string): Promise<'stale' | 'gone'> {
    const id = /^1-[0-9a-f]+-(\d{1,18})$/.exec(receiptHandle)?.[1];
    if (!id) return 'stale';
    const found = await rows('select 1 from local_queue.message where queue_name = $1 and id = $2', [name, id]);
    return found.length > 0 ? 'stale' : 'gone';
  }

  const store: QueueStore = {
    async create(name, attributes) {
      const now = clock.now();
      const inserted = await rows(
        `insert into local_queue.queue values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10) on conflict do nothing returning name`,
        [name, ...columns(attributes), now],
      );
      if (inserted.length > 0) return 'created';
      const present = await store.get(name);
      return present && columns(present).every((value, i) => value === columns(attributes)[i]) ? 'equal' : 'different';
    },

    async update(name, change) {
      const present = await store.get(name);
      if (!present) return false;
      const updated = await rows(
        `update local_queue.queue set delay_seconds = $2, maximum_message_size = $3, message_retention_period = $4,
           visibility_timeout = $5, polling_wait_seconds = $6, logging_enabled = $7, dead_letter_queue = $8,
           max_receive_count = $9, modified_at_ms = $10 where name = $1 returning name`,
        [name, ...columns(change(present)), clock.now()],
      );
      return updated.length > 0;
    },

    async remove(name) {
      await rows('delete from local_queue.queue where name = $1', [name]);
      wake.notify(name);
    },

    async get(name) {
      const [row] = await rows<Record<string, string | number | boolean | null>>(
        `select q.*,
           (select count(*) from local_queue.message m where m.queue_name = q.name and m.expires_at_ms > $2 and m.visible_at_ms <= $2) as active,
           (select count(*) from local_queue.message m where m.queue_name = q.name and m.expires_at_ms > $2 and m.visible_at_ms > $2 and m.dequeue_count > 0) as inactive,
           (select count(*) from local_queue.message m where m.queue_name = q.name and m.expires_at_ms > $2 and m.visible_at_ms > $2 and m.dequeue_count = 0) as delayed
         from local_queue.queue q where q.name = $1`,
        [name, clock.now()],
      );
      if (!row) return undefined;
      return {
        name,
        delaySeconds: Number(row.delay_seconds),
        maximumMessageSize: Number(row.maximum_message_size),
        messageRetentionPeriod: Number(row.message_retention_period),
        visibilityTimeout: Number(row.visibility_timeout),
        pollingWaitSeconds: Number(row.polling_wait_seconds),
        loggingEnabled: row.logging_enabled === true,
        ...(row.dead_letter_queue !== null && {
          deadLetter: { queueName: String(row.dead_letter_queue), maxReceiveCount: Number(row.max_receive_count) },
        }),
        createdAtMs: Number(row.created_at_ms),
        modifiedAtMs: Number(row.modified_at_ms),
        active: Number(row.active),
        inactive: Number(row.inactive),
        delayed: Number(row.delayed),
      };
    },

    async list({ prefix, marker, max }) {
      const found = await rows<{ name: string }>(
        `select name from local_queue.queue where starts_with(name, $1) and name collate "C" > $2 and name not like '.%'
         order by name collate "C" limit $3`,
        [prefix, marker, max],
      );
      return found.map((row) => row.name);
    },

    async send(name, messages) {
      const now = clock.now();
      const sent = messages.map((message) => ({ ...message, messageId: newMessageId(), handle: newHandle() }));
      const inserted = await rows<{ message_id: string; receipt_handle: string | null }>(
        `insert into local_queue.message (message_id, queue_name, body, priority, enqueued_at_ms, visible_at_ms, expires_at_ms, receipt_handle)
         select m.message_id, q.name, m.body, m.priority, $2::bigint, $2 + coalesce(m.delay, q.delay_seconds) * 1000::bigint,
                $2 + q.message_retention_period * 1000::bigint,
                case when coalesce(m.delay, q.delay_seconds) > 0 then m.handle end
         from local_queue.queue q,
              unnest($3::text[], $4::text[], $5::int[], $6::int[], $7::text[]) with ordinality as m(message_id, body, priority, delay, handle, place)
         where q.name = $1 order by m.place
         returning message_id, receipt_handle`,
        [
          name,
          now,
          sent.map((m) => m.messageId),
          sent.map((m) => m.body),
          sent.map((m) => m.priority),
          sent.map((m) => m.delaySeconds ?? null),
          sent.map((m) => m.handle),
        ],
      );
      wake.notify(name);
      return inserted.map((row) => ({
        messageId: row.message_id,
        ...(row.receipt_handle !== null && { receiptHandle: row.receipt_handle }),
      }));
    },

    async receive(name, { max, waitSeconds = 0, signal }) {
      const until = clock.now() + waitSeconds * 1000;
      for (;;) {
        const mark = wake.mark(name);
        const lookedAt = clock.now();
        const taken = await take(name, max, lookedAt);
        if (taken.length > 0 || clock.now() >= until || signal?.aborted) return taken;
        // Counted from the look, or a message that fell due since would be slept over.
        const due = Math.min(until, (await nextVisibleAtMs(name, lookedAt)) ?? Number.POSITIVE_INFINITY);
        const leftMs = due - clock.now();
        if (leftMs > 0) await wake.sleep(name, mark, Number.isFinite(leftMs) ? leftMs : undefined, signal);
      }
    },

    async peek(name, max) {
      const found = await rows<MessageRow>(
        `select * from local_queue.message where queue_name = $1 and visible_at_ms <= $2 and expires_at_ms > $2
         order by priority, visible_at_ms, id limit $3`,
        [name, clock.now(), max],
      );
      return found.map((row) => ({ ...toMessage(row), receiptHandle: '' }));
    },

    async delete(name, receiptHandle) {
      const deleted = await rows(
        'delete from local_queue.message where queue_name = $1 and receipt_handle = $2 and visible_at_ms > $3 returning id',
        [name, receiptHandle, clock.now()],
      );
      return deleted.length > 0 ? 'done' : outcomeOfUnknownHandle(name, receiptHandle);
    },

    async changeVisibility(name, receiptHandle, seconds) {
      const now = clock.now();
      const [row] = await rows<MessageRow>(
        `update local_queue.message set visible_at_ms = $4, receipt_handle = $5 || '-' || id
         where queue_name = $1 and receipt_handle = $2 and visible_at_ms > $3 returning *`,
        [name, receiptHandle, now, now + seconds * 1000, newHandle()],
      );
      if (!row) return outcomeOfUnknownHandle(name, receiptHandle);
      wake.notify(name);
      return { receiptHandle: row.receipt_handle!, visibleAtMs: Number(row.visible_at_ms) };
    },

    async releaseHeld(name) {
      const now = clock.now();
      const released = await rows(
        `update local_queue.message set visible_at_ms = $2, receipt_handle = null
         where queue_name = $1 and visible_at_ms > $2 and dequeue_count > 0 returning id`,
        [name, now],
      );
      if (released.length > 0) wake.notify(name);
      return released.length;
    },

    close: () => pool.end(),
  };
  return store;
}

function columns(attributes: QueueAttributes): (string | number | boolean | null)[] {
  return [
    attributes.delaySeconds,
    attributes.maximumMessageSize,
    attributes.messageRetentionPeriod,
    attributes.visibilityTimeout,
    attributes.pollingWaitSeconds,
    attributes.loggingEnabled,
    attributes.deadLetter?.queueName ?? null,
    attributes.deadLetter?.maxReceiveCount ?? null,
  ];
}

function toMessage(row: MessageRow): StoredMessage {
  return {
    messageId: row.message_id,
    body: row.body,
    priority: row.priority,
    enqueuedAtMs: Number(row.enqueued_at_ms),
    visibleAtMs: Number(row.visible_at_ms),
    firstDequeuedAtMs: Number(row.first_dequeued_at_ms ?? 0),
    dequeueCount: row.dequeue_count,
    receiptHandle: row.receipt_handle ?? '',
  };
}

/** Clients put handles into URLs as they are: no character that means something there. */
function newHandle(): string {
  return `1-${randomBytes(12).toString('hex')}`;
}

function newMessageId(): string {
  return randomBytes(16).toString('hex').toUpperCase();
}
