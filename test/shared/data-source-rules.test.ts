import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DataSourceInput, type EnvironmentInput } from '../../shared/data-source.ts';
import { permittedEndpoints } from '../../shared/data-source-rules/endpoint.ts';
import { relation } from '../../shared/data-source-rules/warehouse.ts';
import {
  formatWarehouse,
  isAcceptable,
  judgeDataSource,
  parseWarehouse,
  type RuleContext,
  secretMustBeGivenAgain,
} from '../../shared/data-source-rules.ts';
import { InvalidInput } from '../../shared/errors.ts';

const environment: EnvironmentInput = {
  accessMode: 'ramRole',
  roleArn: 'acs:ram::1234567890123456:role/datamap-reader',
  region: 'cn-hangzhou',
  endpoint: 'oss-cn-hangzhou-internal.aliyuncs.com',
  warehouse: 'oss://finance/lake/warehouse',
};

function input(change: object = {}, production: EnvironmentInput = {}): DataSourceInput {
  return DataSourceInput.parse({
    name: 'paimon_finance',
    catalog: 'paimon-catalog',
    environments: {
      development: { ...environment, warehouse: 'oss://finance-dev/lake/warehouse' },
      production: { ...environment, ...production },
    },
    ...change,
  });
}

const standard: RuleContext = { workspaceKind: 'standard' };
/** What the rules say, as `severity code path`. */
const said = (source: DataSourceInput, context: RuleContext = standard) =>
  judgeDataSource(source, context).map(({ severity, code, path }) => `${severity} ${code} ${path}`);
const aboutProduction = (production: EnvironmentInput, context?: RuleContext) => said(input({}, production), context);
const at = 'environments.production';

test('a complete configuration has no findings', () => {
  expect(said(input())).toEqual([]);
});

describe('names', () => {
  test.each(['a', 'paimon_finance', 'A1', 'x'.repeat(255)])('%s is a data source name', (name) => {
    expect(said(input({ name }))).toEqual([]);
  });
  test.each(['1a', '_a', 'a-b', 'a.b', 'a b', 'ä', ' a', 'a\n'])('%j is not', (name) => {
    expect(said(input({ name }))).toEqual(['error name-form name']);
  });
  test.each(['paimon-catalog', 'my catalog', '目录', 'a.b'])('%s is a catalog name', (catalog) => {
    expect(said(input({ catalog }))).toEqual([]);
  });
  test.each(['a`b', "a'b", 'a/b', ' a', 'a\u0000'])('%j is not', (catalog) => {
    expect(said(input({ catalog }))).toEqual(['error catalog-form catalog']);
  });
});

describe('completeness', () => {
  test.each(['accessMode', 'roleArn', 'region', 'endpoint', 'warehouse'] as const)('%s is needed', (field) => {
    const { [field]: _, ...rest } = environment;
    const source = input({
      environments: { development: { ...environment, warehouse: 'oss://finance-dev/x' }, production: rest },
    });
    expect(said(source)).toEqual([`error missing ${at}.${field}`]);
  });

  test('an AccessKey needs its secret, unless the stored one stays', () => {
    const key: EnvironmentInput = {
      accessMode: 'accessKey',
      roleArn: undefined,
      accessKeyId: 'LTAI5tAbCdEf',
    } as EnvironmentInput;
    expect(aboutProduction(key)).toEqual([`error missing ${at}.accessKeySecret`]);
    expect(aboutProduction({ ...key, accessKeySecret: 'x' })).toEqual([]);
    expect(aboutProduction(key, { ...standard, secretsKept: ['production'] })).toEqual([]);
    expect(aboutProduction(key, { ...standard, secretsKept: ['development'] })).toEqual([`error missing ${at}.accessKeySecret`]);
  });

  test('fields of the other access mode are pointed out', () => {
    expect(aboutProduction({ accessKeyId: 'LTAI5tAbCdEf' })).toEqual([`warning field-not-used ${at}.accessKeyId`]);
  });

  test('a standard workspace needs both environments, a basic one has production only', () => {
    const one = input({ environments: { production: environment } });
    expect(said(one)).toEqual(['error missing environments.development']);
    expect(said(one, { workspaceKind: 'basic' })).toEqual([]);
    expect(said(input(), { workspaceKind: 'basic' })).toEqual(['error environment-not-in-workspace environments.development']);
    expect(said(input({ environments: {} }), { workspaceKind: 'basic' })).toEqual(['error missing environments.production']);
  });

  test('a draft may be incomplete and wrong, but needs its name', () => {
    const draft = input({ draft: true, catalog: '', environments: { production: { endpoint: 'http://x' } } });
    const findings = judgeDataSource(draft, standard);
    expect(isAcceptable(findings)).toBe(true);
    expect(findings.map(({ code }) => code)).toContain('endpoint-form');
    expect(isAcceptable(judgeDataSource(input({ draft: true, name: '1' }), standard))).toBe(false);
  });
});

