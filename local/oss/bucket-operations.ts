import { percentEncode } from '../signatures/encoding.ts';
import { type Answer, type OssRequest, readBody } from './answer.ts';
import type { Operation } from './operations.ts';
import { noSuchBucket, OssProblem } from './problem.ts';
import type { ListEntry } from './storage.ts';
import { childrenOf, isoTime, parseXml, textOf, writeXml, type XmlChildren } from './xml.ts';

type Handler = (request: OssRequest) => Promise<Answer>;

const owner = (request: OssRequest) => ({ ID: request.accountId, DisplayName: request.accountId });

export const bucketOperations: Partial<Record<Operation, Handler>> = {
  async ListBuckets(request) {
    const { query } = request;
    const [prefix, marker] = [query.get('prefix') ?? '', query.get('marker') ?? ''];
    const max = integer(query, 'max-keys', 100, 1, 1000);
    const all = (await request.storage.listBuckets()).filter((one) => one.name.startsWith(prefix) && one.name > marker);
    const page = all.slice(0, max);
    const isTruncated = all.length > max;
    return {
      xml: writeXml('ListAllMyBucketsResult', {
        ...(isTruncated && { Prefix: prefix, Marker: marker, MaxKeys: max, IsTruncated: 'true', NextMarker: page.at(-1)?.name }),
        Owner: owner(request),
        Buckets: {
          Bucket: page.map(({ name, createdAt }) => ({
            Name: name,
            CreationDate: isoTime(createdAt),
            ...places(request.regionOf(name)),
            Region: request.regionOf(name),
            StorageClass: 'Standard',
          })),
        },
      }),
    };
  },

  async PutBucket(request) {
    if (!/^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/.test(request.bucket))
      throw new OssProblem('InvalidBucketName', 'The specified bucket is not valid.');
    await request.storage.createBucket(request.bucket);
    return { headers: { location: `/${request.bucket}` } };
  },

  async DeleteBucket(request) {
    await request.storage.deleteBucket(request.bucket);
    return { status: 204 };
  },

  async GetBucketInfo(request) {
    const found = (await request.storage.listBuckets()).find((one) => one.name === request.bucket);
    if (!found) throw noSuchBucket(request.bucket);
    return {
      xml: writeXml('BucketInfo', {
        Bucket: {
          Name: request.bucket,
          CreationDate: isoTime(found.createdAt),
          ...places(request.region),
          Region: request.region,
          StorageClass: 'Standard',
          DataRedundancyType: 'LRS',
          AccessMonitor: 'Disabled',
          Owner: owner(request),
          AccessControlList: { Grant: 'private' },
          Comment: '',
          BucketPolicy: { LogBucket: '', LogPrefix: '' },
        },
      }),
    };
  },

  GetBucketLocation: async (request) => ({ xml: writeXml('LocationConstraint', {}).replace('><', `>oss-${request.region}<`) }),

  GetBucketAcl: async (request) => ({ xml: accessControl(request) }),

  async ListObjects(request) {
    const { query } = request;
    const marker = query.get('marker') ?? '';
    const { entries, truncated, max, text } = await listPage(request, marker, 100);
    const last = entries.at(-1);
    return {
      xml: writeXml('ListBucketResult', {
        Name: request.bucket,
        Prefix: text(query.get('prefix') ?? ''),
        Marker: text(marker),
        MaxKeys: max,
        Delimiter: text(query.get('delimiter') ?? ''),
        EncodingType: query.get('encoding-type'),
        IsTruncated: String(truncated),
        NextMarker: truncated && last ? text(nameOf(last)) : undefined,
        ...contents(entries, text, owner(request)),
      }),
    };
  },

  async ListObjectsV2(request) {
    const { query } = request;
    // Some clients send an empty one for the first page.
    const token = query.get('continuation-token') || undefined;
    const startAfter = query.get('start-after') ?? '';
    const { entries, truncated, max, text } = await listPage(request, token === undefined ? startAfter : readToken(token), 100);
    const last = entries.at(-1);
    return {
      xml: writeXml('ListBucketResult', {
        Name: request.bucket,
        Prefix: text(query.get('prefix') ?? ''),
        StartAfter: text(startAfter),
        MaxKeys: max,
        Delimiter: text(query.get('delimiter') ?? ''),
        EncodingType: query.get('encoding-type'),
        IsTruncated: String(truncated),
        ContinuationToken: token,
        NextContinuationToken: truncated && last ? makeToken(nameOf(last)) : undefined,
        KeyCount: entries.length,
        ...contents(entries, text, query.get('fetch-owner') === 'true' ? owner(request) : undefined),
      }),
    };
  },

  async DeleteMultipleObjects(request) {
    const document = parseXml(await readBody(request), 'Delete');
    const keys = childrenOf(document, 'Object').map((object) => textOf(object, 'Key') ?? '');
    if (keys.length === 0 || keys.length > 1000 || keys.includes(''))
      throw new OssProblem('MalformedXML', 'A delete names 1 to 1000 keys.');
    for (const key of keys) request.requireAction('oss:DeleteObject', request.bucket, key);
    const gone: Parameters<OssRequest['emit']>[0] = [];
    for (const key of keys) {
      const before = request.wantsEvents ? await request.storage.head(request.bucket, key) : undefined;
      if ((await request.storage.remove(request.bucket, key)) && before)
        gone.push({
          name: 'ObjectRemoved:DeleteObjects',
          object: { key, sizeBytes: 0, etag: before.etag, previousBytes: before.sizeBytes },
        });
    }
    request.emit(gone);
    const isQuiet = textOf(document, 'Quiet')?.trim() === 'true';
    const text = encoder(request);
    return {
      xml: writeXml('DeleteResult', {
        EncodingType: request.query.get('encoding-type'),
        Deleted: isQuiet ? undefined : keys.map((key) => ({ Key: text(key) })),
      }),
    };
  },
};

