import { createHash } from 'node:crypto';
import MnsClient from '@alicloud/mns';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type QueueEndpoint, startQueueEndpoint } from '../../../local/mns/server.ts';
import { signMns } from '../../../local/mns/signature.ts';
import { manualClock } from '../../support/clock.ts';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';

let db: TestDatabase;
let endpoint: QueueEndpoint;
const clock = manualClock(Date.now());

beforeAll(async () => {
  db = await testDatabase();
  endpoint = await startQueueEndpoint({
    databaseUrl: db.url,
    clock,
    findSecret: async (id, token) => (id === 'AK' && !token ? 'SK' : id === 'STS.AK' && token === 'TOKEN' ? 'STS-SK' : undefined),
  });
});
afterAll(async () => {
  await endpoint.close();
  await db.close();
});

/** The service's own client, unmodified. */
function client(keys = { accessKeyId: 'AK', accessKeySecret: 'SK' } as Record<string, string>): MnsClient {
  return new MnsClient('1234567890', { endpoint: endpoint.url, ...keys } as never);
}
let queues = 0;
async function newQueue(attributes: Record<string, unknown> = {}): Promise<string> {
  const name = `queue-${++queues}`;
  expect((await client().createQueue(name, attributes)).code).toBe(201);
  return name;
}
const named = (code: string) => expect.objectContaining({ name: `MNS${code}Error` });

describe('queues, with the real client', () => {
  it('creates once, repeats without effect, refuses other attributes', async () => {
    const name = await newQueue({
      VisibilityTimeout: 60,
      DlqPolicy: { Enabled: true, DeadLetterTargetQueue: 'dead', MaxReceiveCount: 3 },
    });
    const again = await client().createQueue(name, {
      VisibilityTimeout: 60,
      DlqPolicy: { Enabled: true, DeadLetterTargetQueue: 'acs:mns:cn-hangzhou:1234567890:/queues/dead', MaxReceiveCount: 3 },
    });
    expect(again.code).toBe(204);
    expect(again.headers.location).toBe(`${endpoint.url}/queues/${name}`);
    await expect(client().createQueue(name, { VisibilityTimeout: 61 })).rejects.toEqual(named('QueueAlreadyExist'));
  });

  it('tells attributes, changes the named ones, deletes', async () => {
    const name = await newQueue({ DelaySeconds: 5 });
    expect((await client().setQueueAttributes(name, { PollingWaitSeconds: 7 })).code).toBe(204);
    const { body } = await client().getQueueAttributes(name);
    expect(body).toMatchObject({
      QueueName: name,
      DelaySeconds: '5',
      PollingWaitSeconds: '7',
      VisibilityTimeout: '30',
      ActiveMessages: '0',
    });
    expect((await client().deleteQueue(name)).code).toBe(204);
    await expect(client().getQueueAttributes(name)).rejects.toEqual(named('QueueNotExist'));
  });

  it('lists by prefix and pages by marker', async () => {
    for (const letter of ['a', 'b', 'c']) await client().createQueue(`list-${letter}`);
    await endpoint.store.create('.hidden', { ...(await endpoint.store.get('list-a'))! });
    const first = await client().listQueue('', 2, 'list-');
    expect(first.body.map((q) => q.QueueURL)).toEqual([`${endpoint.url}/queues/list-a`, `${endpoint.url}/queues/list-b`]);
    const second = await client().listQueue('list-b', 2, 'list-');
    expect(second.body.map((q) => q.QueueURL)).toEqual([`${endpoint.url}/queues/list-c`]);
    expect((await client().listQueue('', 1000, '')).body.some((q) => q.QueueURL?.includes('.hidden'))).toBe(false);
  });

  it('refuses wrong names and values by the service’s codes', async () => {
    await expect(client().createQueue('-x')).rejects.toEqual(named('InvalidQueueName'));
    await expect(client().createQueue('x'.repeat(121))).rejects.toEqual(named('QueueNameLengthError'));
    await expect(client().createQueue('range', { VisibilityTimeout: 43_201 })).rejects.toEqual(named('InvalidArgument'));
    await expect(client().sendMessage('nowhere', { MessageBody: 'eA==' })).rejects.toEqual(named('QueueNotExist'));
    await expect(client().sendMessage(await newQueue(), { MessageBody: 'a<b&c' })).rejects.toEqual(named('MalformedXML'));
    await expect(client({ accessKeyId: 'AK', accessKeySecret: 'no' }).listQueue('', 1, '')).rejects.toEqual(
      named('SignatureDoesNotMatch'),
    );
    await expect(client({ accessKeyId: 'NO', accessKeySecret: 'no' }).listQueue('', 1, '')).rejects.toEqual(
      named('InvalidAccessKeyId'),
    );
  });

  it('takes temporary keys with their token, and not without', async () => {
    const sts = { accessKeyId: 'STS.AK', accessKeySecret: 'STS-SK', securityToken: 'TOKEN' };
    expect((await client(sts).listQueue('', 1, '')).code).toBe(200);
    await expect(client({ ...sts, securityToken: 'OLD' }).listQueue('', 1, '')).rejects.toEqual(named('InvalidAccessKeyId'));
  });
});

