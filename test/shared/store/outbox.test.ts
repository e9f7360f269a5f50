import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { Unreachable } from '../../../shared/errors.ts';
import { type DataSourceSaved, type Message, QUEUES, type QueueName } from '../../../shared/messages.ts';
import type { Queue } from '../../../shared/queue/queue.ts';
import { openDatabase } from '../../../shared/store/database.ts';
import { enqueue, flushOutbox } from '../../../shared/store/outbox.ts';
import { type TestDatabase, testDatabase, testWorkspace } from '../../support/postgres.ts';

let db: TestDatabase;
let workspace: number;
beforeAll(async () => {
  db = await testDatabase({ maxConnections: 8 });
  workspace = await testWorkspace(db);
});
beforeEach(() => db.query('delete from outbox'));
afterAll(() => db.close());

/** Takes what it is sent, unless the queue is said to be away. */
function listeningQueue(options: { away?: QueueName; meanwhile?: () => Promise<unknown> } = {}) {
  const taken: { queueName: string; message: Message; delaySeconds: number }[] = [];
  const queue: Queue = {
    async send(queueName, messages, { delaySeconds = 0 } = {}) {
      if (queueName === options.away) throw new Unreachable('queue.test', 'timeout');
      taken.push(...messages.map((message) => ({ queueName, message, delaySeconds })));
      await options.meanwhile?.();
    },
  };
  return { queue, taken };
}

const saved = (version = 1): DataSourceSaved => ({
  type: 'data-source.saved',
  data: { workspaceId: workspace, dataSourceId: randomUUID(), version },
});
const put = (message: Message, queueName: QueueName = QUEUES.dataSourceSaved, delaySeconds = 0) =>
  db.database.tenant(workspace, (tx) => enqueue(tx, queueName, message, { delaySeconds }));
const waiting = async () => (await db.query<{ n: number }>('select count(*)::int as n from outbox'))[0]!.n;

it('sends what was committed, to its queue and with its delay, and then forgets it', async () => {
  const [first, second] = [saved(1), saved(2)];
  await put(first);
  await put(second, QUEUES.collection, 7);
  const { queue, taken } = listeningQueue();
  expect(await flushOutbox(db.database, queue)).toBe(2);
  expect(taken).toEqual([
    { queueName: QUEUES.dataSourceSaved, message: first, delaySeconds: 0 },
    { queueName: QUEUES.collection, message: second, delaySeconds: 7 },
  ]);
  expect(await waiting()).toBe(0);
  expect(await flushOutbox(db.database, queue)).toBe(0);
});

it('sends nothing of a change that was rolled back', async () => {
  await expect(
    db.database.tenant(workspace, async (tx) => {
      await enqueue(tx, QUEUES.dataSourceSaved, saved());
      throw new Error('the change failed');
    }),
  ).rejects.toThrow('the change failed');
  const { queue, taken } = listeningQueue();
  await flushOutbox(db.database, queue);
  expect(taken).toEqual([]);
});

it('does not let one workspace write messages in the name of another', async () => {
  const message = saved();
  message.data.workspaceId = workspace + 1_000;
  await expect(put(message)).rejects.toThrow(/row-level security/);
});

it('sends each message once though many flush at the same moment', async () => {
  const messages = Array.from({ length: 300 }, (_, i) => saved(i + 1));
  for (const message of messages) await put(message);
  const { queue, taken } = listeningQueue();
  const counts = await Promise.all(Array.from({ length: 6 }, () => flushOutbox(db.database, queue, { limit: 10 })));
  expect(counts.reduce((a, b) => a + b)).toBe(300);
  expect(taken.map(({ message }) => (message as DataSourceSaved).data.version).sort((a, b) => a - b)).toEqual(
    messages.map((message) => message.data.version),
  );
});

it('keeps what a queue did not take, sends to the others, and says so (F21)', async () => {
  for (let i = 0; i < 5; i++) await put(saved(i + 1));
  const other = saved(9);
  await put(other, QUEUES.collection);
  const { queue, taken } = listeningQueue({ away: QUEUES.dataSourceSaved });
  // A batch smaller than what is stuck: the stuck queue's messages come first and must not block.
  await expect(flushOutbox(db.database, queue, { limit: 2 })).rejects.toThrow(Unreachable);
  expect(taken.map(({ message }) => message)).toEqual([other]);
  expect(await waiting()).toBe(5);
  expect(await flushOutbox(db.database, listeningQueue().queue)).toBe(5);
});

it('sends again, and loses nothing, when the sender dies between sending and deleting', async () => {
  const message = saved();
  await put(message);
  const dying = openDatabase(db.url);
  const { queue, taken } = listeningQueue({
    // The server ends every other session of this database, as when the process is killed.
    meanwhile: () =>
      db.query(
        'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
      ),
  });
  await expect(flushOutbox(dying, queue)).rejects.toThrow();
  await dying.close();
  expect(taken).toHaveLength(1);
  const next = listeningQueue();
  expect(await flushOutbox(db.database, next.queue)).toBe(1);
  expect(next.taken[0]?.message).toEqual(message);
});