export function accessControl(request: OssRequest): string {
  return writeXml('AccessControlPolicy', { Owner: owner(request), AccessControlList: { Grant: 'private' } });
}

function places(region: string) {
  return {
    Location: `oss-${region}`,
    ExtranetEndpoint: `oss-${region}.aliyuncs.com`,
    IntranetEndpoint: `oss-${region}-internal.aliyuncs.com`,
  };
}

async function listPage(request: OssRequest, after: string, standardMax: number) {
  const { query } = request;
  const max = integer(query, 'max-keys', standardMax, 1, 1000);
  const found = await request.storage.list(request.bucket, {
    prefix: query.get('prefix') ?? '',
    delimiter: query.get('delimiter') ?? '',
    after,
    limit: max,
  });
  return { ...found, max, text: encoder(request) };
}

function encoder(request: OssRequest): (text: string) => string {
  const type = request.query.get('encoding-type');
  if (type !== undefined && type !== '' && type !== 'url') throw new OssProblem('InvalidArgument', 'encoding-type must be url.');
  return type === 'url' ? percentEncode : (text) => text;
}

function contents(entries: ListEntry[], text: (text: string) => string, ownedBy: XmlChildren | undefined): XmlChildren {
  return {
    Contents: entries.flatMap(({ object }) =>
      object
        ? [
            {
              Key: text(object.key),
              LastModified: isoTime(object.lastModified),
              ETag: `"${object.etag}"`,
              Type: 'Normal',
              Size: object.sizeBytes,
              StorageClass: 'Standard',
              Owner: ownedBy,
            },
          ]
        : [],
    ),
    CommonPrefixes: entries.flatMap(({ prefix }) => (prefix === undefined ? [] : [{ Prefix: text(prefix) }])),
  };
}

function nameOf(entry: ListEntry): string {
  return entry.object?.key ?? entry.prefix ?? '';
}

function makeToken(after: string): string {
  return Buffer.from(after, 'utf8').toString('base64url');
}

function readToken(token: string): string {
  if (!/^[\w-]+$/.test(token)) throw new OssProblem('InvalidArgument', 'The continuation token is invalid.');
  return Buffer.from(token, 'base64url').toString('utf8');
}

export function integer(query: ReadonlyMap<string, string>, name: string, standard: number, min: number, max: number): number {
  const text = query.get(name);
  if (text === undefined || text === '') return standard;
  const value = Number(text);
  if (!Number.isInteger(value) || value < min || value > max)
    throw new OssProblem('InvalidArgument', `${name} must be a whole number from ${min} to ${max}.`);
  return value;
}
