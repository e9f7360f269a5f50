import { $OpenApiUtil } from '@alicloud/openapi-core';
import StsModule, * as $Sts from '@alicloud/sts20150401';
import OSS from 'ali-oss';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openIdentities } from '../../local/sts/identities.ts';
import { type StsEndpoint, startStsEndpoint } from '../../local/sts/server.ts';
import { Secret } from '../../shared/credentials/secret.ts';

/** The vendor's STS client in its current form, and the older request form through ali-oss. */
// The package is CommonJS: its class lies one level deeper here.
type Sts = InstanceType<typeof StsModule.default>;
const loaded = StsModule as unknown as { default?: unknown };
const StsClient = (loaded.default ?? loaded) as new (config: $OpenApiUtil.Config) => Sts;

const account = '1234567890123456';
const reader = `acs:ram::${account}:role/reader`;
const narrow = {
  Statement: [{ Effect: 'Allow' as const, Action: 'oss:GetObject', Resource: 'acs:oss:*:*:lake/wh/*' }],
};

describe('STS endpoint', () => {
  const identities = openIdentities({ accountId: account, signingSecret: new Secret('platform secret') });
  let sts: StsEndpoint;
  beforeAll(async () => {
    sts = await startStsEndpoint({ identities });
  });
  afterAll(() => sts?.close());
  beforeEach(() => {
    sts.setFaults([]);
    identities.putUser({ accessKeyId: 'LTAIcaller', accessKeySecret: new Secret('caller secret'), name: 'caller' });
    identities.putRole({ arn: reader, trusted: [`acs:ram::${account}:user/caller`], externalId: 'tenant 1', policies: [narrow] });
  });

  const clientFor = (keys: { accessKeyId?: string; accessKeySecret?: string; securityToken?: string } = {}) =>
    new StsClient(
      new $OpenApiUtil.Config({
        accessKeyId: 'LTAIcaller',
        accessKeySecret: 'caller secret',
        ...keys,
        endpoint: sts.url.replace('http://', ''),
        protocol: 'HTTP',
        regionId: 'cn-hangzhou',
      }),
    );
  const assume = (request: object = {}, keys = {}) =>
    clientFor(keys).assumeRole(
      new $Sts.AssumeRoleRequest({
        roleArn: reader,
        roleSessionName: 'test',
        externalId: 'tenant 1',
        durationSeconds: 900,
        ...request,
      }),
    );

  it('gives keys of the role that live as long as was asked', async () => {
    const { credentials, assumedRoleUser } = (await assume()).body ?? {};
    expect(assumedRoleUser?.arn).toBe(`acs:sts::${account}:assumed-role/reader/test`);
    expect(Date.parse(credentials?.expiration ?? '') - Date.now()).toBeGreaterThan(890_000);
    expect(Date.parse(credentials?.expiration ?? '') - Date.now()).toBeLessThanOrEqual(900_000);
    const principal = identities.resolve(credentials?.accessKeyId ?? '', credentials?.securityToken);
    if (typeof principal === 'string') throw new Error(principal);
    expect(principal.secret.reveal()).toBe(credentials?.accessKeySecret);
    const may = (resource: string) =>
      principal.allows({ action: 'oss:GetObject', resource: `acs:oss:*:*:${resource}`, context: {} });
    expect([may('lake/wh/a'), may('lake/other')]).toEqual([true, false]);
  });

  it('narrows the role by the session policy, and never widens it', async () => {
    const policy = (resource: string) =>
      JSON.stringify({ Version: '1', Statement: [{ Effect: 'Allow', Action: ['oss:*'], Resource: [resource] }] });
    const { credentials } = (await assume({ policy: policy('acs:oss:*:*:lake/wh/only/*') })).body ?? {};
    const principal = identities.resolve(credentials?.accessKeyId ?? '', credentials?.securityToken);
    if (typeof principal === 'string') throw new Error(principal);
    const may = (action: string, resource: string) =>
      principal.allows({ action, resource: `acs:oss:*:*:${resource}`, context: {} });
    expect(may('oss:GetObject', 'lake/wh/only/a')).toBe(true);
    expect(may('oss:GetObject', 'lake/wh/a')).toBe(false);
    expect(may('oss:PutObject', 'lake/wh/only/a')).toBe(false);
  });

  it('keys outlive a restart that keeps the secret, and no other', async () => {
    const { credentials } = (await assume()).body ?? {};
    const resolveIn = (secret: string) => {
      const after = openIdentities({ accountId: account, signingSecret: new Secret(secret) });
      after.putRole({ arn: reader, trusted: [] });
      return after.resolve(credentials?.accessKeyId ?? '', credentials?.securityToken);
    };
    expect(resolveIn('platform secret')).toMatchObject({ arn: `acs:sts::${account}:assumed-role/reader/test` });
    expect(resolveIn('another secret')).toBe('token-invalid');
  });

  it.each([
    ['NoPermission', 403, { externalId: 'tenant 2' }],
    ['NoPermission', 403, { externalId: undefined }],
    ['EntityNotExist.Role', 404, { roleArn: `acs:ram::${account}:role/absent` }],
    ['InvalidParameter.RoleArn', 400, { roleArn: 'reader' }],
    ['InvalidParameter.DurationSeconds', 400, { durationSeconds: 60 }],
    ['InvalidParameter.DurationSeconds', 400, { durationSeconds: 7200 }],
    ['InvalidParameter.RoleSessionName', 400, { roleSessionName: 'no blanks' }],
    ['InvalidParameter.PolicyGrammar', 400, { policy: '{"Statement":1}' }],
  ])('answers %s (%d) to %j', async (code, status, request) => {
    await expect(assume(request)).rejects.toMatchObject({ code, statusCode: status });
  });

  it('refuses a policy that is too long', async () => {
    await expect(assume({ policy: '{'.repeat(2049) })).rejects.toMatchObject({ code: 'InvalidParameter.PolicySize' });
  });

  it('lets only whom the role trusts', async () => {
    identities.putUser({ accessKeyId: 'LTAIother', accessKeySecret: new Secret('x'), name: 'other' });
    await expect(assume({}, { accessKeyId: 'LTAIother', accessKeySecret: 'x' })).rejects.toMatchObject({ code: 'NoPermission' });
    identities.putRole({ arn: reader, trusted: [`acs:ram::${account}:root`] });
    expect((await assume({}, { accessKeyId: 'LTAIother', accessKeySecret: 'x' })).statusCode).toBe(200);
  });

  it('asks the caller’s own policies too', async () => {
    const caller = { accessKeyId: 'LTAIcaller', accessKeySecret: new Secret('caller secret'), name: 'caller' };
    identities.putUser({ ...caller, policies: [narrow] });
    await expect(assume()).rejects.toMatchObject({ code: 'NoPermission' });
    identities.putUser({ ...caller, policies: [{ Statement: [{ Effect: 'Allow', Action: 'sts:AssumeRole', Resource: '*' }] }] });
    expect((await assume()).statusCode).toBe(200);
  });

  it.each([
    ['InvalidAccessKeyId.NotFound', { accessKeyId: 'LTAIunknown' }],
    ['SignatureDoesNotMatch', { accessKeySecret: 'wrong' }],
    ['InvalidAccessKeyId.NotFound', { accessKeyId: 'STS.unknown' }],
    ['InvalidSecurityToken.Malformed', { accessKeyId: 'STS.unknown', securityToken: 'a.b' }],
  ])('answers %s to keys %j', async (code, keys) => {
    await expect(assume({}, keys)).rejects.toMatchObject({ code });
  });

  it('lets a role assume another, as functions do', async () => {
    const executor = `acs:ram::${account}:role/executor`;
    identities.putRole({ arn: executor, trusted: ['*'] });
    identities.putRole({ arn: reader, trusted: [executor] });
    const keys = identities.issue(identities.role(executor)!, { name: 'fc', durationSeconds: 900 });
    const answer = await assume(
      {},
      {
        accessKeyId: keys.accessKeyId,
        accessKeySecret: keys.accessKeySecret.reveal(),
        securityToken: keys.securityToken.reveal(),
      },
    );
    expect(answer.body?.credentials?.accessKeyId).toMatch(/^STS\./);
  });

  it('says who the caller is', async () => {
    const { body } = await clientFor().getCallerIdentity();
    expect(body).toMatchObject({ accountId: account, arn: `acs:ram::${account}:user/caller`, identityType: 'RAMUser' });
  });

  it('takes the older request form', async () => {
    identities.putRole({ arn: reader, trusted: ['*'], policies: [narrow] });
    const client = new OSS.STS({ accessKeyId: 'LTAIcaller', accessKeySecret: 'caller secret', endpoint: sts.url } as never);
    const answer = await client.assumeRole(reader, narrow, 900, 'older');
    expect(answer.credentials.AccessKeyId).toMatch(/^STS\./);
    expect(identities.resolve(answer.credentials.AccessKeyId, answer.credentials.SecurityToken)).toMatchObject({
      arn: `acs:sts::${account}:assumed-role/reader/older`,
    });
  });

  it('does what a fault says', async () => {
    sts.setFaults([{ action: 'AssumeRole', status: 503, code: 'ServiceUnavailable', times: 1 }]);
    await expect(assume()).rejects.toMatchObject({ code: 'ServiceUnavailable' });
    expect((await assume()).statusCode).toBe(200);
    expect(sts.requests().at(-2)).toMatchObject({
      action: 'AssumeRole',
      accessKeyId: 'LTAIcaller',
      roleArn: reader,
      status: 503,
    });
    expect(JSON.stringify(sts.requests())).not.toContain('secret');
  });

  it('answers under loopback names only', async () => {
    const { request } = await import('node:http');
    const status = await new Promise((resolve, reject) => {
      request(sts.url, { method: 'POST', headers: { host: 'evil.example' } }, (answer) => resolve(answer.statusCode))
        .on('error', reject)
        .end();
    });
    expect(status).toBe(403);
  });
});
