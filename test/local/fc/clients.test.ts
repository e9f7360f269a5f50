import { createRequire } from 'node:module';
import { Readable } from 'node:stream';
import Fc2 from '@alicloud/fc2';
import type fc3Package from '@alicloud/fc20230330';
import { $OpenApiUtil } from '@alicloud/openapi-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACCOUNT, startTrial, type Trial } from './trial.ts';

/** As Node itself loads it: bundlers and test runners differ in how they see its default export. */
const fc3: typeof fc3Package = createRequire(import.meta.url)('@alicloud/fc20230330');

let trial: Trial;
beforeAll(async () => {
  trial = await startTrial();
});
afterAll(() => trial.close());

/** The clients of both API versions, unmodified. */
const old = (keys = { accessKeyID: 'AK', accessKeySecret: 'SK' }) =>
  new Fc2(ACCOUNT, { ...keys, region: 'cn-hangzhou', endpoint: trial.endpoint.url });
const current = (keys: object = { accessKeyId: 'AK', accessKeySecret: 'SK' }) => {
  return new fc3.default(
    new $OpenApiUtil.Config({ ...keys, regionId: 'cn-hangzhou', endpoint: new URL(trial.endpoint.url).host, protocol: 'HTTP' }),
  );
};

async function invoke(event: unknown, headers: object = {}, name = 'trial-probe', client = current()) {
  const body = Readable.from([Buffer.from(typeof event === 'string' ? event : JSON.stringify(event))]);
  const answer = await client.invokeFunctionWithOptions(
    name,
    new fc3.InvokeFunctionRequest({ body }),
    new fc3.InvokeFunctionHeaders(headers as never),
    { autoretry: false } as never,
  );
  const chunks: Buffer[] = [];
  for await (const chunk of answer.body as unknown as AsyncIterable<Buffer>) chunks.push(Buffer.from(chunk));
  const bytes = Buffer.concat(chunks);
  return { status: answer.statusCode!, headers: answer.headers!, bytes, text: bytes.toString('utf8') };
}

describe('the client of version 2023-03-30', () => {
  it('invokes and gets the answer, bytes untouched', async () => {
    const answer = await invoke({ a: '“1”' });
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.text)).toEqual({ a: '“1”' });
    expect(answer.headers['x-fc-request-id']).toMatch(/^1-/);
    expect((await invoke({ do: 'bytes' })).bytes).toEqual(Buffer.from([0, 255, 128]));
  });

  it('finds functions and triggers', async () => {
    const { body } = await current().getFunction('trial-probe', new fc3.GetFunctionRequest({}));
    expect(body).toMatchObject({ functionName: 'trial-probe', memorySize: 256, timeout: 2, runtime: 'nodejs20' });
    expect(JSON.stringify(body)).not.toContain('hello');
    const list = await current().listFunctions(new fc3.ListFunctionsRequest({ prefix: 'trial-', limit: 3 }));
    expect(list.body?.functions?.map((f) => f.functionName)).toEqual(['trial-broken', 'trial-callback', 'trial-probe']);
    const rest = await current().listFunctions(
      new fc3.ListFunctionsRequest({ prefix: 'trial-', limit: 3, nextToken: list.body!.nextToken! }),
    );
    expect(rest.body?.functions?.map((f) => f.functionName)).toEqual(['trial-web']);
    const triggers = await current().listTriggers('trial-web', new fc3.ListTriggersRequest({}));
    expect(triggers.body?.triggers?.map((t) => t.triggerType)).toEqual(['http']);
  });

  it('gets errors by their codes', async () => {
    await expect(invoke({}, {}, 'none')).rejects.toMatchObject({ code: 'FunctionNotFound' });
    const wrong = current({ accessKeyId: 'AK', accessKeySecret: 'no' });
    await expect(invoke({}, {}, 'trial-probe', wrong)).rejects.toMatchObject({ code: 'SignatureNotMatch' });
    const unknown = current({ accessKeyId: 'NO', accessKeySecret: 'no' });
    await expect(invoke({}, {}, 'trial-probe', unknown)).rejects.toMatchObject({ code: 'InvalidAccessKeyID' });
    const temporary = current({ accessKeyId: 'STS.AK', accessKeySecret: 'STS-SK', securityToken: 'TOKEN' });
    expect((await invoke({ ok: 1 }, {}, 'trial-probe', temporary)).text).toBe('{"ok":1}');
  });
});

describe('the client of version 2016-08-15', () => {
  it('invokes, sees failures as answers, and gets errors by their codes', async () => {
    const answer = await old().invokeFunction('trial', 'trial-probe', '{"b":2}');
    expect(answer.data).toBe('{"b":2}');
    const failed = await old().invokeFunction('trial', 'trial-probe', '{"do":"throw"}');
    expect(failed.headers['x-fc-error-type']).toBe('UnhandledInvocationError');
    expect(failed.data).toMatchObject({ errorMessage: 'as asked', errorType: 'TypeError' });
    await expect(old().invokeFunction('other', 'trial-probe', '')).rejects.toMatchObject({ code: 'ServiceNotFound' });
    await expect(old({ accessKeyID: 'AK', accessKeySecret: 'no' }).listFunctions('trial')).rejects.toMatchObject({
      code: 'SignatureNotMatch',
    });
    const sts = { accessKeyID: 'STS.AK', accessKeySecret: 'STS-SK', securityToken: 'TOKEN' };
    expect((await old(sts).getFunction('trial', 'trial-web')).data.functionName).toBe('trial-web');
    expect((await old().listServices()).data.services[0].serviceName).toBe('trial');
    expect((await old().listFunctions('trial')).data.functions.length).toBe(4);
  });

  it('invokes asynchronously', async () => {
    const answer = await old().invokeFunction('trial', 'trial-probe', '{"async":true}', { 'x-fc-invocation-type': 'Async' });
    await expect.poll(() => trial.seen().some((one) => JSON.stringify(one.request) === '{"async":true}')).toBe(true);
    expect(trial.seen().find((one) => JSON.stringify(one.request) === '{"async":true}')!.requestId).toBe(
      answer.headers['x-fc-request-id'],
    );
  });
});

