import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { AccessKeys } from '../../shared/credentials/secret.ts';
import { compareKeys } from './key-order.ts';
import { noSuchBucket, OssProblem } from './problem.ts';
import { openS3Client, type S3Answer, type S3Request } from './s3-client.ts';
import type { ListEntry, Storage, StoredMeta, UploadInfo, WriteRequest } from './storage.ts';
import { childrenOf, parseXml, textOf, writeXml } from './xml.ts';

/**
 * Storage buckets of an S3 server such as MinIO. ETags become upper-case as OSS writes them. A write that forbids
 * overwriting is `If-None-Match: *`, which MinIO decides under its own lock.
 */
export function openS3Storage(options: { endpoint: string; keys: AccessKeys; region?: string }): Storage {
  const client = openS3Client(options);
  // MinIO lists unfinished uploads of one exact key only, so who asks for all is told what was begun here.
  const uploads = new Map<string, UploadInfo & { bucket: string; forbidOverwrite: boolean }>();
  let known: { names: Set<string>; at: number } = { names: new Set(), at: 0 };

  async function send(request: S3Request, context: { missingKey?: 'pass' } = {}): Promise<S3Answer> {
    const answer = await client.send(request);
    if (answer.status < 300 || (answer.status === 404 && context.missingKey === 'pass' && request.method === 'HEAD'))
      return answer;
    const bytes = await readAll(answer.body);
    const code = /<Code>([^<]*)<\/Code>/.exec(Buffer.from(bytes).toString('utf8'))?.[1] ?? '';
    throw translate(answer.status, code, request);
  }

  async function document(request: S3Request, root: string) {
    return parseXml(await readAll((await send(request)).body), root);
  }

  async function silently(request: S3Request): Promise<S3Answer> {
    const answer = await send(request);
    answer.body.resume();
    return answer;
  }

  async function listBuckets() {
    const found = await document({ method: 'GET' }, 'ListAllMyBucketsResult');
    const buckets = childrenOf(found, 'Buckets').flatMap((list) => childrenOf(list, 'Bucket'));
    const records = buckets.map((bucket) => ({
      name: textOf(bucket, 'Name') ?? '',
      createdAt: new Date(textOf(bucket, 'CreationDate') ?? 0),
    }));
    known = { names: new Set(records.map((record) => record.name)), at: Date.now() };
    return records.sort((a, b) => compareKeys(a.name, b.name));
  }

  /** S3 wants a length; bodies that do not tell theirs are held in memory. */
  async function sized(body: Readable, sizeBytes: number | undefined): Promise<Pick<S3Request, 'body' | 'sizeBytes'>> {
    return sizeBytes === undefined ? { body: await readAll(body, MAX_UNSIZED_BYTES) } : { body, sizeBytes };
  }

  return {
    listBuckets,
    async hasBucket(bucket) {
      if (known.names.has(bucket) && Date.now() - known.at < BUCKETS_KNOWN_MS) return true;
      await listBuckets();
      return known.names.has(bucket);
    },
    async createBucket(bucket) {
      await silently({ method: 'PUT', bucket }).catch((error: unknown) => {
        if (!(error instanceof OssProblem && error.code === 'BucketAlreadyExists')) throw error;
      });
      known.at = 0;
    },
    async deleteBucket(bucket) {
      await silently({ method: 'DELETE', bucket });
      known.at = 0;
    },

    async list(bucket, { prefix, delimiter, after, limit }) {
      const query: Record<string, string> = { 'encoding-type': 'url', 'max-keys': String(limit), prefix };
      if (delimiter) query.delimiter = delimiter;
      if (after) query.marker = after;
      const found = await document({ method: 'GET', bucket, query }, 'ListBucketResult');
      const entries: ListEntry[] = [
        ...childrenOf(found, 'Contents').map((object) => ({
          object: {
            key: decodeName(textOf(object, 'Key')),
            sizeBytes: Number(textOf(object, 'Size')),
            etag: bareEtag(textOf(object, 'ETag')),
            lastModified: wholeSeconds(textOf(object, 'LastModified')),
          },
        })),
        ...childrenOf(found, 'CommonPrefixes').map((one) => ({ prefix: decodeName(textOf(one, 'Prefix')) })),
      ];
      const nameOf = (entry: ListEntry) => entry.object?.key ?? entry.prefix ?? '';
      entries.sort((a, b) => compareKeys(nameOf(a), nameOf(b)));
      return { entries, truncated: textOf(found, 'IsTruncated') === 'true' };
    },

    async head(bucket, key) {
      const answer = await send({ method: 'HEAD', bucket, key }, { missingKey: 'pass' });
      answer.body.resume();
      return answer.status === 404 ? undefined : metaOf(key, answer, Number(answer.headers['content-length'] ?? 0));
    },

    async read(bucket, key, range) {
      const headers = range && { range: `bytes=${range.first}-${range.last}` };
      try {
        const answer = await send({ method: 'GET', bucket, key, ...(headers && { headers }) });
        const part = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(answer.headers['content-range'] ?? '');
        const sizeBytes = Number(part?.[3] ?? answer.headers['content-length'] ?? 0);
        const meta = metaOf(key, answer, sizeBytes);
        return { meta, ...(part && { range: { first: Number(part[1]), last: Number(part[2]) } }), body: answer.body };
      } catch (error) {
        if (error instanceof OssProblem && error.code === 'NoSuchKey') return undefined;
        if (error instanceof OssProblem && error.code === 'InvalidRange') return 'unsatisfiable';
        throw error;
      }
    },

    async write(bucket, key, request) {
      const content = await sized(request.body, request.sizeBytes);
      const answer = await silently({ method: 'PUT', bucket, key, ...content, headers: writeHeaders(request) });
      const sizeBytes = content.sizeBytes ?? (content.body as Uint8Array).byteLength;
      return { etag: bareEtag(answer.headers.etag), sizeBytes };
    },

    async remove(bucket, key) {
      await silently({ method: 'DELETE', bucket, key });
      return true;
    },

    async startUpload(bucket, key, request) {
      const headers = writeHeaders({ ...request, forbidOverwrite: false });
      const found = await document(
        { method: 'POST', bucket, key, query: { uploads: '' }, headers },
        'InitiateMultipartUploadResult',
      );
      const uploadId = textOf(found, 'UploadId') ?? '';
      uploads.set(uploadId, { bucket, key, uploadId, initiatedAt: new Date(), forbidOverwrite: request.forbidOverwrite });
      return uploadId;
    },

    async writePart(bucket, key, uploadId, partNumber, request) {
      const content = await sized(request.body, request.sizeBytes);
      const headers = request.contentMd5 ? { 'content-md5': request.contentMd5 } : {};
      const query = { partNumber: String(partNumber), uploadId };
      const answer = await silently({ method: 'PUT', bucket, key, query, headers, ...content });
      return { etag: bareEtag(answer.headers.etag) };
    },

    async listParts(bucket, key, uploadId) {
      const parts: Awaited<ReturnType<Storage['listParts']>> = [];
      for (let marker = '0'; ; ) {
        const query = { uploadId, 'part-number-marker': marker, 'max-parts': '1000' };
        const found = await document({ method: 'GET', bucket, key, query }, 'ListPartsResult');
        for (const part of childrenOf(found, 'Part'))
          parts.push({
            partNumber: Number(textOf(part, 'PartNumber')),
            etag: bareEtag(textOf(part, 'ETag')),
            sizeBytes: Number(textOf(part, 'Size')),
            lastModified: new Date(textOf(part, 'LastModified') ?? 0),
          });
        const next = textOf(found, 'NextPartNumberMarker') ?? '';
        if (textOf(found, 'IsTruncated') !== 'true' || next === marker) return parts;
        marker = next;
      }
    },

    async listUploads(bucket) {
      const begun = [...uploads.values()].filter((upload) => upload.bucket === bucket);
      return begun.sort((a, b) => compareKeys(a.key, b.key) || compareKeys(a.uploadId, b.uploadId));
    },

    async completeUpload(bucket, key, uploadId, parts, forbidOverwrite) {
      const body = writeXml('CompleteMultipartUpload', {
        Part: parts.map(({ partNumber, etag }) => ({ PartNumber: String(partNumber), ETag: `"${etag.toLowerCase()}"` })),
      });
      const forbids = forbidOverwrite || uploads.get(uploadId)?.forbidOverwrite;
      const headers = { 'content-type': 'application/xml', ...(forbids && { 'if-none-match': '*' }) };
      const found = await document(
        { method: 'POST', bucket, key, query: { uploadId }, body, headers },
        'CompleteMultipartUploadResult',
      );
      uploads.delete(uploadId);
      const head = await silently({ method: 'HEAD', bucket, key });
      return { etag: bareEtag(textOf(found, 'ETag')), sizeBytes: Number(head.headers['content-length'] ?? 0) };
    },

    async abortUpload(bucket, key, uploadId) {
      await silently({ method: 'DELETE', bucket, key, query: { uploadId } });
      uploads.delete(uploadId);
    },

    close: async () => client.close(),
  };
}

