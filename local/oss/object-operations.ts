import { decode } from '../signatures/encoding.ts';
import { type Answer, bodySize, describedBy, forbidsOverwrite, header, type OssRequest } from './answer.ts';
import { accessControl } from './bucket-operations.ts';
import { judgeConditions, judgeRange } from './conditions.ts';
import type { Operation } from './operations.ts';
import { noSuchKey, OssProblem } from './problem.ts';
import type { StoredBody, StoredMeta } from './storage.ts';
import { isoTime, writeXml } from './xml.ts';

type Handler = (request: OssRequest) => Promise<Answer>;

/** Reads that find the object changed since they looked at its size. */
const READ_ATTEMPTS = 3;

export const objectOperations: Partial<Record<Operation, Handler>> = {
  async GetObject(request) {
    const { storage, bucket, key } = request;
    for (let attempt = 1; ; attempt++) {
      const range = header(request, 'range');
      let part: ReturnType<typeof judgeRange> = 'whole';
      let sizeBytes: number | undefined;
      if (range !== undefined) {
        const meta = await storage.head(bucket, key);
        if (!meta) throw noSuchKey(key);
        sizeBytes = meta.sizeBytes;
        part = judgeRange(range, header(request, 'x-oss-range-behavior'), meta.sizeBytes);
      }
      const found = part === 'unsatisfiable' ? part : await storage.read(bucket, key, part === 'whole' ? undefined : part);
      if (!found) throw noSuchKey(key);
      const hasChanged = found !== 'unsatisfiable' && sizeBytes !== undefined && found.meta.sizeBytes !== sizeBytes;
      if (hasChanged && attempt < READ_ATTEMPTS) {
        found.body.destroy();
        continue;
      }
      if (found === 'unsatisfiable')
        throw new OssProblem('InvalidRange', 'The requested range cannot be satisfied.', {
          ActualObjectSize: String(sizeBytes ?? 0),
        });
      return answerBody(request, found);
    }
  },

  HeadObject: async (request) => describeObject(request, true),
  GetObjectMeta: async (request) => describeObject(request, false),

  async GetObjectAcl(request) {
    if (!(await request.storage.head(request.bucket, request.key))) throw noSuchKey(request.key);
    return { xml: accessControl(request) };
  },

  async PutObject(request) {
    const written = await put(request, 'ObjectCreated:PutObject', {
      body: request.incoming,
      sizeBytes: bodySize(request),
      contentMd5: header(request, 'content-md5'),
      ...describedBy(request),
    });
    return { headers: { etag: `"${written.etag}"` } };
  },

  async CopyObject(request) {
    const source = await openCopySource(request);
    const isReplacing = header(request, 'x-oss-metadata-directive')?.toUpperCase() === 'REPLACE';
    const { meta } = source;
    const described = isReplacing
      ? describedBy(request)
      : { userMeta: meta.userMeta ?? {}, headers: meta.headers ?? {}, contentType: meta.contentType };
    const written = await put(request, 'ObjectCreated:CopyObject', {
      body: source.body,
      sizeBytes: meta.sizeBytes,
      ...described,
    });
    return {
      headers: { etag: `"${written.etag}"` },
      xml: writeXml('CopyObjectResult', { ETag: `"${written.etag}"`, LastModified: isoTime(new Date()) }),
    };
  },

  async DeleteObject(request) {
    const { storage, bucket, key } = request;
    const before = request.wantsEvents ? await storage.head(bucket, key) : undefined;
    if ((await storage.remove(bucket, key)) && before)
      request.emit([
        { name: 'ObjectRemoved:DeleteObject', object: { key, sizeBytes: 0, etag: before.etag, previousBytes: before.sizeBytes } },
      ]);
    return { status: 204 };
  },
};

