import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { Unreachable } from '../../../shared/errors.ts';
import { type HttpAnswer, type HttpEvent, httpHandler, toRequest } from '../../../shared/fc/http-handler.ts';

const event = (change: Partial<HttpEvent> = {}): HttpEvent => ({
  ...(JSON.parse(readFileSync('events/console-api/post-data-source.json', 'utf8')) as HttpEvent),
  ...change,
});
const context = { requestId: '1-test', function: { name: 'datamap-console-api', timeout: 60 } };
const handlerOf = (fetch: (request: Request, call: { sourceIp?: string }) => Response | Promise<Response>) =>
  httpHandler({ env: z.object({}), build: () => ({}), fetch: (request, _, call) => fetch(request, call) });
const call = async (fetch: Parameters<typeof handlerOf>[0], e: unknown = event()) =>
  (await handlerOf(fetch)(Buffer.from(typeof e === 'string' ? e : JSON.stringify(e)), context)) as HttpAnswer;

let printed: string[];
beforeEach(() => {
  printed = [];
  vi.spyOn(process.stdout, 'write').mockImplementation((line) => printed.push(String(line)) > 0);
});
afterEach(() => vi.restoreAllMocks());

describe('an HTTP event as a request', () => {
  it('keeps path, query, headers, method and body', async () => {
    const request = toRequest(
      event({
        rawPath: '/api/v1/a%20b%2Fc',
        queryParameters: { q: 'é&=', page: '2' },
        headers: { Host: 'abc.cn-hangzhou.fcapp.run', 'Content-Type': 'application/json', Authorization: 'Bearer x' },
        body: Buffer.from('{"é":1}').toString('base64'),
        isBase64Encoded: true,
      }),
    );
    expect(request.method).toBe('POST');
    expect(request.url).toBe('https://abc.cn-hangzhou.fcapp.run/api/v1/a%20b%2Fc?q=%C3%A9%26%3D&page=2');
    expect(request.headers.get('authorization')).toBe('Bearer x');
    expect(await request.json()).toEqual({ é: 1 });
  });

  it('takes a plain body by its flag', async () => {
    expect(await toRequest(event({ body: 'e30=', isBase64Encoded: false })).text()).toBe('e30=');
  });

  it.each(['//evil.example/x', '/\\evil.example', '/@evil.example/'])('never lets the path %s choose the host', (rawPath) => {
    expect(new URL(toRequest(event({ rawPath, headers: { Host: 'own.example' } })).url).hostname).toBe('own.example');
  });

  it('does without a usable Host header', () => {
    expect(new URL(toRequest(event({ headers: { Host: 'no host/at all' } })).url).hostname).toBe('localhost');
  });
});

describe('a response as the trigger wants it', () => {
  it('sends text as text and the rest as base64', async () => {
    expect(await call(() => Response.json({ é: 1 }, { status: 201, headers: { 'x-own': 'yes' } }))).toEqual({
      statusCode: 201,
      headers: { 'content-type': 'application/json', 'x-own': 'yes' },
      isBase64Encoded: false,
      body: '{"é":1}',
    });
    const image = await call(() => new Response(new Uint8Array([137, 0, 255]), { headers: { 'content-type': 'image/png' } }));
    expect(image).toMatchObject({ isBase64Encoded: true, body: Buffer.from([137, 0, 255]).toString('base64') });
  });

  it('leaves the platform’s headers to the platform, and HEAD without a body', async () => {
    const http = { ...event().requestContext!.http!, method: 'HEAD' };
    const answer = await call(
      () => new Response('text', { headers: { date: 'never', connection: 'close', etag: '"1"' } }),
      event({ requestContext: { http } }),
    );
    expect(answer.headers).toEqual({ 'content-type': 'text/plain;charset=UTF-8', etag: '"1"' });
    expect(answer.body).toBe('');
  });

  it('tells the caller’s address', async () => {
    let sourceIp: string | undefined;
    await call((_, { sourceIp: ip }) => {
      sourceIp = ip;
      return new Response(null, { status: 204 });
    });
    expect(sourceIp).toBe(event().requestContext!.http!.sourceIp);
  });

  it('answers problems, and never with the words of an error', async () => {
    const failed = await call(() => {
      throw new Error('password hunter2');
    });
    expect([failed.statusCode, failed.headers['content-type']]).toEqual([500, 'application/problem+json']);
    expect(failed.body).not.toContain('hunter2');
    expect(failed.body).toContain('1-test');
    const away = await call(() => Promise.reject(new Unreachable('database', 'connect')));
    expect([away.statusCode, away.headers['retry-after']]).toEqual([503, '5']);
    for (const bad of ['x', '{}', '{"rawPath":"no-slash"}', 'null'])
      expect((await call(() => new Response(), bad)).statusCode).toBe(400);
  });
});
