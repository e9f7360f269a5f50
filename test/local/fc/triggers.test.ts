import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';
import { ACCOUNT, startTrial, type Trial } from './trial.ts';

let db: TestDatabase;
let trial: Trial;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.close());
beforeEach(async () => {
  await db.query('drop schema if exists local_queue cascade');
  trial = await startTrial({ triggers: true, db });
});
afterEach(() => trial.close());

const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64');
const send = (value: unknown, queue = 'trial-work') => trial.store.send(queue, [{ body: base64(value), priority: 8 }]);
const counts = async (queue: string) => {
  const { active, inactive, delayed } = (await trial.store.get(queue))!;
  return { active, inactive, delayed };
};
const commands = () =>
  trial.seen().map((one) => JSON.parse((one.request as { data: { messageBody: string } }[])[0]!.data.messageBody));

describe('queue trigger', () => {
  it('invokes with an array of CloudEvents as soon as a message comes, and deletes it', async () => {
    const [sent] = await send({ n: 1 });
    await expect.poll(() => trial.seen().length).toBe(1);
    expect(trial.seen()[0]!.request).toEqual([
      expect.objectContaining({
        specversion: '1.0',
        source: 'MNS-trial-probe-work',
        type: 'mns:Queue:SendMessage',
        subject: `acs:mns:cn-hangzhou:${ACCOUNT}:queues/trial-work`,
        time: '2026-01-15T08:30:00.000Z',
        data: { requestId: expect.any(String), messageId: sent!.messageId, messageBody: '{"n":1}' },
      }),
    ]);
    await expect.poll(() => counts('trial-work')).toEqual({ active: 0, inactive: 0, delayed: 0 });
  });

  it('brings a failed message again after a pause, and to the dead letters after its last try', async () => {
    await send({ do: 'throw' });
    for (let attempt = 1; attempt <= 4; attempt++) {
      // The minute's timer invokes too; a queue's events are arrays.
      await expect.poll(() => trial.seen().filter((one) => Array.isArray(one.request)).length).toBe(attempt);
      if (attempt < 4) {
        await expect.poll(() => trial.logged.filter((line) => line.message === 'queue message comes again').length).toBe(attempt);
        trial.clock.advance(20_000);
      }
    }
    await expect.poll(() => counts('trial-work-dead')).toEqual({ active: 1, inactive: 0, delayed: 0 });
    expect(await counts('trial-work')).toEqual({ active: 0, inactive: 0, delayed: 0 });
    const [dead] = await trial.store.peek('trial-work-dead', 1);
    const event = JSON.parse(Buffer.from(dead!.body, 'base64').toString('utf8'));
    expect(event.data.messageBody).toBe('{"do":"throw"}');
  });

  it('runs as many at once as it has tasks', async () => {
    for (let n = 0; n < 4; n++) await send({ do: 'sleep', ms: 300, n });
    await expect.poll(() => trial.seen().length).toBe(2);
    await expect.poll(() => counts('trial-work')).toEqual({ active: 0, inactive: 0, delayed: 0 });
    expect(
      commands()
        .map((c) => c.n)
        .sort(),
    ).toEqual([0, 1, 2, 3]);
  });

  it('brings the message of a killed function again', async () => {
    await send({ do: 'sleep', ms: 1_000 });
    await expect.poll(() => trial.seen().length).toBe(1);
    process.kill(trial.seen()[0]!.pid, 'SIGKILL');
    await expect.poll(() => trial.logged.some((line) => line.message === 'queue message comes again')).toBe(true);
    expect(await counts('trial-work')).toEqual({ active: 0, inactive: 1, delayed: 0 });
    trial.clock.advance(20_000);
    await expect.poll(() => trial.seen().length).toBe(2);
    await expect.poll(() => counts('trial-work')).toEqual({ active: 0, inactive: 0, delayed: 0 });
  });

  it('takes up again at once what a killed platform held', async () => {
    await send({ do: 'hang' });
    await expect.poll(() => trial.seen().length).toBe(1);
    // Stopped without grace: the message stays hidden, as after a crash.
    await trial.close();
    await db.query(`update local_queue.message set visible_at_ms = visible_at_ms + 3600000 where queue_name = 'trial-work'`);
    trial = await startTrial({ triggers: true, db });
    await expect.poll(() => trial.seen().length).toBe(1);
  });

  it('passes a body that is not base64 as it is', async () => {
    await trial.store.send('trial-work', [{ body: 'not base64!', priority: 8 }]);
    await expect.poll(() => trial.seen().length).toBe(1);
    expect(trial.seen()[0]!.request).toMatchObject([{ data: { messageBody: 'not base64!' } }]);
  });
});

