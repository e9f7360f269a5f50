import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { StsFault } from '../../../local/sts/server.ts';
import { runChecks, type TestOptions } from '../../../shared/connectivity/run-checks.ts';
import { ramPolicyFor } from '../../../shared/credentials/access-policy.ts';
import { Secret } from '../../../shared/credentials/secret.ts';
import type { Check, EnvironmentConfig, Finding } from '../../../shared/data-source.ts';
import { permittedEndpoints } from '../../../shared/data-source-rules/endpoint.ts';
import { AccessDenied, Unreachable } from '../../../shared/errors.ts';
import { ACCOUNT, type ConnectivityScene, connectivityScene } from '../../support/connectivity.ts';

let scene: ConnectivityScene;
const servers: (Server | HttpServer)[] = [];

beforeAll(async () => {
  scene = await connectivityScene();
  scene.copy('research.db', 'lake/wh/research.db');
});
afterEach(() => {
  scene.oss.setFaults([]);
  scene.sts.setFaults([]);
  scene.oss.setBucketPolicies('lake', []);
  scene.oss.setRegion('lake', 'cn-hangzhou');
  scene.identities.putUser({ accessKeyId: 'LTAIreader', accessKeySecret: new Secret(scene.marker), name: 'reader' });
  for (const server of servers.splice(0)) {
    server.close();
    if ('closeAllConnections' in server) server.closeAllConnections();
  }
});
afterAll(async () => {
  await scene.close();
});

interface Given {
  config?: Partial<EnvironmentConfig>;
  role?: boolean;
  secret?: string;
  findings?: Finding[];
  options?: Partial<TestOptions>;
}

async function testEnvironment({ config = {}, role = false, secret, findings = [], options = {} }: Given = {}) {
  const environment = role ? scene.withRole(config) : scene.environment(config);
  const sealedSecret = role ? undefined : scene.seal(environment, secret);
  const result = await runChecks({ config: environment, sealedSecret, findings }, { access: scene.access, ...options });
  expect(JSON.stringify(result)).not.toContain(scene.marker);
  return result;
}

/** The check that decided, and that all after it were left out. */
async function failure(given: Given): Promise<Check> {
  const { verdict, checks } = await testEnvironment(given);
  const at = checks.findIndex((check) => check.status === 'failed');
  expect(verdict, JSON.stringify(checks, null, 1)).toBe('failed');
  expect(checks.slice(at + 1).every((check) => check.status === 'skipped')).toBe(true);
  const failed = checks[at]!;
  expect(failed.causes.length).toBeGreaterThan(0);
  expect(failed.remedy).toBeTruthy();
  expect(failed.evidence).toBeTruthy();
  return failed;
}

async function listen(server: Server | HttpServer): Promise<number> {
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return (server.address() as AddressInfo).port;
}

function permitting(...endpoints: string[]): Partial<TestOptions> {
  const settings = { ...scene.access.settings, permitted: permittedEndpoints([scene.oss.url, ...endpoints].join(',')) };
  return { access: { ...scene.access, settings } };
}

/** The name service says this, whatever is asked. */
function resolving(...addresses: string[]): Partial<TestOptions> {
  return { access: { ...scene.access, resolve: async () => addresses } };
}

