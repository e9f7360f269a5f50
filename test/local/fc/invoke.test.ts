import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Secret } from '../../../shared/credentials/secret.ts';
import { type InvokeOptions, invokeFunction } from '../../../shared/fc/invoke.ts';
import { ACCOUNT, startTrial, type Trial } from './trial.ts';

let trial: Trial;
beforeAll(async () => {
  trial = await startTrial();
});
afterAll(() => trial.close());

const options = (more: Partial<InvokeOptions> & { event: Uint8Array }): InvokeOptions => ({
  endpoint: trial.endpoint.url,
  accountId: ACCOUNT,
  region: 'cn-hangzhou',
  keys: { accessKeyId: 'AK', accessKeySecret: new Secret('SK') },
  target: { family: 'fc3' },
  functionName: 'trial-probe',
  ...more,
});
const bytes = (value: unknown) => Buffer.from(JSON.stringify(value));
const text = (body: Uint8Array) => Buffer.from(body).toString('utf8');

describe.each([{ family: 'fc3' as const }, { family: 'fc2' as const, service: 'trial' }])(
  'invokeFunction on $family',
  (target) => {
    it('gives the answer with its log', async () => {
      const answer = await invokeFunction(options({ target, event: bytes({ do: 'print' }) }));
      expect(answer).toMatchObject({ status: 200, requestId: expect.stringMatching(/^1-/) });
      expect(text(answer.body)).toBe('printed');
      expect(answer.logTail).toContain('second line');
      expect(answer.durationMs).toBeGreaterThan(0);
      const raw = await invokeFunction(options({ target, event: bytes({ do: 'bytes' }) }));
      expect([...raw.body]).toEqual([0, 255, 128]);
    });

    it('gives a failure as an answer', async () => {
      const answer = await invokeFunction(options({ target, event: bytes({ do: 'throw' }) }));
      expect(answer.errorType).toBe('UnhandledInvocationError');
      expect(JSON.parse(text(answer.body)).errorMessage).toBe('as asked');
    });

    it('returns at once when asynchronous', async () => {
      const answer = await invokeFunction(options({ target, event: bytes({ mark: target.family }), async: true }));
      expect(answer).toMatchObject({ status: 202, requestId: expect.stringMatching(/^1-/) });
      expect(answer.body.byteLength).toBe(0);
      await expect.poll(() => trial.seen().map((one) => one.requestId)).toContain(answer.requestId);
    });

    it('names what is wrong', async () => {
      const event = bytes({});
      await expect(invokeFunction(options({ target, event, functionName: 'none' }))).rejects.toMatchObject({ code: 'not-found' });
      const keys = { accessKeyId: 'AK', accessKeySecret: new Secret('no') };
      await expect(invokeFunction(options({ target, event, keys }))).rejects.toMatchObject({ reason: 'wrong-secret' });
      await expect(invokeFunction(options({ target, event, endpoint: 'http://127.0.0.1:1' }))).rejects.toMatchObject({
        code: 'unreachable',
        reason: 'connect',
      });
    });
  },
);