const MAX_UNSIZED_BYTES = 256 * 1024 * 1024;
const BUCKETS_KNOWN_MS = 2_000;

function writeHeaders(request: Partial<WriteRequest>): Record<string, string> {
  const userMeta = Object.entries(request.userMeta ?? {}).map(([name, value]) => [`x-amz-meta-${name}`, value]);
  return {
    ...Object.fromEntries(userMeta),
    ...request.headers,
    'content-type': request.contentType ?? 'application/octet-stream',
    ...(request.contentMd5 && { 'content-md5': request.contentMd5 }),
    ...(request.forbidOverwrite && { 'if-none-match': '*' }),
  };
}

function metaOf(key: string, answer: S3Answer, sizeBytes: number): StoredMeta {
  const { headers } = answer;
  const userMeta: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers))
    if (name.startsWith('x-amz-meta-')) userMeta[name.slice('x-amz-meta-'.length)] = String(value);
  const kept: Record<string, string> = {};
  for (const name of ['cache-control', 'content-disposition', 'content-encoding', 'content-language', 'expires'])
    if (headers[name] !== undefined) kept[name] = String(headers[name]);
  return {
    key,
    sizeBytes,
    etag: bareEtag(headers.etag),
    lastModified: wholeSeconds(headers['last-modified']),
    contentType: headers['content-type'],
    userMeta,
    headers: kept,
  };
}

