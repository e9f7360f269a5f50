import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { DEFAULT_ATTRIBUTES } from '../../../local/mns/queue-attributes.ts';
import { type QueueEndpoint, startQueueEndpoint } from '../../../local/mns/server.ts';
import { AccessDenied, Conflict, Unreachable } from '../../../shared/errors.ts';
import { type Call, eventHandler, type FcContext, objectEventHandler, timerHandler } from '../../../shared/fc/event-handler.ts';
import { ConnectivityTestRequested, deadLetterQueueOf, QUEUES } from '../../../shared/messages.ts';
import { readDeadLetter } from '../../../shared/queue/dead-letter.ts';
import { wrapMessage } from '../../../shared/queue/envelope.ts';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';

let db: TestDatabase;
let mns: QueueEndpoint;
const DEAD = deadLetterQueueOf(QUEUES.connectivityTest);
let printed: Record<string, unknown>[];

beforeAll(async () => {
  db = await testDatabase();
  mns = await startQueueEndpoint({ databaseUrl: db.url, findSecret: async (id) => (id === 'AK' ? 'SK' : undefined) });
  vi.stubEnv('DATAMAP_MNS_ENDPOINT', mns.url);
  vi.stubEnv('DATAMAP_ACCOUNT_ID', '1234567890');
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await mns.close();
  await db.close();
});
beforeEach(async () => {
  await mns.store.remove(DEAD);
  await mns.store.create(DEAD, DEFAULT_ATTRIBUTES);
  printed = [];
  vi.spyOn(process.stdout, 'write').mockImplementation((line) => {
    printed.push(JSON.parse(String(line)));
    return true;
  });
  return () => vi.restoreAllMocks();
});

const context: FcContext = {
  requestId: '1-test',
  credentials: { accessKeyId: 'AK', accessKeySecret: 'SK' },
  function: { name: 'datamap-test-connectivity', timeout: 60 },
};
const message = (n: number) => ({
  type: 'connectivity-test.requested' as const,
  data: {
    workspaceId: n,
    environmentId: '0190a5f2-0000-7000-8000-000000000001',
    testId: '0190a5f2-0000-7000-8000-000000000002',
  },
});
const cloudEvent = (messageBody: string, queue: string = QUEUES.connectivityTest) => ({
  id: '1',
  source: 'MNS-f-t',
  specversion: '1.0',
  type: 'mns:Queue:SendMessage',
  subject: `acs:mns:cn-hangzhou:1234:queues/${queue}`,
  data: { requestId: 'r', messageId: 'M1', messageBody },
});
const bytes = (value: unknown) => Buffer.from(JSON.stringify(value));
const deadLetters = async () =>
  (await mns.store.peek(DEAD, 16)).map((m) => readDeadLetter(Buffer.from(m.body, 'base64').toString('utf8')));

/** A handler that fails for the workspaces named. */
function handlerThat(fails: Record<number, Error> = {}) {
  const seen: number[] = [];
  const calls: Call[] = [];
  const handler = eventHandler({
    message: ConnectivityTestRequested,
    env: z.object({ DATAMAP_ACCOUNT_ID: z.string() }),
    build: (env) => ({ account: env.DATAMAP_ACCOUNT_ID }),
    async run(m, deps, call) {
      expect(deps.account).toBe('1234567890');
      seen.push(m.data.workspaceId);
      calls.push(call);
      const error = fails[m.data.workspaceId];
      if (error) throw error;
    },
  });
  return { handler, seen, calls };
}