describe('a warehouse that can be read', () => {
  test('is Connected with an AccessKey, all checks told in order with their evidence', async () => {
    const { verdict, checks } = await testEnvironment();
    expect(verdict, JSON.stringify(checks, null, 1)).toBe('connected');
    expect(checks.map(({ id, status }) => [id, status])).toEqual(
      [
        'configuration',
        'endpoint',
        'dns',
        'connection',
        'clock',
        'identity',
        'bucket',
        'list',
        'read',
        'warehouse',
        'read-only',
      ].map((id) => [id, 'ok']),
    );
    expect(checks.find(({ id }) => id === 'warehouse')!.evidence).toMatch(
      /^1 database, \d+ table folders; research\..+ has schema format \d, snapshot format \d/,
    );
  });

  test('is Connected with a role, whose session is narrowed to this warehouse', async () => {
    const { verdict, checks } = await testEnvironment({ role: true });
    expect(verdict, JSON.stringify(checks, null, 1)).toBe('connected');
    expect(scene.sts.requests().at(-1)).toMatchObject({ action: 'AssumeRole', roleArn: scene.roleArn, status: 200 });
  });

  test('is Connected with nothing but the policy that we generate', async () => {
    const policies = [JSON.parse(JSON.stringify(ramPolicyFor({ bucket: 'lake', prefix: 'lake/wh/' })))];
    scene.identities.putUser({ accessKeyId: 'LTAIreader', accessKeySecret: new Secret(scene.marker), policies });
    const { verdict, checks } = await testEnvironment();
    expect(verdict, JSON.stringify(checks, null, 1)).toBe('connected');
    expect(checks.every((check) => check.status === 'ok')).toBe(true);
  });

  test('costs at most 28 requests, none of which writes', async () => {
    scene.oss.clearRequests();
    await testEnvironment();
    const requests = scene.oss.requests();
    expect(requests.length).toBeLessThanOrEqual(28);
    expect(requests.map(({ operation }) => operation).filter((operation) => !/^(Get|List|Head)/.test(operation))).toEqual([]);
  });

  test('tells each check as it ends', async () => {
    const seen: number[] = [];
    await testEnvironment({ options: { onCheck: async (checks) => void seen.push(checks.length) } });
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  });
});

describe('configuration and endpoint', () => {
  test('a rule that was broken is told in its own words', async () => {
    const findings: Finding[] = [
      {
        code: 'endpoint-other-region',
        severity: 'error',
        environment: 'production',
        path: 'environments.production.endpoint',
        message: 'this is an endpoint of cn-beijing',
        remedy: 'Enter the endpoint of cn-hangzhou.',
      },
    ];
    const check = await failure({ findings });
    expect(check).toMatchObject({ id: 'configuration', causeCode: 'configuration-incomplete' });
    expect(check.evidence).toContain('this is an endpoint of cn-beijing');
    expect(check.remedy).toContain('Enter the endpoint of cn-hangzhou.');
  });

  test.each([
    ['http://169.254.169.254/', 'endpoint-refused'],
    ['oss.example.com', 'endpoint-not-permitted'],
    ['cn-hangzhou.oss-dls.aliyuncs.com', 'endpoint-refused'],
    ['s3.oss-cn-hangzhou.aliyuncs.com', 'endpoint-refused'],
  ])('%s is refused as %s', async (endpoint, causeCode) => {
    expect(await failure({ config: { endpoint } })).toMatchObject({ id: 'endpoint', causeCode });
  });
});