describe('messages, with the real client', () => {
  it('sends, receives with all fields, deletes', async () => {
    const name = await newQueue();
    const sent = await client().sendMessage(name, { MessageBody: 'e30=' });
    expect(sent.code).toBe(201);
    expect(sent.body.MessageBodyMD5).toBe(createHash('md5').update('e30=').digest('hex').toUpperCase());
    const got = (await client().receiveMessage(name)).body;
    expect(got).toMatchObject({ MessageId: sent.body.MessageId, MessageBody: 'e30=', DequeueCount: '1', Priority: '8' });
    expect(Number(got.NextVisibleTime) - clock.now()).toBe(30_000);
    expect((await client().deleteMessage(name, got.ReceiptHandle!)).code).toBe(204);
    await expect(client().deleteMessage(name, got.ReceiptHandle!)).rejects.toEqual(named('MessageNotExist'));
    await expect(client().receiveMessage(name)).rejects.toEqual(named('MessageNotExist'));
  });

  it('hides a received message until its visibility ends; the old handle dies', async () => {
    const name = await newQueue({ VisibilityTimeout: 10 });
    await client().sendMessage(name, { MessageBody: 'eA==' });
    const first = (await client().receiveMessage(name)).body;
    await expect(client().receiveMessage(name)).rejects.toEqual(named('MessageNotExist'));
    clock.advance(10_000);
    await expect(client().deleteMessage(name, first.ReceiptHandle!)).rejects.toEqual(named('ReceiptHandleError'));
    const second = (await client().receiveMessage(name)).body;
    expect(second).toMatchObject({ MessageId: first.MessageId, DequeueCount: '2', FirstDequeueTime: first.FirstDequeueTime });
    const changed = (await client().changeMessageVisibility(name, second.ReceiptHandle!, 100)).body;
    await expect(client().deleteMessage(name, second.ReceiptHandle!)).rejects.toEqual(named('ReceiptHandleError'));
    clock.advance(50_000);
    expect((await client().deleteMessage(name, changed.ReceiptHandle!)).code).toBe(204);
  });

  it('delays, orders by priority and counts the three kinds', async () => {
    const name = await newQueue();
    const late = await client().sendMessage(name, { MessageBody: 'bGF0ZQ==', DelaySeconds: 20, Priority: 1 });
    expect(late.body.ReceiptHandle).toMatch(/^1-[0-9a-f]+$/);
    await client().sendMessage(name, { MessageBody: 'bG93', Priority: 16 });
    await client().sendMessage(name, { MessageBody: 'aGlnaA==', Priority: 2 });
    expect((await client().getQueueAttributes(name)).body).toMatchObject({
      ActiveMessages: '2',
      DelayMessages: '1',
      InactiveMessages: '0',
    });
    expect((await client().receiveMessage(name)).body.MessageBody).toBe('aGlnaA==');
    expect((await client().getQueueAttributes(name)).body).toMatchObject({
      ActiveMessages: '1',
      DelayMessages: '1',
      InactiveMessages: '1',
    });
    clock.advance(20_000);
    expect((await client().receiveMessage(name)).body.MessageBody).toBe('bGF0ZQ==');
  });

  it('peeks without hiding', async () => {
    const name = await newQueue();
    await client().batchSendMessage(name, [{ MessageBody: 'MQ==' }, { MessageBody: 'Mg==' }]);
    const seen = (await client().batchPeekMessage(name, 16)).body;
    expect(seen.map((m) => m.MessageBody)).toEqual(['MQ==', 'Mg==']);
    expect(seen[0]).not.toHaveProperty('ReceiptHandle');
    expect((await client().peekMessage(name)).body.DequeueCount).toBe('0');
  });

  it('reports each message of a batch when one is refused, and sends the others', async () => {
    const name = await newQueue({ MaximumMessageSize: 1024 });
    const answer = await client().batchSendMessage(name, [
      { MessageBody: 'b2s=' },
      { MessageBody: 'A'.repeat(1028) },
      { MessageBody: 'b2s=' },
    ]);
    expect(answer.code).toBe(500);
    expect(answer.body.map((item) => item.ErrorCode ?? 'sent')).toEqual(['sent', 'InvalidArgument', 'sent']);
    expect((await client().getQueueAttributes(name)).body.ActiveMessages).toBe('2');
    const items = Array.from({ length: 17 }, () => ({ MessageBody: 'eA==' }));
    await expect(client().batchSendMessage(name, items)).rejects.toEqual(named('InvalidArgument'));
  });

  it('deletes what it can of a batch and names the rest', async () => {
    const name = await newQueue();
    await client().batchSendMessage(name, [{ MessageBody: 'MQ==' }, { MessageBody: 'Mg==' }]);
    const handles = (await client().batchReceiveMessage(name, 16)).body.map((m) => m.ReceiptHandle!);
    await client().deleteMessage(name, handles[0]!);
    const partial = await client().batchDeleteMessage(name, [...handles, 'nonsense']);
    expect(partial.code).toBe(404);
    expect(partial.body).toEqual([
      expect.objectContaining({ ErrorCode: 'MessageNotExist', ReceiptHandle: handles[0] }),
      expect.objectContaining({ ErrorCode: 'ReceiptHandleError', ReceiptHandle: 'nonsense' }),
    ]);
    expect((await client().getQueueAttributes(name)).body).toMatchObject({ ActiveMessages: '0', InactiveMessages: '0' });
  });

  it('moves a message to the dead letters after too many receives', async () => {
    const dead = await newQueue();
    const name = await newQueue({
      VisibilityTimeout: 1,
      DlqPolicy: { Enabled: true, DeadLetterTargetQueue: dead, MaxReceiveCount: 2 },
    });
    await client().sendMessage(name, { MessageBody: 'cG9pc29u' });
    for (let i = 0; i < 2; i++) {
      await client().receiveMessage(name);
      clock.advance(1_000);
    }
    await expect(client().receiveMessage(name)).rejects.toEqual(named('MessageNotExist'));
    expect((await client().receiveMessage(dead)).body).toMatchObject({ MessageBody: 'cG9pc29u', DequeueCount: '1' });
  });

  it('forgets a message after its retention', async () => {
    const name = await newQueue({ MessageRetentionPeriod: 60 });
    await client().sendMessage(name, { MessageBody: 'eA==' });
    clock.advance(60_000);
    await expect(client().receiveMessage(name)).rejects.toEqual(named('MessageNotExist'));
    expect(await db.query('select 1 from local_queue.message where queue_name = $1', [name])).toEqual([]);
  });

  it('wakes a waiting receive at once when a message comes', async () => {
    const name = await newQueue();
    const waiting = client().receiveMessage(name, 30);
    await expect.poll(() => clock.waiting()).toBeGreaterThan(0);
    await client().sendMessage(name, { MessageBody: 'bm93' });
    // The clock stands still: only the send can have ended the wait.
    expect((await waiting).body.MessageBody).toBe('bm93');
  });

  it('ends a waiting receive at its time, and when a delayed message is due', async () => {
    const name = await newQueue();
    const empty = client().receiveMessage(name, 5);
    await expect.poll(() => clock.waiting()).toBeGreaterThan(0);
    clock.advance(5_000);
    await expect(empty).rejects.toEqual(named('MessageNotExist'));
    await client().sendMessage(name, { MessageBody: 'bGF0ZXI=', DelaySeconds: 3 });
    const due = client().receiveMessage(name, 30);
    await expect.poll(() => clock.waiting()).toBeGreaterThan(0);
    clock.advance(3_000);
    expect((await due).body.MessageBody).toBe('bGF0ZXI=');
  });

  it('gives each message to one of many receivers', async () => {
    const name = await newQueue();
    for (let i = 0; i < 4; i++)
      await client().batchSendMessage(
        name,
        Array.from({ length: 16 }, (_, n) => ({ MessageBody: btoa(`${i}-${n}`) })),
      );
    const got = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const bodies: string[] = [];
        for (;;) {
          try {
            bodies.push(...(await client().batchReceiveMessage(name, 5)).body.map((m) => m.MessageBody!));
          } catch (error) {
            expect(error).toEqual(named('MessageNotExist'));
            return bodies;
          }
        }
      }),
    );
    expect(got.flat().sort()).toEqual(Array.from({ length: 64 }, (_, n) => btoa(`${Math.floor(n / 16)}-${n % 16}`)).sort());
  });

  it('keeps text that looks like markup', async () => {
    const name = await newQueue();
    await client().sendMessage(name, { MessageBody: '&lt;a&gt; &amp; &quot;' });
    expect((await client().receiveMessage(name)).body.MessageBody).toBe('<a> & "');
  });
});

