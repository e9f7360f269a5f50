import { describe, expect, it } from 'vitest';
import { claimedAcs3, verifyAcs3 } from '../../local/signatures/acs3.ts';
import { claimedOss, judgeTime, type OssClaim, type OssSignedRequest, verifyOss } from '../../local/signatures/oss.ts';
import { signRpcV1, verifyRpcV1 } from '../../local/signatures/rpc-v1.ts';

/** Requests as the shipped clients sent them at this moment with key `AK` and secret `SK`. */
const NOW = new Date('2026-01-15T08:30:00Z');
const DATE = 'Thu, 15 Jan 2026 08:30:00 GMT';

function claimOf(request: OssSignedRequest): OssClaim {
  const claim = claimedOss(request);
  if (typeof claim === 'string') throw new Error(`no claim: ${claim}`);
  return claim;
}

const v1List: OssSignedRequest = {
  method: 'GET',
  rawQuery: 'list-type=2&prefix=wh%2F&delimiter=%2F&max-keys=2&continuation-token=CgJiYw--',
  headers: { 'x-oss-date': DATE, authorization: 'OSS AK:XDpqDUq4yO4GwDUzQTE1YtPi/2E=' },
};
const v1Put: OssSignedRequest = {
  method: 'PUT',
  rawQuery: '',
  headers: {
    'x-oss-date': DATE,
    'x-oss-security-token': 'TOK',
    'content-md5': 'kAFQmDzST7DWlj99KOF/cg==',
    'content-type': 'text/plain',
    authorization: 'OSS AK:kHDdW5DFOw50lUjsQ79W7NpCEs0=',
  },
};
const v4List: OssSignedRequest = {
  method: 'GET',
  rawQuery: 'list-type=2&prefix=wh%2F&delimiter=%2F&max-keys=2',
  headers: {
    'x-oss-date': '20260115T083000Z',
    'x-oss-content-sha256': 'UNSIGNED-PAYLOAD',
    authorization:
      'OSS4-HMAC-SHA256 Credential=AK/20260115/cn-hangzhou/oss/aliyun_v4_request,Signature=f5793137692d8a73b131294b3560648a72e3c77c8a7e284f8c8b53a4743f23ef',
  },
};

describe('OSS signatures', () => {
  it.each([
    ['V1', v1List, '/mybucket/'],
    ['V1 with a token and a blank in the key', v1Put, '/mybucket/wh/a b.txt'],
    ['V4', v4List, '/mybucket/'],
  ])('accepts %s as the clients sign it', (_name, request, resource) => {
    const claim = claimOf(request);
    expect(claim.accessKeyId).toBe('AK');
    expect(judgeTime(claim, NOW)).toBe('ok');
    expect(verifyOss(request, claim, 'SK', resource).ok).toBe(true);
  });

  it('says what it would have signed', () => {
    expect(verifyOss(v1Put, claimOf(v1Put), 'other', '/mybucket/wh/a b.txt')).toEqual({
      ok: false,
      stringToSign: `PUT\nkAFQmDzST7DWlj99KOF/cg==\ntext/plain\n${DATE}\nx-oss-date:${DATE}\nx-oss-security-token:TOK\n/mybucket/wh/a b.txt`,
    });
    expect(verifyOss(v4List, claimOf(v4List), 'other', '/mybucket/').stringToSign).toBe(
      'OSS4-HMAC-SHA256\n20260115T083000Z\n20260115/cn-hangzhou/oss/aliyun_v4_request\n756371bcf3aea9050f813178f52f9a0b5318278cab04701083da2ba933d678fe',
    );
  });

  it.each([
    ['another resource', v4List, { resource: '/other/' }],
    ['another method', { ...v4List, method: 'DELETE' }, {}],
    ['a changed parameter', { ...v4List, rawQuery: v4List.rawQuery.replace('wh%2F', 'xx%2F') }, {}],
    ['an added header of the service', { ...v4List, headers: { ...v4List.headers, 'x-oss-meta-a': 'b' } }, {}],
    ['a changed token parameter in V1', { ...v1List, rawQuery: v1List.rawQuery.replace('CgJ', 'XXX') }, {}],
  ])('refuses %s', (_name, request: OssSignedRequest, { resource = '/mybucket/' }: { resource?: string }) => {
    expect(verifyOss(request, claimOf(request), 'SK', resource).ok).toBe(false);
  });

  it('lets a signature live for fifteen minutes, both ways', () => {
    const claim = claimOf(v4List);
    const at = (minutes: number) => judgeTime(claim, new Date(NOW.getTime() + minutes * 60_000));
    expect([at(-16), at(-15), at(15), at(16)]).toEqual(['skewed', 'ok', 'ok', 'skewed']);
  });

  it.each([
    ['none', { method: 'GET', rawQuery: '', headers: {} }],
    ['malformed', { method: 'GET', rawQuery: '', headers: { authorization: 'OSS AK' } }],
    ['malformed', { method: 'GET', rawQuery: '', headers: { authorization: 'Basic abc' } }],
    ['malformed', { ...v4List, headers: { ...v4List.headers, authorization: 'OSS4-HMAC-SHA256 Credential=AK/1' } }],
    ['date-missing', { method: 'GET', rawQuery: '', headers: { authorization: 'OSS AK:sig=' } }],
  ] as [string, OssSignedRequest][])('calls a request %s', (problem, request) => {
    expect(claimedOss(request)).toBe(problem);
  });
});