describe('network', () => {
  const endpoint = 'oss-cn-hangzhou.aliyuncs.com';

  test('a name that does not resolve', async () => {
    const resolve = () => Promise.reject(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }));
    const check = await failure({ config: { endpoint }, options: { access: { ...scene.access, resolve } } });
    expect(check).toMatchObject({ id: 'dns', causeCode: 'dns-not-found' });
    expect(check.evidence).toContain('ENOTFOUND');
  });

  test('a name service that does not answer', async () => {
    const resolve = () => new Promise<string[]>(() => {});
    const check = await failure({ config: { endpoint }, options: { access: { ...scene.access, resolve } } });
    expect(check).toMatchObject({ id: 'dns', causeCode: 'dns-timeout' });
    expect(check.durationMs).toBeLessThan(6_000);
  });

  test.each(['127.0.0.1', '10.1.2.3', '169.254.169.254', '100.100.100.200', '100.64.0.1', '::ffff:127.0.0.1'])(
    'a public endpoint that resolves to %s is not connected to',
    async (address) => {
      const check = await failure({ config: { endpoint }, options: resolving('47.110.23.1', address) });
      expect(check).toMatchObject({ id: 'dns', causeCode: 'address-forbidden' });
    },
  );

  test('nothing listens', async () => {
    const port = await listen(createTcpServer());
    servers.splice(0).forEach((server) => void server.close());
    const url = `http://127.0.0.1:${port}`;
    expect(await failure({ config: { endpoint: url }, options: permitting(url) })).toMatchObject({
      id: 'connection',
      causeCode: 'host-unreachable',
    });
  });

  const nobodyAnswers = async () => {
    throw new Unreachable('oss', 'connect', { evidence: { status: 0, code: 'ETIMEDOUT' } });
  };

  test('an internal endpoint that is in another region than the functions', async () => {
    const settings = { ...scene.access.settings, ownRegion: 'cn-beijing' };
    const access = { ...scene.access, settings, resolve: async () => ['100.118.28.45'] };
    const options = { access, dial: nobodyAnswers };
    const check = await failure({ config: { endpoint: 'oss-cn-hangzhou-internal.aliyuncs.com' }, options });
    expect(check).toMatchObject({ id: 'connection', causeCode: 'internal-endpoint-unreachable' });
    expect(check.causes[0]).toContain('the functions run in cn-beijing, the endpoint is in cn-hangzhou');
  });

  test('a public endpoint without a way to the public network: a NAT gateway is missing', async () => {
    const options = { ...resolving('47.110.23.1'), dial: nobodyAnswers };
    const check = await failure({ config: { endpoint }, options });
    expect(check).toMatchObject({ id: 'connection', causeCode: 'public-network-unreachable' });
    expect(check.causes[0]).toContain('NAT gateway');
    expect(check.remedy).toContain('oss-cn-hangzhou-internal.aliyuncs.com');
  });

  test('no TLS where TLS is wanted', async () => {
    const port = await listen(createHttpServer((_request, response) => void response.end('hello')));
    const url = `https://127.0.0.1:${port}`;
    expect(await failure({ config: { endpoint: url }, options: permitting(url) })).toMatchObject({
      id: 'connection',
      causeCode: 'tls-failed',
    });
  });

  test('something that is not OSS is named so, and not a word of it repeated', async () => {
    const port = await listen(
      createHttpServer((_request, response) => {
        response.writeHead(200, { 'content-type': 'text/html', server: 'sesame-open' });
        response.end('<h1>sesame-open</h1>');
      }),
    );
    const url = `http://127.0.0.1:${port}`;
    const check = await failure({ config: { endpoint: url }, options: permitting(url) });
    expect(check).toMatchObject({ id: 'clock', causeCode: 'not-oss' });
    expect(JSON.stringify(check)).not.toContain('sesame');
  });

  test('a redirect is not followed', async () => {
    let followed = 0;
    const there = await listen(
      createHttpServer((_request, response) => {
        followed++;
        response.end();
      }),
    );
    const here = await listen(
      createHttpServer((_request, response) => {
        response.writeHead(302, { location: `http://127.0.0.1:${there}/` });
        response.end();
      }),
    );
    const url = `http://127.0.0.1:${here}`;
    const check = await failure({ config: { endpoint: url }, options: permitting(url, `http://127.0.0.1:${there}`) });
    expect(check).toMatchObject({ id: 'clock', causeCode: 'not-oss', evidence: 'HTTP 302 without the marks of OSS' });
    expect(followed).toBe(0);
  });

  test('a clock that is 20 minutes ahead', async () => {
    const now = () => new Date(Date.now() + 20 * 60_000);
    const check = await failure({ options: { now } });
    expect(check).toMatchObject({ id: 'clock', causeCode: 'clock-skew' });
    expect(check.causes[0]).toMatch(/^the clock here is 1(199|200|201) s ahead of that of OSS$/);
  });

  test('a clock that is 6 minutes behind is a warning', async () => {
    const now = () => new Date(Date.now() - 6 * 60_000);
    const { verdict, checks } = await testEnvironment({ options: { now } });
    expect(verdict).toBe('connected');
    expect(checks.find(({ id }) => id === 'clock')).toMatchObject({ status: 'warning', causeCode: 'clock-skew' });
  });
});