describe('the wire', () => {
  const request = (method: string, target: string, body = '') => {
    const date = new Date(clock.now()).toUTCString();
    const headers: Record<string, string> = { date, 'x-mns-date': date, 'x-mns-version': '2015-06-06' };
    if (body) headers['content-type'] = 'text/xml';
    const signature = signMns({ method, target, headers }, 'SK');
    return fetch(endpoint.url + target, {
      method,
      headers: { ...headers, authorization: `MNS AK:${signature}` },
      ...(body && { body }),
    });
  };

  it('answers every error with the four elements that the client needs', async () => {
    const answers = await Promise.all([
      request('GET', '/topics/x'),
      request('PATCH', '/queues/x'),
      request('GET', '/queues/none/messages'),
      request('DELETE', `/queues/${await newQueue()}/messages`),
      request(
        'POST',
        '/queues/list-a/messages',
        '<!DOCTYPE x [<!ENTITY e "boom">]><Message><MessageBody>&e;</MessageBody></Message>',
      ),
      fetch(`${endpoint.url}/queues`),
    ]);
    expect(answers.map((a) => a.status)).toEqual([400, 400, 404, 400, 400, 400]);
    for (const answer of answers) {
      const text = await answer.text();
      for (const element of ['Code', 'Message', 'RequestId', 'HostId']) expect(text).toContain(`<${element}>`);
      expect(answer.headers.get('content-type')).toMatch(/^text\/xml/);
    }
  });
});