function wholeSeconds(text: string | undefined): Date {
  return new Date(Math.floor(new Date(text ?? 0).getTime() / 1000) * 1000);
}

function bareEtag(etag: string | undefined): string {
  return (etag ?? createHash('md5').digest('hex')).trim().replace(/^"|"$/g, '').toUpperCase();
}

/** S3 servers write a blank as `+` in url-encoded listings. */
function decodeName(text: string | undefined): string {
  return decodeURIComponent((text ?? '').replace(/\+/g, ' '));
}

function translate(status: number, code: string, request: S3Request): OssProblem {
  const { bucket = '', key = '' } = request;
  switch (code) {
    case 'NoSuchBucket':
      return noSuchBucket(bucket);
    case 'NoSuchKey':
      return new OssProblem('NoSuchKey', 'The specified key does not exist.', { Key: key });
    case 'NoSuchUpload':
      return new OssProblem('NoSuchUpload', 'The specified upload does not exist.');
    case 'InvalidPart':
    case 'InvalidPartOrder':
    case 'InvalidRange':
    case 'InvalidDigest':
    case 'BucketNotEmpty':
      return new OssProblem(code, `The object store below says ${code}.`);
    case 'BadDigest':
      return new OssProblem('InvalidDigest', 'The Content-MD5 you specified is not that of the body.');
    case 'PreconditionFailed':
      return new OssProblem('FileAlreadyExists', 'The object you specified already exists and can not be overwritten.');
    case 'BucketAlreadyOwnedByYou':
    case 'BucketAlreadyExists':
      return new OssProblem('BucketAlreadyExists', 'The requested bucket name is not available.');
    case 'EntityTooSmall':
      return new OssProblem('InvalidArgument', 'Every part but the last must have 5 MiB on this S3 server.');
  }
  if (status === 404) return new OssProblem('NoSuchKey', 'The specified key does not exist.', { Key: key });
  if (status === 412) return translate(status, 'PreconditionFailed', request);
  if (status === 416) return translate(status, 'InvalidRange', request);
  if (status === 400) return new OssProblem('InvalidObjectName', `The S3 server below refuses this (${code || status}).`);
  return new OssProblem('InternalError', `The S3 server below answered ${status} ${code}.`);
}

async function readAll(body: Readable, maxBytes = Number.POSITIVE_INFINITY): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxBytes)
      throw new OssProblem('MissingContentLength', 'A body of this size needs a Content-Length in front of an S3 server.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