describe('identity with an AccessKey', () => {
  test('an AccessKey that OSS does not know', async () => {
    expect(await failure({ config: { accessKeyId: 'LTAInobody' } })).toMatchObject({
      id: 'identity',
      causeCode: 'access-key-unknown',
      evidence: expect.stringMatching(/^HTTP 403 InvalidAccessKeyId, request id [0-9A-F]{24}$/),
    });
  });

  test('a wrong secret', async () => {
    expect(await failure({ secret: 'not-the-secret' })).toMatchObject({ id: 'identity', causeCode: 'access-key-secret-wrong' });
  });

  test('a secret that was sealed for another place', async () => {
    const config = scene.environment();
    const sealedSecret = scene.seal({ ...config, id: '33333333-3333-4333-8333-333333333333' });
    const { checks } = await runChecks({ config, sealedSecret, findings: [] }, { access: scene.access });
    expect(checks.find(({ status }) => status === 'failed')).toMatchObject({ id: 'identity', causeCode: 'secret-unreadable' });
  });

  test.each([
    new AccessDenied('the encryption key', 'kms', { permission: 'kms:Decrypt' }),
    new Unreachable('kms.cn-hangzhou.aliyuncs.com', 'timeout'),
  ])('a key service that says: $message', async (error) => {
    const config = scene.environment();
    const settings = { ...scene.access.settings, keyRing: () => Promise.reject(error) };
    const subject = { config, sealedSecret: scene.seal(config), findings: [] };
    const { checks } = await runChecks(subject, { access: { ...scene.access, settings } });
    expect(checks.find(({ status }) => status === 'failed')).toMatchObject({
      id: 'identity',
      causeCode: 'key-service-refused',
      evidence: error.message,
      remedy: expect.stringContaining('kms:Decrypt'),
    });
  });

  test('an account in arrears', async () => {
    scene.identities.putUser({ accessKeyId: 'LTAIreader', accessKeySecret: new Secret(scene.marker), disabled: true });
    expect(await failure({})).toMatchObject({ id: 'identity', causeCode: 'account-disabled' });
  });

  test('a request time that OSS calls skewed', async () => {
    scene.oss.setFaults([{ operations: ['GetBucketInfo'], code: 'RequestTimeTooSkewed', status: 403 }]);
    expect(await failure({})).toMatchObject({ id: 'identity', causeCode: 'clock-skew' });
  });
});

