import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTrial, type Trial } from './trial.ts';

let trial: Trial;
let url: string;
beforeAll(async () => {
  trial = await startTrial();
  url = trial.endpoint.httpUrl!;
});
afterAll(() => trial.close());

describe('HTTP trigger', () => {
  it('hands over method, raw and decoded path, query, headers and body, and writes the answer', async () => {
    const response = await fetch(`${url}/a%20b?q=1&q=2&w=%C3%A9`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-multi': 'a' },
      body: '{"é":1}',
    });
    expect(response.status).toBe(201);
    expect(response.headers.get('x-own')).toBe('yes');
    expect(response.headers.get('x-fc-request-id')).toMatch(/^1-/);
    expect(await response.json()).toMatchObject({
      version: 'v1',
      rawPath: '/a%20b',
      isBase64Encoded: true,
      body: Buffer.from('{"é":1}').toString('base64'),
      headers: { 'Content-Type': 'application/json', 'X-Multi': 'a' },
      queryParameters: { q: '1,2', w: 'é' },
      requestContext: {
        requestId: response.headers.get('x-fc-request-id'),
        timeEpoch: expect.stringMatching(/^\d+$/),
        http: { method: 'POST', path: '/a b', protocol: 'HTTP/1.1', sourceIp: '127.0.0.1' },
      },
    });
  });

  it('decodes binary answers and keeps the platform’s headers to itself', async () => {
    const response = await fetch(`${url}/bytes`);
    expect(Buffer.from(await response.arrayBuffer())).toEqual(Buffer.from([137, 0, 255]));
    expect(response.headers.get('date')).not.toBe('never');
  });

  it('sends an answer without the structure as it is', async () => {
    const response = await fetch(`${url}/bare`);
    expect([response.status, await response.json()]).toEqual([200, { plain: true }]);
  });

  it('answers 502 when the function fails, without its words', async () => {
    const response = await fetch(`${url}/throw`);
    expect(response.status).toBe(502);
    expect(await response.text()).not.toContain('as asked');
  });

  it('refuses other methods, long paths and foreign host names', async () => {
    expect((await fetch(url, { method: 'DELETE' })).status).toBe(405);
    expect((await fetch(`${url}/${'x'.repeat(4_096)}`)).status).toBe(400);
    expect(await statusFor('evil.example')).toBe(403);
    expect(await statusFor('console.localhost:1234')).toBe(201);
  });
});

/** `fetch` does not let a caller choose the Host header. */
function statusFor(host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request(url, { headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end();
  });
}