describe('identity', () => {
  test.each([
    'acs:ram::1234567890123456:user/x',
    'acs:ram::1234567890123456:role/',
    'acs:ram:cn-hangzhou:1234567890123456:role/x',
    'acs:ram::abc:role/x',
    'arn:aws:iam::1234567890123456:role/x',
    ' acs:ram::1234567890123456:role/x',
    'acs:ram::1234567890123456:role/x/y',
    'acs:ram::1234567890123456:role/*',
    'datamap-reader',
  ])('%j is not the ARN of a role', (roleArn) => {
    expect(aboutProduction({ roleArn })).toEqual([`error role-arn-form ${at}.roleArn`]);
  });

  test.each([
    ['STS.NUabc', 'access-key-temporary'],
    ['LTAI 5t', 'access-key-id-form'],
    ['short', 'access-key-id-form'],
  ])('the AccessKey ID %s is %s', (accessKeyId, code) => {
    const { roleArn: _, ...rest } = environment;
    const production = { ...rest, accessMode: 'accessKey' as const, accessKeyId, accessKeySecret: 'x' };
    const source = input({ environments: { development: { ...environment, warehouse: 'oss://finance-dev/x' }, production } });
    expect(said(source)).toEqual([`error ${code} ${at}.accessKeyId`]);
  });
});

describe('region and endpoint', () => {
  test.each([
    ['oss-cn-hangzhou', 'Did you mean cn-hangzhou?'],
    ['CN-Hangzhou', 'Did you mean cn-hangzhou?'],
    ['hangzhou', 'Did you mean cn-hangzhou?'],
    ['Singapore', undefined],
    ['mars-1', undefined],
  ])('the region %s is not known', (region, remedy) => {
    const [finding] = judgeDataSource(input({}, { region }), standard).filter(({ path }) => path.endsWith('region'));
    expect(finding).toMatchObject({ code: 'region-unknown', severity: 'error' });
    if (remedy) expect(finding!.remedy).toBe(remedy);
    else expect(finding!.remedy).toContain('ap-southeast-1');
  });

  test.each([
    ['oss-cn-hangzhou-internal.aliyuncs.com', []],
    ['vpc100-oss-cn-hangzhou.aliyuncs.com', []],
    ['cn-hangzhou.oss.aliyuncs.com', []],
    ['oss-cn-hangzhou.aliyuncs.com', ['info endpoint-public-mainland']],
    ['oss-accelerate.aliyuncs.com', ['warning endpoint-accelerate']],
    ['oss-accelerate-overseas.aliyuncs.com', ['warning endpoint-accelerate']],
    ['data.example.com', ['warning endpoint-custom-domain']],
    ['oss-cn-beijing-internal.aliyuncs.com', ['error endpoint-other-region']],
    ['cn-beijing.oss.aliyuncs.com', ['error endpoint-other-region']],
    ['oss-cn-atlantis.aliyuncs.com', ['error endpoint-region-unknown']],
    ['s3.oss-cn-hangzhou.aliyuncs.com', ['error endpoint-s3']],
    ['s3.oss-cn-hangzhou-internal.aliyuncs.com', ['error endpoint-s3']],
    ['finance.oss-cn-hangzhou.aliyuncs.com', ['error endpoint-with-bucket']],
    ['cn-hangzhou.oss-dls.aliyuncs.com', ['error endpoint-oss-hdfs']],
    ['ecs.aliyuncs.com', ['error endpoint-not-oss']],
    ['https://oss-cn-hangzhou.aliyuncs.com', ['error endpoint-form']],
    ['oss-cn-hangzhou.aliyuncs.com/x', ['error endpoint-form']],
    ['oss-cn-hangzhou.aliyuncs.com:443', ['error endpoint-form']],
    ['127.0.0.1', ['error endpoint-address']],
    ['[::1]', ['error endpoint-address']],
  ])('the endpoint %s', (endpoint, expected) => {
    expect(aboutProduction({ endpoint })).toEqual(expected.map((finding) => `${finding} ${at}.endpoint`));
  });

  test('what the operator permits is not judged further', () => {
    const permitted = permittedEndpoints('http://127.0.0.1:7072');
    expect(aboutProduction({ endpoint: 'http://127.0.0.1:7072' }, { ...standard, permitted })).toEqual([]);
    expect(aboutProduction({ endpoint: 'http://127.0.0.1:7073' }, { ...standard, permitted })).toEqual([
      `error endpoint-form ${at}.endpoint`,
    ]);
  });

  test('an endpoint of another region says both ways out', () => {
    const [finding] = judgeDataSource(input({}, { endpoint: 'oss-cn-beijing-internal.aliyuncs.com' }), standard);
    expect(finding!.remedy).toBe('Enter oss-cn-hangzhou-internal.aliyuncs.com, or set the region to cn-beijing.');
  });
});