describe('identity with a role', () => {
  test('a role that does not exist', async () => {
    const roleArn = `acs:ram::${ACCOUNT}:role/nobody`;
    expect(await failure({ role: true, config: { roleArn } })).toMatchObject({ id: 'identity', causeCode: 'role-missing' });
  });

  test('a trust policy that does not name us', async () => {
    const roleArn = `acs:ram::${ACCOUNT}:role/for-others`;
    scene.identities.putRole({ arn: roleArn, trusted: [`acs:ram::${ACCOUNT}:user/somebody`] });
    const check = await failure({ role: true, config: { roleArn } });
    expect(check).toMatchObject({ id: 'identity', causeCode: 'role-not-trusted' });
    expect(check.remedy).toContain('"sts:ExternalId"');
    expect(check.remedy).toContain('e'.repeat(64));
  });

  test('a trust policy with another external id', async () => {
    expect(await failure({ role: true, config: { externalId: 'f'.repeat(64) } })).toMatchObject({
      id: 'identity',
      causeCode: 'role-not-trusted',
    });
  });

  test('functions without an identity of their own', async () => {
    const { functionKeys: _, ...access } = scene.access;
    expect(await failure({ role: true, options: { access } })).toMatchObject({ causeCode: 'function-identity-missing' });
  });

  test('functions whose own key is not accepted', async () => {
    const functionKeys = { accessKeyId: 'LTAIgone', accessKeySecret: new Secret('x') };
    expect(await failure({ role: true, options: { access: { ...scene.access, functionKeys } } })).toMatchObject({
      causeCode: 'function-identity-rejected',
    });
  });

  test('a token service that nobody reaches', async () => {
    const port = await listen(createTcpServer());
    servers.splice(0).forEach((server) => void server.close());
    const settings = { ...scene.access.settings, stsEndpoint: `http://127.0.0.1:${port}` };
    expect(await failure({ role: true, options: { access: { ...scene.access, settings } } })).toMatchObject({
      id: 'identity',
      causeCode: 'sts-unreachable',
    });
  });

  test.each<[StsFault, string]>([
    [{ status: 503, code: 'ServiceUnavailable' }, 'server-error'],
    [{ status: 400, code: 'Throttling.User' }, 'throttled'],
    [{ cut: true }, 'sts-unreachable'],
  ])('a token service that answers %o', async (fault, causeCode) => {
    scene.sts.setFaults([fault]);
    expect(await failure({ role: true })).toMatchObject({ id: 'identity', causeCode });
  });

  test('a session key that OSS calls expired', async () => {
    scene.oss.setFaults([{ operations: ['GetBucketInfo'], code: 'SecurityTokenExpired', status: 403 }]);
    expect(await failure({ role: true })).toMatchObject({ id: 'identity', causeCode: 'session-rejected' });
  });
});

describe('bucket', () => {
  test('a bucket that does not exist', async () => {
    expect(await failure({ config: { warehouse: 'oss://nosuchlake/lake/wh' } })).toMatchObject({
      id: 'bucket',
      causeCode: 'bucket-not-found',
    });
  });

  test('a bucket in another region, which is named', async () => {
    scene.oss.setRegion('lake', 'cn-shanghai');
    const check = await failure({});
    expect(check).toMatchObject({ id: 'bucket', causeCode: 'bucket-other-region' });
    expect(check.remedy).toBe('Set the region to cn-shanghai and the endpoint to oss-cn-shanghai-internal.aliyuncs.com.');
  });

  test('a public endpoint that needs a custom domain', async () => {
    const message = 'Public endpoint access is restricted: use a custom domain (CNAME).';
    scene.oss.setFaults([{ operations: ['GetBucketInfo'], code: 'AccessDenied', status: 403, message }]);
    expect(await failure({})).toMatchObject({ id: 'bucket', causeCode: 'custom-domain-required' });
  });

  test('a region that may not be asked for is a warning only', async () => {
    const policies = [{ Statement: [{ Effect: 'Allow' as const, Action: ['oss:ListObjects', 'oss:GetObject'], Resource: '*' }] }];
    scene.identities.putUser({ accessKeyId: 'LTAIreader', accessKeySecret: new Secret(scene.marker), policies });
    const { verdict, checks } = await testEnvironment();
    expect(verdict).toBe('connected');
    expect(checks.find(({ id }) => id === 'bucket')).toMatchObject({ status: 'warning', causeCode: 'bucket-info-denied' });
  });
});