describe('timer trigger', () => {
  it('fires at each moment of its schedule, asynchronously', async () => {
    trial.clock.advance(59_999);
    expect(trial.seen()).toEqual([]);
    trial.clock.advance(1);
    await expect.poll(() => trial.seen().length).toBe(1);
    expect(trial.seen()[0]!.request).toEqual({
      triggerTime: '2026-01-15T08:31:00Z',
      triggerName: 'minutely',
      payload: '{"job":1}',
    });
    await expect.poll(() => counts('.async-trial-probe')).toEqual({ active: 0, inactive: 0, delayed: 0 });
    trial.clock.advance(60_000);
    await expect.poll(() => trial.seen().length).toBe(2);
  });
});

describe('object events', () => {
  const notification = (bucket: string, key: string, eventName = 'ObjectCreated:PutObject') => ({
    events: [{ eventName, eventSource: 'acs:oss', oss: { bucket: { name: bucket }, object: { key } } }],
  });

  it('reach a native trigger whose bucket, kind and prefix fit, as they are', async () => {
    const event = notification('watched', 'wh/db.db/t/snapshot/snapshot-1');
    await trial.endpoint.objectEvent(event);
    await expect.poll(() => trial.seen().map((one) => one.request)).toEqual([event]);
  });

  it('go to the queue otherwise', async () => {
    await trial.endpoint.objectEvent(notification('watched', 'other/snapshot-1'));
    await trial.endpoint.objectEvent(notification('elsewhere', 'wh/snapshot-1'));
    await trial.endpoint.objectEvent(notification('watched', 'wh/snapshot-1', 'ObjectRemoved:DeleteObject'));
    await expect.poll(() => trial.seen().length).toBe(3);
    for (const { request } of trial.seen()) expect(request).toMatchObject([{ type: 'mns:Queue:SendMessage' }]);
  });
});

describe('asynchronous invocation', () => {
  const invokeAsync = async (event: unknown) => {
    await trial.endpoint.objectEvent({
      ...(event as object),
      events: [{ eventName: 'ObjectCreated:PutObject', oss: { bucket: { name: 'watched' }, object: { key: 'wh/x' } } }],
    });
  };

  it('repeats a failed one, counts its tries, and reports the last failure to the destination', async () => {
    await invokeAsync({ do: 'throw' });
    for (let attempt = 1; attempt <= 3; attempt++) {
      await expect.poll(() => trial.seen().length).toBe(attempt);
      await expect
        .poll(
          async () =>
            (await db.query(`select 1 from local_queue.message where visible_at_ms < ${trial.clock.now() + 10_000}`)).length,
        )
        .toBe(1);
      trial.clock.advance(10_000);
    }
    expect(trial.seen().map((one) => one.retryCount)).toEqual([0, 1, 2]);
    await expect.poll(() => counts('trial-async-dead')).toEqual({ active: 1, inactive: 0, delayed: 0 });
    const [report] = await trial.store.peek('trial-async-dead', 1);
    expect(JSON.parse(Buffer.from(report!.body, 'base64').toString('utf8'))).toMatchObject({
      requestContext: { condition: 'RetriesExhausted', approximateInvokeCount: 3 },
      responseContext: { functionError: 'UnhandledInvocationError' },
    });
  });

  it('survives a restart before it ran', async () => {
    await trial.close();
    trial = await startTrial({ db });
    await trial.store.send('.async-trial-probe', [
      { body: JSON.stringify({ requestId: '1-kept', event: base64({ kept: 1 }), acceptedAtMs: trial.clock.now() }), priority: 8 },
    ]);
    await expect.poll(() => trial.seen()).toMatchObject([{ request: { kept: 1 }, requestId: '1-kept' }]);
  });
});

describe('stopping', () => {
  it('lets what runs end, and takes nothing new', async () => {
    await send({ do: 'sleep', ms: 400 });
    await expect.poll(() => trial.seen().length).toBe(1);
    const stopping = trial.endpoint.stop(5_000);
    await send({ n: 'late' });
    await stopping;
    expect(await counts('trial-work')).toEqual({ active: 1, inactive: 0, delayed: 0 });
    expect(trial.seen().length).toBe(1);
  });

  it('ends by force what does not end in time, and the message comes again at the next start', async () => {
    await send({ do: 'hang' });
    await expect.poll(() => trial.seen().length).toBe(1);
    const { pid } = trial.seen()[0]!;
    await trial.endpoint.stop(50);
    await expect.poll(() => isAlive(pid)).toBe(false);
    expect((await counts('trial-work')).inactive).toBe(1);
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