describe('warehouse', () => {
  test.each([
    ['oss://lake/a/wh', 'lake', 'a/wh/'],
    ['oss://lake/a/wh/', 'lake', 'a/wh/'],
    ['oss://lake', 'lake', ''],
    ['oss://lake/', 'lake', ''],
    ['oss://my-lake-1/目录/wh=1/x y', 'my-lake-1', '目录/wh=1/x y/'],
    ['oss://lake/a.b/..c/d..', 'lake', 'a.b/..c/d../'],
    ['oss://lake/a%2fb', 'lake', 'a%2fb/'],
  ])('%s', (text, bucket, prefix) => {
    expect(parseWarehouse(text)).toEqual({ bucket, prefix });
  });

  test.each([
    '',
    'lake/a',
    '/lake/a',
    'OSS://lake/a',
    'oss:/lake/a',
    'oss:///a',
    's3://lake/a',
    'hdfs://x/a',
    'file:///a',
    'dlf://x',
    ' oss://lake/a',
    'oss://lake/a ',
    'oss://la/a',
    'oss://l/a',
    'oss://Lake/a',
    'oss://la_ke/a',
    'oss://-lake/a',
    'oss://lake-/a',
    'oss://lake.x/a',
    'oss://lake:80/a',
    'oss://user@lake/a',
    'oss://lake?x/a',
    'oss://lake#/a',
    'oss://lake.oss-cn-hangzhou.aliyuncs.com/a',
    'oss://lake.cn-hangzhou.oss-dls.aliyuncs.com/a',
    'oss://lake//a',
    'oss://lake/a//b',
    'oss://lake/a//',
    'oss://lake/./a',
    'oss://lake/a/.',
    'oss://lake/a/..',
    'oss://lake/../x',
    'oss://lake/a/../../x',
    'oss://lake/ /a',
    ...['*', '?', '$', '{', '}', '"', '\\', '\u0000', '\n', '\r', '\t', '\u007f', '\u0085', '\u200b', '\u202e', '\ufeff'].map(
      (character) => `oss://lake/a${character}b`,
    ),
    'oss://lake/\ud800',
    `oss://lake/${'x'.repeat(512)}`,
    `oss://${'l'.repeat(64)}/a`,
  ])('%j is refused', (text) => {
    expect(() => parseWarehouse(text)).toThrow(InvalidInput);
    if (text !== '') expect(aboutProduction({ warehouse: text })).toEqual([`error warehouse-form ${at}.warehouse`]);
  });

  test('the normal form comes back as it went in', () => {
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[a-z0-9_.=-]{1,12}$/), { maxLength: 6 }), (segments) => {
        fc.pre(segments.every((segment) => segment !== '.' && segment !== '..'));
        const text = ['oss://lake', ...segments].join('/');
        expect(formatWarehouse(parseWarehouse(text))).toBe(text);
        expect(parseWarehouse(`${text}/`)).toEqual(parseWarehouse(text));
      }),
    );
  });

  test('whatever the text, it is either refused or a prefix that stays in its place', () => {
    const pieces = fc.constantFrom('..', '.', '/', '//', 'a', '*', '%2e%2e', '\u0000', ' ', '\\', '？', 'b.db');
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 8 }), (parts) => {
        try {
          const { bucket, prefix } = parseWarehouse(`oss://lake/${parts.join('')}`);
          expect(bucket).toBe('lake');
          expect(prefix === '' || prefix.endsWith('/')).toBe(true);
          expect(prefix.split('/').slice(0, -1)).not.toContain('..');
          expect(['*', '?', '$', '{', '"', '\\', '\u0000'].filter((character) => prefix.includes(character))).toEqual([]);
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidInput);
        }
      }),
    );
  });

  test('a whole bucket and a database folder are pointed out', () => {
    expect(aboutProduction({ warehouse: 'oss://finance' })).toEqual([`warning warehouse-bucket-root ${at}.warehouse`]);
    const [finding] = judgeDataSource(input({}, { warehouse: 'oss://finance/lake/sales.db' }), standard);
    expect(finding).toMatchObject({ code: 'warehouse-looks-like-database', remedy: 'Did you mean oss://finance/lake?' });
  });
});

