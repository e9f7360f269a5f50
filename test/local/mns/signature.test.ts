import { describe, expect, it } from 'vitest';
import { signMns, verifyMns } from '../../../local/mns/signature.ts';

const date = 'Thu, 15 Jan 2026 08:30:00 GMT';
const nowMs = Date.parse(date);
const base = { date, 'x-mns-date': date, 'x-mns-version': '2015-06-06' };
/** Recorded from the service's own Node.js client. */
const send = {
  method: 'POST',
  target: '/queues/q1/messages',
  headers: { ...base, 'content-type': 'text/xml', 'content-md5': 'M2RmNDc2MjRkNjRmZmZiYWRhNTQ2MTU5NTFlNDE0YTY=' },
};
const receive = { method: 'GET', target: '/queues/q1/messages?waitseconds=5', headers: base };
const findSecret = async (id: string, token?: string) => (id === 'AK' && token === undefined ? 'SK' : undefined);
const withAuth = (request: typeof receive, authorization: string) => ({
  ...request,
  headers: { ...request.headers, authorization },
});

describe('queue signature', () => {
  it('equals what the client sent, with and without a body', () => {
    expect(signMns(send, 'SK')).toBe('koZXeO9icEdBn7OrpJuqjBoFl8Q=');
    expect(signMns(receive, 'SK')).toBe('n67giBSRHN+1mmFG26IZYy8KddE=');
  });

  it('accepts a right signature and refuses each wrong thing by its own name', async () => {
    const right = withAuth(receive, 'MNS AK:n67giBSRHN+1mmFG26IZYy8KddE=');
    await expect(verifyMns(right, findSecret, nowMs)).resolves.toBeUndefined();
    const cases: [string, typeof receive, number][] = [
      ['SignatureDoesNotMatch', withAuth(receive, 'MNS AK:koZXeO9icEdBn7OrpJuqjBoFl8Q='), nowMs],
      ['SignatureDoesNotMatch', { ...right, target: '/queues/q1/messages?waitseconds=6' }, nowMs],
      ['InvalidAccessKeyId', withAuth(receive, 'MNS OTHER:n67giBSRHN+1mmFG26IZYy8KddE='), nowMs],
      ['AccessDenied', withAuth(receive, 'OSS AK:n67giBSRHN+1mmFG26IZYy8KddE='), nowMs],
      ['TimeExpired', right, nowMs + 15 * 60_000 + 1],
      ['MissingAuthorizationHeader', receive, nowMs],
    ];
    for (const [code, request, at] of cases)
      await expect(verifyMns(request, findSecret, at), code).rejects.toMatchObject({ code });
    const { 'x-mns-version': _, ...old } = right.headers as Record<string, string>;
    await expect(verifyMns({ ...right, headers: old }, findSecret, nowMs)).rejects.toMatchObject({
      code: 'MissingVersionHeader',
    });
  });
});