const acs3Invoke = {
  method: 'POST',
  rawPath: '/2023-03-30/functions/fn-1/invocations',
  rawQuery: 'qualifier=LATEST',
  body: Buffer.from('{"a":1}'),
  headers: {
    authorization:
      'ACS3-HMAC-SHA256 Credential=AK,SignedHeaders=content-type;host;x-acs-action;x-acs-content-sha256;x-acs-credentials-provider;x-acs-date;x-acs-signature-nonce;x-acs-version,Signature=ee284886bf7f261ac7b732fe4cea83c3f63ee15d3fa5d241b45414ed82a5d0d1',
    'content-type': 'application/octet-stream',
    host: 'localhost:18080',
    'x-acs-action': 'InvokeFunction',
    'x-acs-content-sha256': '015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862',
    'x-acs-credentials-provider': 'static_ak',
    'x-acs-date': '2026-01-15T08:30:00Z',
    'x-acs-signature-nonce': 'cd66449335e250a4f40b5d644545a5cf69fd5dec0a6cbb9af7282374c702a84e',
    'x-acs-version': '2023-03-30',
  } as Record<string, string>,
};
const acs3Sts = {
  method: 'POST',
  rawPath: '/',
  rawQuery: 'DurationSeconds=900&ExternalId=e%20x&RoleArn=acs%3Aram%3A%3A1%3Arole%2Fx&RoleSessionName=sess',
  body: new Uint8Array(),
  headers: {
    authorization:
      'ACS3-HMAC-SHA256 Credential=AK,SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-credentials-provider;x-acs-date;x-acs-signature-nonce;x-acs-version,Signature=7b05767cc32dadc62de62b9905d71ea0d390557dec9d60d5bf0d6b32dc4de040',
    host: 'localhost:18080',
    'x-acs-action': 'AssumeRole',
    'x-acs-content-sha256': 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    'x-acs-credentials-provider': 'static_ak',
    'x-acs-date': '2026-01-15T08:30:00Z',
    'x-acs-signature-nonce': '1b2651091599376ab1138b203049975260d71c5cbe1d9b19d4b5d8f77e80fca4',
    'x-acs-version': '2015-04-01',
  } as Record<string, string>,
};

describe('ACS3 signatures', () => {
  it.each([
    ['Function Compute', acs3Invoke],
    ['STS', acs3Sts],
  ])('accepts a request to %s as the client signs it', (_name, request) => {
    expect(claimedAcs3(request.headers)).toEqual({ accessKeyId: 'AK', securityToken: undefined });
    expect(verifyAcs3(request, 'SK', NOW)).toEqual({ ok: true, accessKeyId: 'AK', securityToken: undefined });
  });

  it.each([
    ['mismatch', { ...acs3Sts, rawQuery: acs3Sts.rawQuery.replace('900', '901') }],
    ['body-changed', { ...acs3Invoke, body: Buffer.from('{"a":2}') }],
    ['mismatch', { ...acs3Sts, headers: { ...acs3Sts.headers, 'x-acs-security-token': 'added' } }],
    ['malformed', { ...acs3Sts, headers: { ...acs3Sts.headers, authorization: 'ACS3-HMAC-SHA256 Credential=AK' } }],
    ['missing', { ...acs3Sts, headers: { ...acs3Sts.headers, authorization: '' } }],
  ])('finds a %s', (problem, request) => {
    expect(verifyAcs3(request, 'SK', NOW)).toMatchObject({ ok: false, problem });
  });

  it('refuses an old request', () => {
    expect(verifyAcs3(acs3Sts, 'SK', new Date(NOW.getTime() + 16 * 60_000))).toMatchObject({ problem: 'skewed' });
  });
});

describe('RPC signatures', () => {
  it('sign the sorted parameters as the vendor shows it', () => {
    // The example of the vendor's help page on this mechanism.
    const parameters = new Map(
      Object.entries({
        Timestamp: '2016-02-23T12:46:24Z',
        Format: 'XML',
        AccessKeyId: 'testid',
        Action: 'DescribeRegions',
        SignatureMethod: 'HMAC-SHA1',
        SignatureNonce: '3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf',
        Version: '2014-05-26',
        SignatureVersion: '1.0',
      }),
    );
    const signature = signRpcV1('GET', parameters, 'testsecret');
    expect(signature).toBe('OLeaidS1JvxuMvnyHOwuJ+uX5qY=');
    expect(verifyRpcV1('GET', new Map([...parameters, ['Signature', signature]]), 'testsecret')).toBe(true);
    expect(verifyRpcV1('GET', new Map([...parameters, ['Signature', signature]]), 'other')).toBe(false);
  });
});
