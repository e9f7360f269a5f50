import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import type { AccessKeys } from '../../shared/credentials/secret.ts';
import { compareKeys } from './key-order.ts';
import { noSuchBucket, OssProblem } from './problem.ts';
import { openS3Client, type S3Answer, type S3Request } from './s3-client.ts';
import type { ListEntry, PartInfo, Storage, StoredMeta, UploadInfo, WriteRequest } from './storage.ts';
import { childrenOf, parseXml, textOf } from './xml.ts';

/**
 * Storage buckets of an S3 server such as MinIO. ETags become upper-case as OSS writes them. A write that forbids
 * overwriting is `If-None-Match: *`, which MinIO decides under its own lock.
 */
export function openS3Storage(options: { endpoint: string; keys: AccessKeys; region?: string }): Storage {
  const client = openS3Client(options);
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

  async function buckets() {
    const found = await document({ method: 'GET' }, 'ListAllMyBucketsResult');
    const list = childrenOf(found, 'Buckets').flatMap((each) => childrenOf(each, 'Bucket'));
    const records = list.map((bucket) => ({
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

  async function listObjects(
    bucket: string,
    { prefix, delimiter, after, limit }: Parameters<Storage['list']>[1],
  ): ReturnType<Storage['list']> {
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
  }

  async function putObject(bucket: string, key: string, request: WriteRequest): ReturnType<Storage['write']> {
    const content = await sized(request.body, request.sizeBytes);
    const answer = await silently({ method: 'PUT', bucket, key, ...content, headers: writeHeaders(request) });
    const sizeBytes = content.sizeBytes ?? (content.body as Uint8Array).byteLength;
    return { etag: bareEtag(answer.headers.etag), sizeBytes };
  }

  async function createBucket(bucket: string): Promise<void> {
    await silently({ method: 'PUT', bucket }).catch((error: unknown) => {
      if (!(error instanceof OssProblem && error.code === 'BucketAlreadyExists')) throw error;
    });
    known.at = 0;
  }

  async function uploadOf(uploadId: string): Promise<Upload | undefined> {
    try {
      const { body } = await send({ method: 'GET', bucket: UPLOADS, key: `${uploadId.replace(/[^0-9A-F]/g, '')}/upload.json` });
      return JSON.parse(Buffer.from(await readAll(body)).toString('utf8')) as Upload;
    } catch (error) {
      if (error instanceof OssProblem && error.status === 404) return undefined;
      throw error;
    }
  }

  async function readUpload(bucket: string, key: string, uploadId: string): Promise<Upload> {
    const upload = await uploadOf(uploadId);
    if (upload?.bucket !== bucket || upload.key !== key)
      throw new OssProblem('NoSuchUpload', 'The specified upload does not exist.');
    return upload;
  }

  async function partsOf(uploadId: string): Promise<PartInfo[]> {
    const parts: PartInfo[] = [];
    for (let after = ''; ; ) {
      const page = await listObjects(UPLOADS, { prefix: `${uploadId}/part-`, delimiter: '', after, limit: 1000 });
      for (const { object } of page.entries)
        if (object) parts.push({ ...object, partNumber: Number(object.key.slice(object.key.lastIndexOf('-') + 1)) });
      after = page.entries.at(-1)?.object?.key ?? '';
      if (!page.truncated) return parts;
    }
  }

  /** The description goes last: without it nobody would find the parts. */
  async function removeUpload(uploadId: string): Promise<void> {
    for (const part of await partsOf(uploadId))
      await silently({ method: 'DELETE', bucket: UPLOADS, key: partKey(uploadId, part.partNumber) });
    await silently({ method: 'DELETE', bucket: UPLOADS, key: `${uploadId}/upload.json` });
  }

  return {
    listBuckets: async () => (await buckets()).filter((record) => record.name !== UPLOADS),
    async hasBucket(bucket) {
      if (bucket === UPLOADS) return false;
      if (known.names.has(bucket) && Date.now() - known.at < BUCKETS_KNOWN_MS) return true;
      await buckets();
      return known.names.has(bucket);
    },
    createBucket,
    async deleteBucket(bucket) {
      await silently({ method: 'DELETE', bucket });
      known.at = 0;
    },

    list: listObjects,

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

    write: putObject,

    async remove(bucket, key) {
      await silently({ method: 'DELETE', bucket, key });
      return true;
    },

    async startUpload(bucket, key, request) {
      const uploadId = randomBytes(16).toString('hex').toUpperCase();
      const upload: Upload = { ...request, bucket, key, initiatedAt: new Date().toISOString() };
      if (!(await buckets()).some((record) => record.name === UPLOADS)) await createBucket(UPLOADS);
      await silently({ method: 'PUT', bucket: UPLOADS, key: `${uploadId}/upload.json`, body: JSON.stringify(upload) });
      return uploadId;
    },

    async writePart(bucket, key, uploadId, partNumber, request) {
      await readUpload(bucket, key, uploadId);
      return putObject(UPLOADS, partKey(uploadId, partNumber), { ...request, forbidOverwrite: false });
    },

    async listParts(bucket, key, uploadId) {
      await readUpload(bucket, key, uploadId);
      return partsOf(uploadId);
    },

    async listUploads(bucket) {
      if (!(await buckets()).some((record) => record.name === UPLOADS)) return [];
      const found: UploadInfo[] = [];
      for (let after = ''; ; ) {
        const page = await listObjects(UPLOADS, { prefix: '', delimiter: '/', after, limit: 1000 });
        for (const { prefix = '' } of page.entries) {
          const uploadId = prefix.slice(0, -1);
          const upload = await uploadOf(uploadId);
          if (upload?.bucket === bucket) found.push({ key: upload.key, uploadId, initiatedAt: new Date(upload.initiatedAt) });
        }
        if (!page.truncated) break;
        after = page.entries.at(-1)?.prefix ?? '';
      }
      return found.sort((a, b) => compareKeys(a.key, b.key) || compareKeys(a.uploadId, b.uploadId));
    },

    async completeUpload(bucket, key, uploadId, parts, forbidOverwrite) {
      const upload = await readUpload(bucket, key, uploadId);
      const present = new Map((await partsOf(uploadId)).map((part) => [part.partNumber, part]));
      let sizeBytes = 0;
      for (const part of parts) {
        const found = present.get(part.partNumber);
        if (found?.etag !== part.etag)
          throw new OssProblem('InvalidPart', `Part ${part.partNumber} was not uploaded with this ETag.`);
        sizeBytes += found.sizeBytes;
      }
      const body = Readable.from(
        (async function* () {
          for (const part of parts)
            yield* (await send({ method: 'GET', bucket: UPLOADS, key: partKey(uploadId, part.partNumber) })).body;
        })(),
        { objectMode: false },
      );
      const written = await putObject(bucket, key, {
        ...upload,
        body,
        sizeBytes,
        forbidOverwrite: forbidOverwrite || upload.forbidOverwrite,
      });
      await removeUpload(uploadId);
      return written;
    },

    async abortUpload(bucket, key, uploadId) {
      await readUpload(bucket, key, uploadId);
      await removeUpload(uploadId);
    },

    close: async () => client.close(),
  };
}

/** Parts lie here as objects: S3 wants 5 MiB in each part where OSS takes 100 KB, and MinIO lists the uploads of one key only. */
const UPLOADS = 'datamap-unfinished-uploads';
interface Upload extends Omit<WriteRequest, 'body' | 'sizeBytes' | 'contentMd5'> {
  bucket: string;
  key: string;
  initiatedAt: string;
}

function partKey(uploadId: string, partNumber: number): string {
  return `${uploadId}/part-${String(partNumber).padStart(5, '0')}`;
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