describe('list and read', () => {
  const allowing = (...Action: string[]) => {
    const policies = [{ Statement: [{ Effect: 'Allow' as const, Action: ['oss:GetBucketInfo', ...Action], Resource: '*' }] }];
    scene.identities.putUser({ accessKeyId: 'LTAIreader', accessKeySecret: new Secret(scene.marker), policies });
  };
  const denying = (Condition: Record<string, Record<string, string>>) =>
    scene.oss.setBucketPolicies('lake', [
      { Statement: [{ Effect: 'Deny', Action: 'oss:ListObjects', Resource: '*', Condition: Condition as object }] },
    ]);

  test('no permission to list: the policy to attach is there to paste', async () => {
    allowing('oss:GetObject');
    const check = await failure({});
    expect(check).toMatchObject({ id: 'list', causeCode: 'list-denied' });
    expect(check.causes[0]).toBe('the RAM user of AccessKey LTAIreader lacks oss:ListObjects below oss://lake/lake/wh');
    const policy = JSON.parse(check.remedy!.slice(check.remedy!.indexOf('\n')));
    expect(policy).toEqual(ramPolicyFor({ bucket: 'lake', prefix: 'lake/wh/' }));
  });

  test('a permission for a sibling path does not do', async () => {
    const policies = [JSON.parse(JSON.stringify(ramPolicyFor({ bucket: 'lake', prefix: 'lake/' })))];
    scene.identities.putUser({ accessKeyId: 'LTAIreader', accessKeySecret: new Secret(scene.marker), policies });
    expect(await failure({ config: { warehouse: 'oss://lake/lake2' } })).toMatchObject({ causeCode: 'list-denied' });
  });

  test('no permission to read', async () => {
    allowing('oss:ListObjects');
    expect(await failure({})).toMatchObject({ id: 'read', causeCode: 'read-denied' });
  });

  test('an IP allow-list in the bucket policy', async () => {
    denying({ NotIpAddress: { 'acs:SourceIp': '203.0.113.0/24' } });
    const check = await failure({});
    expect(check).toMatchObject({ id: 'list', causeCode: 'bucket-policy-denied' });
    expect(check.causes.join()).toContain('IP allow-list');
    expect(check.evidence).toContain('EC 0003-00000101');
  });

  test('a bucket that is open to one VPC only', async () => {
    denying({ StringNotEquals: { 'acs:SourceVpc': 'vpc-1' } });
    const check = await failure({});
    expect(check).toMatchObject({ id: 'list', causeCode: 'bucket-policy-denied' });
    expect(check.causes[0]).toContain('acs:SourceVpc');
    expect(check.remedy).toContain('oss-cn-hangzhou-internal.aliyuncs.com');
  });

  test.each([
    ['0003-00000201', 'ram-policy-denied'],
    ['0003-00000401', 'vpc-policy-denied'],
  ])('a denial with EC %s', async (ec, causeCode) => {
    scene.oss.setFaults([{ operations: ['ListObjectsV2'], code: 'AccessDenied', status: 403, ec }]);
    expect(await failure({})).toMatchObject({ id: 'list', causeCode });
  });

  test('objects encrypted with a key that the identity may not use', async () => {
    scene.oss.setFaults([
      { operations: ['GetObject'], code: 'AccessDenied', status: 403, message: 'This request is forbidden by kms' },
    ]);
    expect(await failure({})).toMatchObject({ id: 'read', causeCode: 'kms-denied' });
  });

  test('metadata in an archive', async () => {
    scene.oss.setFaults([{ operations: ['GetObject'], code: 'InvalidObjectState', status: 403 }]);
    expect(await failure({})).toMatchObject({ id: 'read', causeCode: 'object-archived' });
  });

  test.each([
    [{ status: 503, code: 'ServiceUnavailable' }, 'throttled'],
    [{ status: 500, code: 'InternalError' }, 'server-error'],
    [{ cut: 'before' as const }, 'no-answer'],
  ])('a listing that fails with %o', async (fault, causeCode) => {
    scene.oss.setFaults([{ operations: ['ListObjectsV2'], ...fault }]);
    expect(await failure({})).toMatchObject({ id: 'list', causeCode });
  });

  test('a damaged schema is a warning: collecting will name the table', async () => {
    scene.put('broken/wh/a.db/t/schema/schema-0', '{"fields": [');
    const { verdict, checks } = await testEnvironment({ config: { warehouse: 'oss://lake/broken/wh' } });
    expect(verdict).toBe('connected');
    expect(checks.find(({ id }) => id === 'read')).toMatchObject({ status: 'warning', causeCode: 'object-unreadable' });
  });
});