describe('places', () => {
  test('development and production at the same place, or one inside the other', () => {
    expect(aboutProduction({ warehouse: 'oss://finance-dev/lake/warehouse/' })).toEqual([
      `warning environments-same-place ${at}.warehouse`,
    ]);
    expect(aboutProduction({ warehouse: 'oss://finance-dev/lake' })).toEqual([`warning environments-overlap ${at}.warehouse`]);
    expect(aboutProduction({ warehouse: 'oss://finance-dev/lake/warehouse2' })).toEqual([]);
  });

  test.each([
    ['oss://finance/lake/warehouse', 'warehouse-same', 'the same warehouse belongs to production of data source other'],
    ['oss://finance/lake/warehouse/', 'warehouse-same', 'the same warehouse belongs to production of data source other'],
    ['oss://finance/lake', 'warehouse-overlap', 'this lies inside the warehouse of production of data source other'],
    [
      'oss://finance/lake/warehouse/x',
      'warehouse-overlap',
      'the warehouse of production of data source other lies inside this one',
    ],
  ])('another data source at %s', (warehouse, code, message) => {
    const others = [{ dataSourceName: 'other', environment: 'production' as const, warehouse }];
    expect(judgeDataSource(input(), { ...standard, others })).toMatchObject([{ code, message, severity: 'warning' }]);
  });

  test.each(['oss://finance/lake/warehouse2', 'oss://finance2/lake/warehouse', null, 'nonsense'])(
    'another data source at %s is apart',
    (warehouse) => {
      const others = [{ dataSourceName: 'other', environment: 'production' as const, warehouse }];
      expect(judgeDataSource(input(), { ...standard, others })).toEqual([]);
    },
  );

  test("relations are each other's mirror", () => {
    const path = fc.array(fc.constantFrom('a', 'b'), { maxLength: 3 }).map((parts) => parts.map((part) => `${part}/`).join(''));
    const mirror = { same: 'same', inside: 'around', around: 'inside', apart: 'apart' };
    fc.assert(
      fc.property(path, path, (p, q) => {
        const [a, b] = [
          { bucket: 'lake', prefix: p },
          { bucket: 'lake', prefix: q },
        ];
        expect(relation(b, a)).toBe(mirror[relation(a, b)]);
      }),
    );
  });
});

describe('a stored secret', () => {
  const before = { ...environment, accessMode: 'accessKey', roleArn: null, accessKeyId: 'LTAI5tAbCdEf' };
  test.each<[string, object, boolean]>([
    ['nothing', {}, false],
    ['the path in the bucket', { warehouse: 'oss://finance/elsewhere' }, false],
    ['the endpoint', { endpoint: 'oss-cn-hangzhou.aliyuncs.com' }, true],
    ['the region', { region: 'cn-beijing' }, true],
    ['the bucket', { warehouse: 'oss://finance2/lake/warehouse' }, true],
    ['the access mode', { accessMode: 'ramRole' }, true],
    ['the role', { roleArn: 'acs:ram::1234567890123456:role/x' }, true],
    ['the key', { accessKeyId: 'LTAI5tOther' }, true],
    ['an emptied endpoint', { endpoint: undefined }, true],
  ])('after a change of %s', (_what, change, needed) => {
    expect(secretMustBeGivenAgain(before, { ...before, ...change })).toBe(needed);
  });
});

test('no finding repeats a secret', () => {
  const marker = 'marker-secret ';
  const production = { ...environment, accessMode: 'accessKey' as const, accessKeyId: 'bad id', accessKeySecret: marker };
  expect(JSON.stringify(judgeDataSource(input({}, production), standard))).not.toContain('marker');
});
