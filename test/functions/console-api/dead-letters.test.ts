import { randomUUID } from 'node:crypto';
import MnsClient from '@alicloud/mns';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startQueueEndpoint } from '../../../local/mns/server.ts';
import { Secret } from '../../../shared/credentials/secret.ts';
import { deadLetterQueueOf, type Message, QUEUES } from '../../../shared/messages.ts';
import { writeDeadLetter } from '../../../shared/queue/dead-letter.ts';
import { unwrapMessage, wrapMessage } from '../../../shared/queue/envelope.ts';
import { type MnsQueue, openMnsQueue } from '../../../shared/queue/mns.ts';
import { datamap, serve } from '../../cli/command-line.ts';
import { testDatabase } from '../../support/postgres.ts';
import { type Harness, startHarness } from './harness.ts';

let api: Harness;
let queue: MnsQueue;
let closeQueue: () => Promise<void>;
const dead = deadLetterQueueOf(QUEUES.dataSourceSaved);
beforeAll(async () => {
  api = await startHarness();
  const db = await testDatabase();
  const endpoint = await startQueueEndpoint({ databaseUrl: db.url, findSecret: async (id) => (id === 'AK' ? 'SK' : undefined) });
  closeQueue = async () => {
    await endpoint.close();
    await db.close();
  };
  const admin = new MnsClient('1234567890', { endpoint: endpoint.url, accessKeyId: 'AK', accessKeySecret: 'SK' });
  await admin.createQueue(dead, { VisibilityTimeout: 30 });
  await admin.createQueue(QUEUES.dataSourceSaved, { VisibilityTimeout: 30 });
  queue = openMnsQueue({
    endpoint: endpoint.url,
    accountId: '1234567890',
    keys: { accessKeyId: 'AK', accessKeySecret: new Secret('SK') },
  });
  api.deps.deadLetters = queue;
});
afterAll(async () => {
  await closeQueue();
  await api.close();
});

async function bury(workspaceId: number, reason: string): Promise<Message> {
  const message: Message = { type: 'data-source.saved', data: { workspaceId, dataSourceId: randomUUID(), version: 1 } };
  await queue.sendText(dead, writeDeadLetter({ reason, functionName: 'validate-config', body: wrapMessage(message, 'test') }));
  return message;
}
async function idOf(reason: string): Promise<string> {
  const { body } = await api.call('GET', '/dead-letters');
  return body.items.find((item: { reason: string }) => item.reason === reason).id;
}

describe('dead letters', () => {
  it('shows a workspace its own, and what nobody can read to who administers all', async () => {
    const message = await bury(api.workspaces.default, 'mine');
    await bury(api.workspaces.other, 'of another');
    await queue.sendText(dead, 'not a message');
    const listed = await api.call('GET', '/dead-letters', { as: 'operator' });
    expect(listed.status, listed.text).toBe(200);
    expect(listed.body).toMatchObject({
      items: [{ queue: QUEUES.dataSourceSaved, type: 'data-source.saved', reason: 'mine', function: 'validate-config' }],
      complete: true,
    });
    const everywhere = await api.call('GET', '/dead-letters', { as: 'everywhere' });
    expect(everywhere.body.items.map((item: { reason: string | null }) => item.reason).sort()).toEqual(['mine', null].sort());
    const shown = await api.call('GET', `/dead-letters/${await idOf('mine')}`);
    expect(shown.body.message).toEqual(message.data);
    expect((await api.call('GET', '/dead-letters', { as: 'viewer' })).status).toBe(403);
    expect((await api.call('GET', `/dead-letters/${shown.body.id}`, { as: 'operator' })).status).toBe(403);
  });

  it('sends one back to its queue, once', async () => {
    const message = await bury(api.workspaces.default, 'again');
    const id = await idOf('again');
    const answers = await Promise.all([1, 2].map(() => api.call('POST', `/dead-letters/${id}/redrive`)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 404]);
    const received = await queue.receive(QUEUES.dataSourceSaved, 16);
    expect(received.map(({ body }) => unwrapMessage(body).message)).toEqual([message]);
  });

  it('touches nothing of another workspace', async () => {
    await bury(api.workspaces.other, 'theirs');
    const theirs = await api.call('GET', '/api/v1/workspaces/other/dead-letters', { whole: true, as: 'stranger' });
    const { id } = theirs.body.items.find((item: { reason: string }) => item.reason === 'theirs');
    for (const [method, path] of [
      ['GET', `/dead-letters/${id}`],
      ['POST', `/dead-letters/${id}/redrive`],
      ['DELETE', `/dead-letters/${id}`],
    ] as const)
      expect((await api.call(method, path)).status, method).toBe(404);
    const discarded = await api.call('DELETE', `/api/v1/workspaces/other/dead-letters/${id}`, { whole: true, as: 'stranger' });
    expect(discarded.status, discarded.text).toBe(204);
  });

  it('reads more than one call of the service gives, from the command line too', async () => {
    for (let i = 0; i < 40; i++) await bury(api.workspaces.lab, `lab ${i}`);
    const server = await serve(api);
    const run = (...args: string[]) =>
      datamap(['--workspace', 'lab', 'dead-letters', ...args], { DATAMAP_URL: server.url, DATAMAP_TOKEN: api.tokens.everywhere });
    const listed = await run('list', '--json');
    expect(listed.code, listed.err).toBe(0);
    const letters = listed.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter(({ reason }) => reason !== null);
    expect(letters).toHaveLength(40);
    expect((await run('discard', letters[0].id)).code).toBe(2);
    expect((await run('discard', letters[0].id, '--yes')).out).toBe(`Discarded ${letters[0].id}.\n`);
    expect((await run('redrive', letters[1].id)).out).toBe(`Sent ${letters[1].id} to ${QUEUES.dataSourceSaved}.\n`);
    expect((await run('redrive', letters[1].id)).code).toBe(2);
    await server.close();
  });
});