describe('the path', () => {
  const warehouse = async (path: string) => {
    const { verdict, checks } = await testEnvironment({ config: { warehouse: `oss://lake/${path}` } });
    return { verdict, check: checks.find(({ id }) => id === 'warehouse')! };
  };

  test('that holds nothing is a warning', async () => {
    const { verdict, check } = await warehouse('nothing/here');
    expect(verdict).toBe('connected');
    expect(check).toMatchObject({ status: 'warning', causeCode: 'warehouse-empty' });
  });

  test('whose databases are empty is a warning', async () => {
    scene.put('empty/a.db/.keep', '');
    const { verdict, check } = await warehouse('empty');
    expect(verdict).toBe('connected');
    expect(check).toMatchObject({ status: 'warning', causeCode: 'warehouse-no-tables' });
  });

  test.each([
    ['lake', 'warehouse-is-parent', 'Did you mean oss://lake/lake/wh?'],
    ['lake/wh/research.db', 'warehouse-is-database', 'Did you mean oss://lake/lake/wh?'],
    ['lake/wh/research.db/invoices_evolved', 'warehouse-is-table', 'Did you mean oss://lake/lake/wh?'],
  ])('%s is named as %s', async (path, causeCode, remedy) => {
    const { verdict, check } = await warehouse(path);
    expect(verdict).toBe('failed');
    expect(check).toMatchObject({ status: 'failed', causeCode, remedy });
  });

  test('that holds another format is named so', async () => {
    scene.put('delta/t/_delta_log/00000000000000000000.json', '{}');
    expect((await warehouse('delta/t')).check).toMatchObject({ status: 'failed', causeCode: 'warehouse-other-format' });
  });

  test('that holds other things is a warning', async () => {
    scene.put('other/things/readme.txt', 'hello');
    expect((await warehouse('other')).check).toMatchObject({ status: 'warning', causeCode: 'warehouse-no-database' });
  });
});

describe('whatever hangs, the test ends', () => {
  const startedIn = async (given: Given) => {
    const startedAt = performance.now();
    const check = await failure(given);
    return { check, seconds: (performance.now() - startedAt) / 1000 };
  };

  test.each(['GetBucketInfo', 'ListObjectsV2', 'GetObject'])('%s of OSS', async (operation) => {
    scene.oss.setFaults([{ operations: [operation], hang: true }]);
    const { check, seconds } = await startedIn({});
    expect(check.causeCode).toBe('no-answer');
    expect(seconds).toBeLessThan(28);
  });

  test('a connection that takes everything and says nothing', async () => {
    const port = await listen(createTcpServer((socket) => void socket.resume()));
    const url = `http://127.0.0.1:${port}`;
    const { check, seconds } = await startedIn({ config: { endpoint: url }, options: permitting(url) });
    expect(check).toMatchObject({ id: 'clock', causeCode: 'no-answer' });
    expect(seconds).toBeLessThan(15);
  });

  test('a TLS handshake', async () => {
    const port = await listen(createTcpServer((socket) => void socket.resume()));
    const url = `https://127.0.0.1:${port}`;
    const { check } = await startedIn({ config: { endpoint: url }, options: permitting(url) });
    expect(check).toMatchObject({ id: 'connection', causeCode: 'tls-failed' });
  });

  test('the token service', async () => {
    scene.sts.setFaults([{ hang: true }]);
    const { check, seconds } = await startedIn({ role: true });
    expect(check).toMatchObject({ id: 'identity', causeCode: 'sts-unreachable' });
    expect(seconds).toBeLessThan(15);
  });

  test('every answer a little: the budget of all together holds', async () => {
    scene.oss.setFaults([{ delayMs: 900 }]);
    const { check, seconds } = await startedIn({ options: { budgetMs: 3_000 } });
    expect(check.causeCode).toBe('out-of-time');
    expect(seconds).toBeLessThan(4);
  });
});
