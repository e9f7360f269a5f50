import { randomBytes } from 'node:crypto';
import MnsClient from '@alicloud/mns';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startQueueEndpoint } from '../../local/mns/server.ts';
import { Secret } from '../../shared/credentials/secret.ts';
import type { Message } from '../../shared/messages.ts';
import { unwrapMessage } from '../../shared/queue/envelope.ts';
import { type MnsQueue, openMnsQueue } from '../../shared/queue/mns.ts';
import { testDatabase } from '../support/postgres.ts';

/** Where the suite runs: the local endpoint always, and the service itself when DATAMAP_TEST_MNS_URL names it. */
interface Place {
  endpoint: string;
  accountId: string;
  keyId: string;
  secret: string;
  close(): Promise<void>;
}

async function localPlace(): Promise<Place> {
  const db = await testDatabase();
  const server = await startQueueEndpoint({ databaseUrl: db.url, findSecret: async (id) => (id === 'AK' ? 'SK' : undefined) });
  return {
    endpoint: server.url,
    accountId: '1234567890',
    keyId: 'AK',
    secret: 'SK',
    close: async () => {
      await server.close();
      await db.close();
    },
  };
}

async function cloudPlace(): Promise<Place> {
  const { DATAMAP_TEST_MNS_URL, DATAMAP_TEST_ACCOUNT_ID, ALIBABA_CLOUD_ACCESS_KEY_ID, ALIBABA_CLOUD_ACCESS_KEY_SECRET } =
    process.env;
  return {
    endpoint: DATAMAP_TEST_MNS_URL!,
    accountId: DATAMAP_TEST_ACCOUNT_ID!,
    keyId: ALIBABA_CLOUD_ACCESS_KEY_ID!,
    secret: ALIBABA_CLOUD_ACCESS_KEY_SECRET!,
    close: async () => {},
  };
}

const places: [string, () => Promise<Place>][] = [['the local endpoint', localPlace]];
if (process.env.DATAMAP_TEST_MNS_URL) places.push(['the service', cloudPlace]);

describe.each(places)('the queue adapter on %s', (_, open) => {
  let place: Place;
  let queue: MnsQueue;
  let admin: MnsClient;
  const name = `datamap-contract-${randomBytes(4).toString('hex')}`;
  const openWith = (keyId: string, secret: string, endpoint = place.endpoint) =>
    openMnsQueue({ endpoint, accountId: place.accountId, keys: { accessKeyId: keyId, accessKeySecret: new Secret(secret) } });

  beforeAll(async () => {
    place = await open();
    queue = openWith(place.keyId, place.secret);
    admin = new MnsClient(place.accountId, { endpoint: place.endpoint, accessKeyId: place.keyId, accessKeySecret: place.secret });
    await admin.createQueue(name, { VisibilityTimeout: 30 });
  });
  afterAll(async () => {
    await admin.deleteQueue(name);
    await place.close();
  });

  const saved = (version: number): Message => ({
    type: 'data-source.saved',
    data: { workspaceId: 1, dataSourceId: '0190a5f2-0000-7000-8000-000000000001', version },
  });
  /** Takes all there are; a short poll may miss some on the service. */
  async function takeAll(expected: number): Promise<Message[]> {
    const taken: Message[] = [];
    await expect
      .poll(
        async () => {
          for (const one of await queue.receive(name, 16)) {
            taken.push(unwrapMessage(one.body).message);
            await queue.remove(name, one.receiptHandle);
          }
          return taken.length;
        },
        { timeout: 20_000 },
      )
      .toBe(expected);
    return taken;
  }

  it('sends more than a batch holds, and each message arrives as it was', async () => {
    const sent = Array.from({ length: 40 }, (_, i) => saved(i + 1));
    await queue.send(name, sent);
    const taken = await takeAll(40);
    const versions = taken.map((m) => (m as typeof m & { data: { version: number } }).data.version);
    expect(versions.sort((a, b) => a - b)).toEqual(sent.map((_, i) => i + 1));
    expect(await queue.receive(name, 16)).toEqual([]);
  });

  it('sends batches by bytes, and text that XML would not survive', async () => {
    const tables = (mark: string) =>
      Array.from({ length: 100 }, (_, i) => ({ database: `<${mark}&>`, table: `表"${i}'${'x'.repeat(200)}` }));
    const big = (mark: string): Message => ({
      type: 'table-collection.requested',
      data: { workspaceId: 1, environmentId: '0190a5f2-0000-7000-8000-000000000001', tables: tables(mark) },
    });
    const sent = ['a', 'b', 'c', 'd'].map(big);
    await queue.send(name, sent);
    const taken = await takeAll(4);
    for (const message of sent) expect(taken).toContainEqual(message);
  });

  it('delays, counts and peeks', async () => {
    await queue.send(name, [saved(1)], { delaySeconds: 600 });
    await queue.send(name, [saved(2)]);
    await expect.poll(() => queue.attributes(name), { timeout: 20_000 }).toEqual({ active: 1, inactive: 0, delayed: 1 });
    const [seen] = await queue.peek(name, 16);
    expect(unwrapMessage(seen!.body).message).toEqual(saved(2));
    const [taken] = await queue.receive(name, 1);
    expect(taken).toMatchObject({ dequeueCount: 1, enqueuedAt: expect.any(Date) });
    expect(Math.abs(Date.now() - taken!.enqueuedAt.getTime())).toBeLessThan(60_000);
    await queue.remove(name, taken!.receiptHandle);
    await expect(queue.remove(name, taken!.receiptHandle)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('says undefined for a queue that is not there, and fails to send to it as worth a repeat', async () => {
    expect(await queue.attributes('datamap-not-there')).toBeUndefined();
    await expect(queue.send('datamap-not-there', [saved(1)])).rejects.toMatchObject({ code: 'unreachable' });
    await expect(queue.receive('datamap-not-there', 1)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('translates refusals and silence', async () => {
    await expect(openWith(place.keyId, 'wrong').receive(name, 1)).rejects.toMatchObject({ reason: 'wrong-secret' });
    await expect(openWith('unknown', 'wrong').attributes(name)).rejects.toMatchObject({ reason: 'unknown-access-key' });
    await expect(openWith(place.keyId, place.secret, 'http://127.0.0.1:1').attributes(name)).rejects.toMatchObject({
      code: 'unreachable',
      reason: 'connect',
    });
  });
});
