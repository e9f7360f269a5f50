import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { openSecret, parseKeyElements, parseKeyRing, sealSecret } from '../../../shared/credentials/envelope.ts';
import { storageEnv, storageSettings } from '../../../shared/credentials/environment-store.ts';
import { openKeyRing } from '../../../shared/credentials/key-service.ts';
import { type AccessKeys, Secret } from '../../../shared/credentials/secret.ts';
import { AccessDenied, InvalidInput, Unreachable } from '../../../shared/errors.ts';
import { startTestKms, type TestKms } from '../../support/kms.ts';

const functionKeys: AccessKeys = {
  accessKeyId: 'STS.functions',
  accessKeySecret: new Secret('function-secret'),
  securityToken: new Secret('function-token'),
};
const place = { workspaceId: 1, dataSourceId: 'a', environmentId: 'b' };
const newKey = () => randomBytes(32).toString('base64');

describe('keys that KMS decrypts', () => {
  let kms: TestKms;
  let key: string;
  let ciphertext: string;
  beforeEach(async () => {
    kms = await startTestKms(functionKeys);
    key = newKey();
    ciphertext = randomBytes(140).toString('base64');
    kms.plaintexts.set(ciphertext, key);
  });
  afterEach(() => kms.close());

  const open = (text = `kms:${ciphertext}`, service: object = {}) =>
    openKeyRing(parseKeyElements(text), { endpoint: kms.url, callerKeys: functionKeys, timeoutMs: 400, ...service });

  it('are the same keys as the plain ones', async () => {
    const sealed = sealSecret(parseKeyRing(key), 'x', place);
    const ring = await open();
    expect(openSecret(ring, sealed, place).reveal()).toBe('x');
    expect(ring.currentId).toBe(parseKeyRing(key).currentId);
    expect(kms.requests).toMatchObject([{ action: 'Decrypt', code: '', securityToken: 'function-token' }]);
    expect(kms.requests[0]!.query).not.toContain('CiphertextBlob');
  });

  it('stand beside plain ones, newest first', async () => {
    const older = newKey();
    const text = `kms:${ciphertext}, ${older}`;
    const ring = await open(text);
    expect(ring.currentId).toBe(parseKeyRing(key).currentId);
    expect(openSecret(ring, sealSecret(parseKeyRing(older), 'y', place), place).reveal()).toBe('y');
  });

  it('are asked for once, however many want them at once, also with other temporary keys later', async () => {
    const rings = await Promise.all(Array.from({ length: 5 }, () => open()));
    expect(new Set(rings.map((ring) => ring.currentId)).size).toBe(1);
    await open(undefined, { callerKeys: { ...functionKeys, securityToken: new Secret('another') } });
    expect(kms.requests).toHaveLength(1);
  });

  it.each<[string, object, TestKms['faults'][number]]>([
    ['kms', { reason: 'kms', detail: { permission: 'kms:Decrypt' } }, { status: 403, code: 'Forbidden.NoPermission' }],
    ['a disabled key', { reason: 'not-authorized' }, { status: 409, code: 'Rejected.Disabled' }],
    ['our own keys', { reason: 'unknown-access-key' }, { status: 404, code: 'InvalidAccessKeyId.NotFound' }],
    ['our own session', { reason: 'token-expired' }, { status: 400, code: 'InvalidSecurityToken.Expired' }],
  ])('a refusal because of %s says so, and is not remembered', async (_what, expected, fault) => {
    kms.faults.push(fault);
    const error = await open().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(AccessDenied);
    expect(error).toMatchObject(expected);
    expect(JSON.stringify(error) + String(error)).not.toContain(ciphertext.slice(0, 20));
    expect((await open()).keys.size).toBe(1);
  });

  it.each<[string, TestKms['faults'][number]]>([
    ['throttled', { status: 400, code: 'Throttling.User' }],
    ['server-error', { status: 503, code: 'ServiceUnavailable' }],
    ['cut', { cut: true }],
    ['timeout', { delayMs: 1_500 }],
    ['timeout', { trickle: true }],
    ['bad-answer', { body: '{}' }],
  ])('no answer (%s, %j) is told in time, and is not remembered', async (reason, fault) => {
    kms.faults.push(fault);
    const startedAt = performance.now();
    const error = await open().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Unreachable);
    expect(error).toMatchObject({ reason });
    expect(performance.now() - startedAt).toBeLessThan(1_400);
    expect((await open()).keys.size).toBe(1);
  });

  it('refuses a ciphertext of another key, and one that holds no key of ours', async () => {
    await expect(open(`kms:${randomBytes(140).toString('base64')}`)).rejects.toBeInstanceOf(InvalidInput);
    for (const plaintext of ['marker-not-a-key', Buffer.alloc(32, 7).toString('base64'), randomBytes(16).toString('base64')]) {
      const other = randomBytes(140).toString('base64');
      kms.plaintexts.set(other, plaintext);
      const error = await open(`${newKey()},kms:${other}`).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(InvalidInput);
      expect(String(error)).toContain('DATAMAP_ENCRYPTION_KEY: key 2');
      expect(String(error)).not.toContain(plaintext);
    }
  });

  it('need an identity', async () => {
    await expect(open(undefined, { callerKeys: undefined })).rejects.toMatchObject({ reason: 'kms' });
    expect(kms.requests).toHaveLength(0);
    await expect(open(undefined, { callerKeys: { ...functionKeys, accessKeySecret: new Secret('x') } })).rejects.toMatchObject({
      reason: 'wrong-secret',
    });
  });
});

describe('the environment of a function', () => {
  const Env = z.object(storageEnv);
  const ciphertext = randomBytes(140).toString('base64');

  it('takes both forms of a key, and asks nobody until a key is needed', async () => {
    const key = newKey();
    const kms = await startTestKms(functionKeys);
    try {
      kms.plaintexts.set(ciphertext, key);
      const env = Env.parse({ DATAMAP_ENCRYPTION_KEY: `kms:${ciphertext}`, DATAMAP_KMS_ENDPOINT: kms.url });
      const settings = storageSettings(env, functionKeys);
      expect(kms.requests).toHaveLength(0);
      expect((await settings.keyRing()).currentId).toBe(parseKeyRing(key).currentId);
      expect((await storageSettings(env, functionKeys).keyRing()).currentId).toBe(parseKeyRing(key).currentId);
      expect(kms.requests).toHaveLength(1);
    } finally {
      await kms.close();
    }
    const plain = storageSettings(Env.parse({ DATAMAP_ENCRYPTION_KEY: key }), undefined);
    expect((await plain.keyRing()).currentId).toBe(parseKeyRing(key).currentId);
  });

  it.each([
    ['kms:', 'https://kms.cn-hangzhou.aliyuncs.com'],
    ['kms:not base64!', ''],
    [`kms:${'A'.repeat(7000)}`, ''],
    ['marker-too-short', ''],
    [`kms:${ciphertext}`, 'http://kms.cn-hangzhou.aliyuncs.com'],
    [`kms:${ciphertext}`, 'https://kms.cn-hangzhou.aliyuncs.com/path'],
    [`kms:${ciphertext}`, 'https://user:marker-pass@kms.cn-hangzhou.aliyuncs.com'],
  ])('refuses %s with %s, and repeats neither', (key, endpoint) => {
    const result = Env.safeParse({ DATAMAP_ENCRYPTION_KEY: key, DATAMAP_KMS_ENDPOINT: endpoint });
    expect(result.success).toBe(false);
    const said = JSON.stringify(result.error?.issues);
    expect(said).not.toContain('marker');
    if (key.length > 8) expect(said).not.toContain(key.slice(4, 24));
  });
});