describe('eventHandler', () => {
  const body = wrapMessage(message(1), 'test');
  const encoded = Buffer.from(body).toString('base64');
  it.each<[string, unknown]>([
    ['an array of CloudEvents', [cloudEvent(body)]],
    ['one CloudEvent', cloudEvent(body)],
    ['a body that is still base64', [cloudEvent(encoded)]],
    ['raw data with the service’s fields', { requestId: 'r', messageId: 'M1', messageBody: body }],
    ['raw data, an array, base64', [{ messageId: 'M1', messageBody: encoded }]],
    ['the sender’s own JSON', JSON.parse(body)],
    ['a topic’s message', { TopicName: 't', MessageId: 'M1', Message: body }],
    ['a body that was parsed on the way', [{ ...cloudEvent(''), data: { messageId: 'M1', messageBody: JSON.parse(body) } }]],
  ])('reads %s', async (_, event) => {
    const { handler, seen } = handlerThat();
    await handler(bytes(event), context);
    expect(seen).toEqual([1]);
  });

  it('reads base64 that is no JSON at all', async () => {
    const { handler, seen } = handlerThat();
    await handler(Buffer.from(encoded), context);
    expect(seen).toEqual([1]);
  });

  it('gives the call its keys, its log and its time', async () => {
    const { handler, calls } = handlerThat();
    await handler(bytes([cloudEvent(body)]), context);
    const call = calls[0]!;
    expect(call.credentials).toMatchObject({ accessKeyId: 'AK' });
    expect(String(call.credentials!.accessKeySecret)).toBe('***');
    expect(call.remainingMs()).toBeGreaterThan(50_000);
    expect(call.remainingMs()).toBeLessThanOrEqual(60_000);
    call.log.info('hello');
    expect(printed.at(-1)).toMatchObject({
      message: 'hello',
      requestId: '1-test',
      function: 'datamap-test-connectivity',
      queue: QUEUES.connectivityTest,
      messageId: 'M1',
    });
  });

  it('F19 buries what is no message of this queue, with the reason, and takes the neighbours', async () => {
    const { handler, seen } = handlerThat();
    const other = wrapMessage(
      { type: 'data-source.saved', data: { workspaceId: 1, dataSourceId: message(1).data.testId, version: 1 } },
      'x',
    );
    const newer = JSON.stringify({ ...JSON.parse(body), dataversion: 99 });
    await handler(bytes(['garbage', other, newer, body].map((text) => cloudEvent(text))), context);
    expect(seen).toEqual([1]);
    expect(await deadLetters()).toEqual([
      expect.objectContaining({
        body: 'garbage',
        reason: expect.stringContaining('not JSON'),
        queueName: QUEUES.connectivityTest,
        messageId: 'M1',
      }),
      expect.objectContaining({ body: other, reason: expect.stringContaining('data-source.saved') }),
      expect.objectContaining({ body: newer, reason: expect.stringContaining('99'), functionName: 'datamap-test-connectivity' }),
    ]);
  });

  it('F20 throws for a failure that a repeat may cure, after the neighbours were handled', async () => {
    const { handler, seen } = handlerThat({ 1: new Unreachable('database', 'connect'), 2: new Conflict('again') });
    const event = bytes([1, 2, 3].map((n) => cloudEvent(wrapMessage(message(n), 'test'))));
    await expect(handler(event, context)).rejects.toThrow(/2 of 3 messages must come again: database not reachable/);
    expect(seen).toEqual([1, 2, 3]);
    expect(await deadLetters()).toEqual([]);
  });

  it('begins no message when too little time is left, and asks for it again', async () => {
    const seen: number[] = [];
    const handler = eventHandler({
      message: ConnectivityTestRequested,
      env: z.object({}),
      build: () => ({}),
      async run(m, _, call) {
        seen.push(m.data.workspaceId);
        await expect.poll(() => call.remainingMs()).toBeLessThan(200);
      },
    });
    const event = bytes([1, 2].map((n) => cloudEvent(wrapMessage(message(n), 'test'))));
    await expect(handler(event, { ...context, function: { timeout: 0.7 } })).rejects.toThrow(/1 of 2 .*no time left/);
    expect(seen).toEqual([1]);
  });

  it('buries a failure that no repeat cures', async () => {
    const { handler } = handlerThat({ 1: new AccessDenied('bucket x', 'not-authorized') });
    await handler(bytes([cloudEvent(body)]), context);
    expect(await deadLetters()).toEqual([expect.objectContaining({ body, reason: expect.stringContaining('AccessDenied') })]);
  });

  it('throws when a message can be neither read nor buried', async () => {
    const { handler } = handlerThat();
    await expect(handler(bytes({ messageBody: 'garbage' }), context)).rejects.toThrow(/not JSON/);
    const { credentials: _, ...keyless } = context;
    await expect(handler(bytes([cloudEvent('garbage')]), keyless)).rejects.toThrow(/not JSON/);
    await mns.store.remove(DEAD);
    await expect(handler(bytes([cloudEvent('garbage')]), context)).rejects.toThrow(/must come again/);
  });

  it('keeps a message that is too large to travel with its reason', async () => {
    const { handler } = handlerThat();
    const large = 'x'.repeat(48_000);
    await handler(bytes([cloudEvent(large)]), context);
    expect(await deadLetters()).toEqual([{ body: large }]);
  });

  it('names every missing variable at the first call, not at import', async () => {
    const handler = eventHandler({
      message: ConnectivityTestRequested,
      env: z.object({ NOT_SET_ONE: z.string(), NOT_SET_TWO: z.string() }),
      build: () => ({}),
      run: async () => {},
    });
    await expect(handler(bytes([cloudEvent(body)]), context)).rejects.toThrow(/NOT_SET_ONE.*NOT_SET_TWO/);
  });

  it('shows no secret when it prints its call', async () => {
    const { handler, calls } = handlerThat();
    await handler(bytes([cloudEvent(body)]), context);
    calls[0]!.log.info('all', { credentials: calls[0]!.credentials, again: calls[0]!.credentials!.accessKeySecret });
    expect(JSON.stringify(printed)).not.toContain('SK"');
  });
});

describe('timerHandler', () => {
  const handler = (run: (tick: unknown) => void) =>
    timerHandler({ env: z.object({}), build: () => ({}), run: async (tick) => run(tick) });
  it('reads the trigger’s event', async () => {
    const ticks: unknown[] = [];
    await handler((tick) => ticks.push(tick))(readFileSync('events/schedule-collection/every-minute.json'), context);
    expect(ticks).toMatchObject([{ triggerTime: expect.any(Date), triggerName: expect.any(String) }]);
  });
  it('refuses what is not one', async () => {
    await expect(handler(() => {})(Buffer.from('{}'), context)).rejects.toThrow(/triggerTime/);
    await expect(handler(() => {})(Buffer.from('x'), context)).rejects.toThrow(/not JSON/);
  });
});

describe('objectEventHandler', () => {
  it('hands the event over as JSON, drops what is none, throws what failed', async () => {
    const seen: unknown[] = [];
    const handler = objectEventHandler({
      env: z.object({}),
      build: () => ({}),
      run: async (event) => {
        seen.push(event);
        if ((event as { fail?: boolean }).fail) throw new Unreachable('database', 'connect');
      },
    });
    await handler(Buffer.from('{"events":[]}'), context);
    await handler(Buffer.from('not json'), context);
    expect(seen).toEqual([{ events: [] }]);
    expect(printed.at(-1)).toMatchObject({ level: 'error', message: 'object event dropped' });
    await expect(handler(Buffer.from('{"fail":true}'), context)).rejects.toThrow(/database/);
  });
});