async function put(
  request: OssRequest,
  eventName: string,
  write: Omit<Parameters<OssRequest['storage']['write']>[2], 'forbidOverwrite'>,
) {
  const { storage, bucket, key } = request;
  if (Buffer.byteLength(key) > 1023 || key.startsWith('/') || key.startsWith('\\'))
    throw new OssProblem('InvalidObjectName', 'A key has 1 to 1023 bytes and begins with neither "/" nor "\\".');
  const before = request.wantsEvents ? await storage.head(bucket, key) : undefined;
  const written = await storage.write(bucket, key, { ...write, forbidOverwrite: forbidsOverwrite(request) });
  request.emit([{ name: eventName, object: { key, ...written, previousBytes: before?.sizeBytes ?? 0 } }]);
  return written;
}

/** The object that `x-oss-copy-source` names, or the part of it that `x-oss-copy-source-range` says. */
export async function openCopySource(request: OssRequest): Promise<StoredBody> {
  const parts = /^\/?([^/?]+)\/([^?]+)/.exec(decode(header(request, 'x-oss-copy-source') ?? ''));
  if (!parts) throw new OssProblem('InvalidArgument', 'x-oss-copy-source must be /bucket/key.');
  const [, bucket = '', key = ''] = parts;
  request.requireAction('oss:GetObject', bucket, key);
  const range = /^bytes=(\d+)-(\d+)$/.exec(header(request, 'x-oss-copy-source-range') ?? '');
  const found = await request.storage.read(bucket, key, range ? { first: Number(range[1]), last: Number(range[2]) } : undefined);
  if (!found) throw noSuchKey(key);
  if (found === 'unsatisfiable') throw new OssProblem('InvalidRange', 'The copied range lies outside of the source.');
  const verdict = judgeConditions(request.headers, found.meta, 'x-oss-copy-source-');
  if (verdict === 'proceed') return found;
  found.body.destroy();
  throw new OssProblem('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold.');
}

function answerBody(request: OssRequest, found: StoredBody): Answer {
  const { meta, range, body } = found;
  const verdict = judgeConditions(request.headers, meta);
  if (verdict !== 'proceed') body.destroy();
  if (verdict === 'failed')
    throw new OssProblem('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold.', {
      Condition: 'If-Match',
    });
  if (verdict === 'not-modified') return { status: 304, headers: { etag: `"${meta.etag}"` } };
  const sizeBytes = range ? range.last - range.first + 1 : meta.sizeBytes;
  return {
    status: range ? 206 : 200,
    headers: {
      ...objectHeaders(meta),
      ...responseOverrides(request),
      ...(range && { 'content-range': `bytes ${range.first}-${range.last}/${meta.sizeBytes}` }),
    },
    body,
    sizeBytes,
  };
}

async function describeObject(request: OssRequest, isFull: boolean): Promise<Answer> {
  const meta = await request.storage.head(request.bucket, request.key);
  if (!meta) throw noSuchKey(request.key);
  const verdict = judgeConditions(request.headers, meta);
  if (verdict === 'failed')
    throw new OssProblem('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold.');
  if (verdict === 'not-modified') return { status: 304, headers: { etag: `"${meta.etag}"` } };
  const brief = { etag: `"${meta.etag}"`, 'last-modified': meta.lastModified.toUTCString() };
  return { headers: isFull ? objectHeaders(meta) : brief, sizeBytes: meta.sizeBytes };
}

function objectHeaders(meta: StoredMeta): Record<string, string> {
  const userMeta = Object.entries(meta.userMeta ?? {}).map(([name, value]) => [`x-oss-meta-${name}`, value]);
  return {
    'content-type': meta.contentType ?? 'application/octet-stream',
    ...meta.headers,
    ...Object.fromEntries(userMeta),
    etag: `"${meta.etag}"`,
    'last-modified': meta.lastModified.toUTCString(),
    'accept-ranges': 'bytes',
    'x-oss-object-type': /-\d+$/.test(meta.etag) ? 'Multipart' : 'Normal',
    'x-oss-storage-class': 'Standard',
  };
}

/** `response-content-type=…` and its like, which presigned URLs use. */
function responseOverrides(request: OssRequest): Record<string, string> {
  const overrides: Record<string, string> = {};
  for (const name of [
    'content-type',
    'content-language',
    'expires',
    'cache-control',
    'content-disposition',
    'content-encoding',
  ]) {
    const value = request.query.get(`response-${name}`);
    if (value) overrides[name] = value;
  }
  return overrides;
}