describe('one invocation', () => {
  it('reports each way to fail with status 200 and its kind', async () => {
    const kind = 'x-fc-error-type';
    const thrown = await invoke({ do: 'throw' });
    expect([thrown.status, thrown.headers[kind]]).toEqual([200, 'UnhandledInvocationError']);
    expect(JSON.parse(thrown.text)).toMatchObject({ errorMessage: 'as asked', errorType: 'TypeError' });
    expect(JSON.parse((await invoke({ do: 'exit' })).text).errorMessage).toMatch(/exited unexpectedly.*code 3/);
    expect(JSON.parse((await invoke('', {}, 'trial-broken')).text).errorMessage).toBe('does not load');
    const handled = await invoke('fail', {}, 'trial-callback');
    expect([handled.headers[kind], JSON.parse(handled.text).errorMessage]).toEqual(['HandledInvocationError', 'handled']);
    expect((await invoke('shout', {}, 'trial-callback')).text).toBe('SHOUT');
  });

  it('ends a function that passes its time, even one that never yields', async () => {
    for (const how of ['hang', 'spin']) {
      const answer = await invoke({ do: how });
      expect(answer.headers['x-fc-error-type'], how).toBe('UnhandledInvocationError');
      expect(JSON.parse(answer.text).errorMessage).toBe('Function timed out after 2 seconds');
    }
    expect((await invoke({ still: 'alive' })).status).toBe(200);
  });

  it('ends a function that passes its memory', async () => {
    const answer = await invoke({ do: 'fill' });
    expect(JSON.parse(answer.text).errorMessage).toMatch(/256 MB/);
  });

  it('serves one invocation at a time in an instance, and several at once in several', async () => {
    const pids = await Promise.all([1, 2, 3, 4].map(async () => JSON.parse((await invoke({ do: 'sleep', ms: 200 })).text).pid));
    expect(new Set(pids).size).toBe(2);
    expect(trial.endpoint.processes().probe!.length).toBeLessThanOrEqual(2);
  });

  it('sees the cloud’s variables and its own, and nothing of the platform’s', async () => {
    process.env.PLATFORM_ONLY = 'secret';
    const seen = JSON.parse((await invoke({ do: 'environment' })).text);
    expect(seen).toMatchObject({
      OWN: '1',
      GREETING: 'hello',
      FC_FUNCTION_NAME: 'trial-probe',
      FC_REGION: 'cn-hangzhou',
      FC_ACCOUNT_ID: ACCOUNT,
      FC_QUALIFIER: 'LATEST',
      ALIBABA_CLOUD_ACCESS_KEY_ID: 'STS.trial',
      ALIBABA_CLOUD_SECURITY_TOKEN: 'role-token',
    });
    expect(seen).not.toHaveProperty('PLATFORM_ONLY');
  });

  it('gets a context with the keys of its role', async () => {
    expect(JSON.parse((await invoke({ do: 'context' })).text)).toMatchObject({
      region: 'cn-hangzhou',
      accountId: ACCOUNT,
      credentials: { accessKeyId: 'STS.trial', accessKeySecret: 'role-secret', securityToken: 'role-token' },
      function: { name: 'trial-probe', handler: 'index.handler', memory: 256, timeout: 2 },
      logger: ['debug', 'info', 'warn', 'error', 'log'],
    });
  });

  it('returns the end of its log when asked', async () => {
    const answer = await invoke({ do: 'print' }, { xFcLogType: 'Tail' });
    const tail = Buffer.from(answer.headers['x-fc-log-result']!, 'base64').toString('utf8');
    expect(tail).toContain('first line');
    expect(tail).toContain('second line');
    expect(trial.lines).toContain('first line');
  });

  it('loses an instance that is killed, and starts another', async () => {
    const running = invoke({ do: 'sleep', ms: 1_500 });
    await expect.poll(() => trial.seen().some((one) => (one.request as { ms?: number }).ms === 1_500)).toBe(true);
    const { pid } = trial.seen().find((one) => (one.request as { ms?: number }).ms === 1_500)!;
    process.kill(pid, 'SIGKILL');
    expect(JSON.parse((await running).text).errorMessage).toMatch(/exited unexpectedly.*SIGKILL/);
    expect((await invoke({ next: 1 })).text).toBe('{"next":1}');
  });
});

describe('idle instances', () => {
  it('end, but one of a function with an HTTP trigger stays', async () => {
    const short = await startTrial({ idleMs: 100 });
    try {
      await short.endpoint.objectEvent({
        events: [{ eventName: 'ObjectCreated:PutObject', oss: { bucket: { name: 'watched' }, object: { key: 'wh/x' } } }],
      });
      await expect.poll(() => short.seen().length).toBe(1);
      await expect.poll(() => short.endpoint.processes().probe).toEqual([]);
      const [web] = short.endpoint.processes().web!;
      await Promise.all([1, 2].map(() => fetch(short.endpoint.httpUrl!)));
      await expect.poll(() => short.endpoint.processes().web!.length).toBe(1);
      expect(web).toBeGreaterThan(0);
    } finally {
      await short.close();
    }
  });
});
