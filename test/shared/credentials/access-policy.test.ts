import { describe, expect, test } from 'vitest';
import { judge, Policy } from '../../../local/sts/policy.ts';
import {
  browsePolicy,
  MAX_SESSION_POLICY_CHARS,
  ramPolicyFor,
  sessionPolicyFor,
  trustPolicyFor,
} from '../../../shared/credentials/access-policy.ts';
import { parseWarehouse } from '../../../shared/data-source-rules.ts';

const location = parseWarehouse('oss://lake/a/wh');
const effect = (policy: string, action: string, key: string, prefix?: string) =>
  judge([Policy.parse(JSON.parse(policy))], {
    action,
    resource: `acs:oss:*:*:lake${key === '' ? '' : `/${key}`}`,
    context: { 'oss:Prefix': prefix },
  });

describe('the session policy of a warehouse', () => {
  const policy = sessionPolicyFor(location);

  test.each([
    ['oss:ListObjects', '', 'a/wh/'],
    ['oss:ListObjects', '', 'a/wh/db.db/t/s'],
    ['oss:GetObject', 'a/wh/db.db/t/schema/schema-0', undefined],
    ['oss:GetObject', 'a/wh/db.db/t/snapshot/LATEST', undefined],
    ['oss:GetObject', 'a/wh/db.db/t/manifest/manifest-1', undefined],
    ['oss:GetObject', 'a/wh/db.db/t/branch/branch-x/tag/tag-1', undefined],
    ['oss:GetObject', 'a/wh/db.db/t/statistics/stat-1', undefined],
    ['oss:GetBucketInfo', '', undefined],
  ])('allows %s %s %s', (action, key, prefix) => {
    expect(effect(policy, action, key, prefix)).toBe('allowed');
  });

  test.each([
    ['oss:ListObjects', '', ''],
    ['oss:ListObjects', '', 'a/'],
    ['oss:ListObjects', '', 'a/wh2/'],
    ['oss:ListObjects', '', 'a/w'],
    ['oss:ListObjects', '', undefined],
    ['oss:GetObject', 'a/wh/db.db/t/bucket-0/data-1.orc', undefined],
    ['oss:GetObject', 'a/wh2/db.db/t/schema/schema-0', undefined],
    ['oss:GetObject', 'schema/schema-0', undefined],
    ['oss:PutObject', 'a/wh/db.db/t/schema/schema-0', undefined],
    ['oss:DeleteObject', 'a/wh/db.db/t/schema/schema-0', undefined],
    ['oss:PutBucketPolicy', '', undefined],
  ])('does not allow %s %s %s', (action, key, prefix) => {
    expect(effect(policy, action, key, prefix)).toBe('not-mentioned');
  });

  test('is short for a usual path, narrower than the warehouse only where that fits, and never left out', () => {
    expect(policy.length).toBeLessThan(1200);
    const long = { bucket: 'lake', prefix: `${'x'.repeat(300)}/` };
    const text = sessionPolicyFor(long);
    expect(text.length).toBeLessThanOrEqual(MAX_SESSION_POLICY_CHARS);
    expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(ramPolicyFor(long, 'warehouse'))));
    expect(() => sessionPolicyFor({ bucket: 'lake', prefix: `${'x'.repeat(900)}/` })).toThrow(/too long for a session policy/);
  });

  test('of a whole bucket lists without a prefix', () => {
    const root = sessionPolicyFor(parseWarehouse('oss://lake'));
    expect(effect(root, 'oss:ListObjects', '', undefined)).toBe('allowed');
    expect(effect(root, 'oss:GetObject', 'db.db/t/schema/schema-0', undefined)).toBe('allowed');
    expect(effect(root, 'oss:GetObject', 'db.db/t/bucket-0/x', undefined)).toBe('not-mentioned');
  });
});

test('looking for a warehouse reads no content', () => {
  expect(effect(browsePolicy(), 'oss:ListObjects', '', 'x')).toBe('allowed');
  expect(effect(browsePolicy(), 'oss:GetObject', 'x', undefined)).toBe('not-mentioned');
  expect(browsePolicy().length).toBeLessThan(MAX_SESSION_POLICY_CHARS);
});

test('the trust policy names who may come, and with which external id', () => {
  expect(trustPolicyFor({ principalArn: 'acs:ram::1:role/datamap', externalId: 'abc' }).Statement).toEqual([
    {
      Effect: 'Allow',
      Action: 'sts:AssumeRole',
      Principal: { RAM: ['acs:ram::1:role/datamap'] },
      Condition: { StringEquals: { 'sts:ExternalId': ['abc'] } },
    },
  ]);
});
