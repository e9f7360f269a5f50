import type { WarehouseLocation } from '../data-source.ts';
import { InvalidInput } from '../errors.ts';

/**
 * RAM policies for exactly one warehouse: ready to paste for people, and the session policy that narrows every assumed
 * role. Paths come from `parseWarehouse`, which refuses what means something in a policy; documents are serialised, never
 * put together from text.
 */

export interface PolicyDocument {
  Version: '1';
  Statement: PolicyStatement[];
}

export interface PolicyStatement {
  Effect: 'Allow';
  Action: string | string[];
  Resource?: string | string[];
  Principal?: { RAM: string[] };
  Condition?: Record<string, Record<string, string[] | string>>;
}

/** AssumeRole takes no longer one. */
export const MAX_SESSION_POLICY_CHARS = 2048;

/** Folders of a table that hold metadata; branches have the same ones below them. */
const METADATA_FOLDERS = ['schema', 'snapshot', 'manifest', 'changelog', 'tag', 'branch', 'consumer', 'statistics'];

/** Whether objects may be read below metadata folders only, or everywhere in the warehouse. */
export type ReadScope = 'metadata' | 'warehouse';

/** What an identity needs to have its warehouse collected, and nothing else: list below the path, read metadata, see the bucket's region. */
export function ramPolicyFor(location: WarehouseLocation, scope: ReadScope = 'metadata'): PolicyDocument {
  const { bucket, prefix } = location;
  const bucketResource = `acs:oss:*:*:${bucket}`;
  const folders = scope === 'metadata' ? METADATA_FOLDERS.map((folder) => `*/${folder}/*`) : ['*'];
  const list: PolicyStatement = { Effect: 'Allow', Action: 'oss:ListObjects', Resource: bucketResource };
  // Without a path the whole bucket is the warehouse, and listing it needs no prefix.
  if (prefix !== '') list.Condition = { StringLike: { 'oss:Prefix': [`${prefix}*`] } };
  return {
    Version: '1',
    Statement: [
      list,
      { Effect: 'Allow', Action: 'oss:GetObject', Resource: folders.map((folder) => `${bucketResource}/${prefix}${folder}`) },
      { Effect: 'Allow', Action: ['oss:GetBucketInfo', 'oss:GetBucketLocation'], Resource: bucketResource },
    ],
  };
}

/** Lets `principalArn` (our role, or `acs:ram::<account>:root`) assume the role, only together with this data source's external id. */
export function trustPolicyFor(options: { principalArn: string; externalId: string }): PolicyDocument {
  return {
    Version: '1',
    Statement: [
      {
        Effect: 'Allow',
        Action: 'sts:AssumeRole',
        Principal: { RAM: [options.principalArn] },
        Condition: { StringEquals: { 'sts:ExternalId': [options.externalId] } },
      },
    ],
  };
}

/**
 * Narrows an assumed role to one warehouse, to its metadata where that fits into the service's limit. Throws InvalidInput
 * when even the short form does not fit: a session without a policy is never asked for.
 */
export function sessionPolicyFor(location: WarehouseLocation): string {
  for (const scope of ['metadata', 'warehouse'] as const) {
    const text = JSON.stringify(ramPolicyFor(location, scope));
    if (text.length <= MAX_SESSION_POLICY_CHARS) return text;
  }
  throw InvalidInput.at(
    'warehouse',
    'the path is too long for a session policy of a RAM role; use a shorter one or an AccessKey',
  );
}

/** For looking for a warehouse: names of buckets and keys, no content. */
export function browsePolicy(): string {
  const document: PolicyDocument = {
    Version: '1',
    Statement: [
      { Effect: 'Allow', Action: ['oss:ListBuckets', 'oss:ListObjects'], Resource: 'acs:oss:*:*:*' },
      { Effect: 'Allow', Action: ['oss:GetBucketInfo', 'oss:GetBucketLocation'], Resource: 'acs:oss:*:*:*' },
    ],
  };
  return JSON.stringify(document);
}
