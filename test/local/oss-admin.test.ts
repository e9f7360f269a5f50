import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../shared/credentials/secret.ts';
import { Unreachable } from '../../shared/errors.ts';
import { openOssStore } from '../../shared/object-store/oss.ts';
import { startDirectoryOss, type TestOss } from '../support/oss.ts';

/** Faults and the list of requests over HTTP, for tests that run outside the endpoint's process. */
const TOKEN = 'admin-token-of-this-test';
let oss: TestOss;
beforeAll(async () => {
  oss = await startDirectoryOss({ adminToken: new Secret(TOKEN) });
});
afterAll(() => oss?.close());
beforeEach(async () => {
  await admin('PUT', '/_faults', []);
  await admin('DELETE', '/_requests');
});

interface Answer {
  error?: string;
  hits?: number[];
  counts?: Record<string, number>;
  requests?: unknown[];
}

const admin = async (method: string, path: string, body?: unknown, token: string | null = TOKEN) => {
  const response = await fetch(`${oss.url}${path}`, {
    method,
    ...(token !== null && { headers: { authorization: `Bearer ${token}` } }),
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  return { status: response.status, json: (await response.json()) as Answer };
};
const store = () =>
  openOssStore({ endpoint: oss.url, region: 'cn-hangzhou', bucket: oss.bucket, keys: oss.keys, retries: 0, timeoutMs: 2_000 });

describe('PUT /_faults', () => {
  it('makes what it names fail, as often as it says, and counts the hits', async () => {
    const rule = { operations: ['ListObjectsV2'], prefix: 'wh/', times: 1, status: 503, code: 'ServiceUnavailable' };
    const set = await admin('PUT', '/_faults', [rule]);
    expect(set).toEqual({ status: 200, json: { hits: [0] } });
    expect((await store().list({ prefix: 'other/' })).objects).toEqual([]);
    await expect(store().list({ prefix: 'wh/' })).rejects.toBeInstanceOf(Unreachable);
    expect((await store().list({ prefix: 'wh/' })).objects).toEqual([]);
    expect((await admin('GET', '/_faults')).json).toEqual({ hits: [2] });
  });

  it('refuses rules that it does not understand and keeps those it has', async () => {
    await admin('PUT', '/_faults', [{ status: 503 }]);
    for (const wrong of [[{ statsu: 503 }], [{ status: 42 }], 'not JSON']) {
      const refused = await admin('PUT', '/_faults', wrong);
      expect(refused.status).toBe(400);
      expect(refused.json.error).toMatch(/./);
    }
    await expect(store().list({ prefix: '' })).rejects.toBeInstanceOf(Unreachable);
  });
});

describe('GET /_requests', () => {
  it('lists what was asked, without a header or a signature, until it is emptied', async () => {
    await store().list({ prefix: 'wh/' });
    expect(await store().get('wh/absent')).toBeUndefined();
    const { status, json } = await admin('GET', '/_requests');
    expect(status).toBe(200);
    expect(json.counts).toEqual({ ListObjectsV2: 1, GetObject: 1 });
    expect(json.requests).toMatchObject([
      { operation: 'ListObjectsV2', bucket: 'lake', key: 'wh/', accessKeyId: oss.keys.accessKeyId, status: 200, code: '' },
      { operation: 'GetObject', bucket: 'lake', key: 'wh/absent', status: 404, code: 'NoSuchKey' },
    ]);
    expect(JSON.stringify(json)).not.toMatch(/signature|authorization|test-secret/i);
    await admin('DELETE', '/_requests');
    expect((await admin('GET', '/_requests')).json).toEqual({ counts: {}, requests: [] });
  });

  it('knows only who bears the admin token, and no other methods', async () => {
    for (const token of [null, '', 'wrong'])
      for (const [method, path] of [
        ['GET', '/_requests'],
        ['DELETE', '/_requests'],
        ['PUT', '/_faults'],
      ] as const)
        expect((await admin(method, path, method === 'PUT' ? [{ status: 503 }] : undefined, token)).status).toBe(401);
    expect((await store().list({ prefix: '' })).objects).toEqual([]);
    expect((await admin('POST', '/_requests', {})).status).toBe(405);
    expect((await admin('PUT', '/_requests', [])).status).toBe(405);
  });

  it('is closed where no admin token was given', async () => {
    const plain = await startDirectoryOss();
    try {
      for (const token of ['', 'any']) {
        const response = await fetch(`${plain.url}/_requests`, { headers: { authorization: `Bearer ${token}` } });
        // An address like any other: the name of a storage bucket, in a request without a signature of OSS.
        expect(response.status).toBe(400);
        expect(await response.text()).toMatch(/<Error>.*<Code>\w+<\/Code>/s);
      }
    } finally {
      await plain.close();
    }
  });
});
