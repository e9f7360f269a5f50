import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { FaultInput } from '../../../local/oss/faults.ts';
import { type AccessKeys, Secret } from '../../../shared/credentials/secret.ts';
import { AccessDenied, FormatError, InvalidInput, NotFound, Unreachable, Unsupported } from '../../../shared/errors.ts';
import { listOssBuckets, type OssOptions, openOssStore } from '../../../shared/object-store/oss.ts';
import { startDirectoryOss, type TestOss } from '../../support/oss.ts';

/** What the adapter makes of refusals and of broken answers, forced at the endpoint. */
describe('OSS adapter', () => {
  let oss: TestOss;
  beforeAll(async () => {
    oss = await startDirectoryOss();
    await import('node:fs/promises').then(({ writeFile }) => writeFile(`${oss.directory}/object`, 'x'.repeat(20_000)));
  });
  afterAll(() => oss?.close());
  afterEach(() => {
    oss.setFaults([]);
    oss.setRegion(oss.bucket, 'cn-hangzhou');
    oss.setBucketPolicies(oss.bucket, []);
    oss.clearRequests();
  });
  const open = (options: Partial<OssOptions & { bucket: string }> = {}) =>
    openOssStore({ bucket: oss.bucket, endpoint: oss.url, region: 'cn-hangzhou', keys: oss.keys, timeoutMs: 300, ...options });

  it.each([
    ['not-authorized', { status: 403, code: 'AccessDenied', message: 'no right', ec: '0003-00000001' }],
    ['unknown-access-key', { status: 403, code: 'InvalidAccessKeyId' }],
    ['wrong-secret', { status: 403, code: 'SignatureDoesNotMatch' }],
    ['token-expired', { status: 403, code: 'SecurityTokenExpired' }],
    ['token-invalid', { status: 403, code: 'InvalidSecurityToken' }],
    ['clock-skew', { status: 403, code: 'RequestTimeTooSkewed' }],
    ['account-disabled', { status: 403, code: 'UserDisable' }],
    ['account-disabled', { status: 403, code: 'InDebt' }],
    ['path-style-refused', { status: 403, code: 'SecondLevelDomainForbidden' }],
    ['wrong-endpoint', { status: 403, code: 'AccessDenied', message: 'must be addressed using the specified endpoint' }],
    ['wrong-endpoint', { status: 400, code: 'InvalidArgument', message: 'Invalid signing region in Authorization header.' }],
    ['wrong-endpoint', { status: 307, code: 'TemporaryRedirect', headers: { location: 'http://127.0.0.1:1/' } }],
    ['kms', { status: 403, code: 'KmsServiceNotEnabled' }],
    ['kms', { status: 403, code: 'AccessDenied', message: 'This request is forbidden by kms.' }],
  ] as [string, FaultInput][])('says %s for %j, to every kind of request', async (reason, fault) => {
    oss.setFaults([fault]);
    for (const ask of [
      () => open().get('object'),
      () => open().head('object'),
      () => open().getRange('object', 0, 1),
      () => open().list({ prefix: '' }),
      () => open().bucketInfo(),
    ]) {
      const error = await ask().catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(AccessDenied);
      expect(error).toMatchObject({ reason, detail: { evidence: { status: fault.status, code: fault.code } } });
      expect((error as AccessDenied).detail.permission).toMatch(/^oss:/);
    }
    if (fault.ec)
      expect(
        await open()
          .get('object')
          .catch((thrown) => thrown),
      ).toMatchObject({ detail: { evidence: { ec: fault.ec } } });
    expect(new Set(oss.requests().map((request) => request.code))).toEqual(new Set([fault.code]));
  });

  it.each([
    ['throttled', { status: 429, code: 'TooManyRequests' }],
    ['throttled', { status: 503, code: 'ServiceUnavailable' }],
    ['server-error', { status: 500, code: 'InternalError' }],
    ['bad-answer', { status: 418, code: 'Teapot' }],
    ['bad-answer', { status: 404, code: '' }],
    ['cut', { cut: 'before' }],
    ['cut', { cut: 10 }],
    ['timeout', { hang: true }],
  ] as [string, FaultInput][])('asks three times and then says %s for %j', async (reason, fault) => {
    oss.setFaults([fault]);
    const error = await open()
      .get('object')
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Unreachable);
    expect(error).toMatchObject({ reason });
    expect(oss.faultHits()).toEqual([3]);
  });

  it('gets over a failure that passes', async () => {
    oss.setFaults([
      { cut: 100, times: 1 },
      { status: 503, code: 'ServiceUnavailable', times: 1 },
    ]);
    expect((await open().get('object'))?.bytes.byteLength).toBe(20_000);
    expect(oss.faultHits()).toEqual([3, 2]);
  });

  it('waits as long as the service asks', async () => {
    oss.setFaults([{ status: 503, code: 'ServiceUnavailable', headers: { 'x-oss-qos-delay-time': '1200' }, times: 1 }]);
    const startedAt = performance.now();
    await open().get('object');
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(1190);
  });

  it('waits for a slow body as long as bytes come', async () => {
    oss.setFaults([{ slowBodyBytesPerSecond: 20_000 }]);
    expect((await open().get('object'))?.bytes.byteLength).toBe(20_000);
  });

  it('does not repeat what cannot help', async () => {
    oss.setFaults([{ status: 403, code: 'AccessDenied' }]);
    await expect(open().get('object')).rejects.toThrow(AccessDenied);
    await expect(open({ retries: 0 }).get('object')).rejects.toThrow(AccessDenied);
    expect(oss.faultHits()).toEqual([2]);
  });

  it('knows a missing bucket from a missing object', async () => {
    await expect(open({ bucket: 'absent-bucket' }).get('object')).rejects.toThrow(NotFound);
    await expect(open({ bucket: 'absent-bucket' }).head('object')).rejects.toThrow(NotFound);
    await expect(open({ bucket: 'absent-bucket' }).list({ prefix: '' })).rejects.toThrow(
      'storage bucket absent-bucket not found',
    );
    expect(await open().head('absent')).toBeUndefined();
  });

  it('never takes somebody else’s page for an empty listing', async () => {
    oss.setFaults([{ status: 200, code: '' }]);
    await expect(open({ retries: 0 }).list({ prefix: '' })).rejects.toMatchObject({ reason: 'bad-answer' });
  });

  it('says that an archived object is not readable, and a too large one', async () => {
    oss.setFaults([{ status: 403, code: 'InvalidObjectState' }]);
    await expect(open().get('object')).rejects.toThrow(Unsupported);
    oss.setFaults([]);
    await expect(open().get('object', { maxBytes: 100 })).rejects.toThrow(FormatError);
  });

  it('stops in the middle when told to', async () => {
    oss.setFaults([{ hang: true }]);
    const asked = open({ timeoutMs: 10_000 }).get('object', { signal: AbortSignal.timeout(50) });
    await expect(asked).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  it('finds the region of the bucket and of the signature at odds', async () => {
    oss.setRegion(oss.bucket, 'cn-beijing');
    await expect(open().list({ prefix: '' })).rejects.toMatchObject({ reason: 'wrong-endpoint' });
    expect(await open({ region: 'oss-cn-beijing' }).bucketLocation()).toBe('cn-beijing');
  });

  it('is let in by a policy for one prefix only as far as that goes', async () => {
    const keys: AccessKeys = { accessKeyId: 'LTAIreader', accessKeySecret: new Secret('reader secret') };
    oss.identities.putUser({
      ...keys,
      policies: [
        {
          Statement: [
            {
              Effect: 'Allow',
              Action: 'oss:ListObjects',
              Resource: 'acs:oss:*:*:lake',
              Condition: { StringLike: { 'oss:Prefix': ['wh', 'wh/*'] } },
            },
            { Effect: 'Allow', Action: 'oss:GetObject', Resource: 'acs:oss:*:*:lake/wh/*' },
          ],
        },
      ],
    });
    const store = open({ keys });
    expect(await store.list({ prefix: 'wh/' })).toEqual({ objects: [], prefixes: [] });
    expect(await store.get('wh/absent')).toBeUndefined();
    await expect(store.list({ prefix: '' })).rejects.toMatchObject({
      reason: 'not-authorized',
      detail: { permission: 'oss:ListObjects' },
    });
    await expect(store.get('object')).rejects.toMatchObject({
      reason: 'not-authorized',
      detail: { permission: 'oss:GetObject' },
    });
    await expect(listOssBuckets({ endpoint: oss.url, region: 'cn-hangzhou', keys })).rejects.toThrow(AccessDenied);
  });

  it('is kept out by a bucket policy on addresses', async () => {
    const allowed = {
      Effect: 'Deny' as const,
      Action: '*',
      Resource: '*',
      Condition: { NotIpAddress: { 'acs:SourceIp': '10.0.0.0/8' } },
    };
    oss.setBucketPolicies(oss.bucket, [{ Statement: [allowed] }]);
    await expect(open().get('object')).rejects.toMatchObject({ reason: 'not-authorized' });
  });

  it.each(['https://user:pw@host', 'host/path', 'ftp://host', 'a b'])(
    'refuses the endpoint %s before any request',
    (endpoint) => {
      expect(() => open({ endpoint })).toThrow(InvalidInput);
    },
  );

  it('says whether the name, the port or the silence was at fault', async () => {
    const reasonAt = (endpoint: string, more: Partial<OssOptions> = {}) =>
      open({ endpoint, retries: 0, ...more })
        .get('object')
        .catch((error: Unreachable) => error.reason);
    expect(await reasonAt('http://name.invalid', { pathStyle: true })).toBe('dns');
    expect(await reasonAt('http://127.0.0.1:1')).toBe('connect');
    expect(await reasonAt(oss.url.replace('http:', 'https:'))).toBe('tls');
  });

  it('shows no secret in what it throws', async () => {
    const keys = {
      accessKeyId: 'LTAIunknown',
      accessKeySecret: new Secret('marker-secret'),
      securityToken: new Secret('marker-token'),
    };
    const error = (await open({ keys })
      .get('object')
      .catch((thrown) => thrown)) as Error;
    const { inspect } = await import('node:util');
    expect(`${inspect(error, { depth: 20, showHidden: true })} ${JSON.stringify(error)}`).not.toContain('marker');
  });
});
