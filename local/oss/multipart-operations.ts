import { percentEncode } from '../signatures/encoding.ts';
import { type Answer, bodySize, describedBy, forbidsOverwrite, header, type OssRequest, readBody } from './answer.ts';
import { integer } from './bucket-operations.ts';
import { openCopySource } from './object-operations.ts';
import type { Operation } from './operations.ts';
import { OssProblem } from './problem.ts';
import { childrenOf, isoTime, parseXml, textOf, writeXml } from './xml.ts';

type Handler = (request: OssRequest) => Promise<Answer>;

export const multipartOperations: Partial<Record<Operation, Handler>> = {
  async InitiateMultipartUpload(request) {
    const { storage, bucket, key } = request;
    const uploadId = await storage.startUpload(bucket, key, {
      ...describedBy(request),
      forbidOverwrite: forbidsOverwrite(request),
    });
    request.emit([{ name: 'ObjectCreated:InitiateMultipartUpload', object: { key, sizeBytes: 0, etag: '', previousBytes: 0 } }]);
    return { xml: writeXml('InitiateMultipartUploadResult', { Bucket: bucket, Key: textFor(request)(key), UploadId: uploadId }) };
  },

  async UploadPart(request) {
    const { storage, bucket, key } = request;
    const { etag } = await storage.writePart(bucket, key, uploadIdOf(request), partNumberOf(request), {
      body: request.incoming,
      sizeBytes: bodySize(request),
      contentMd5: header(request, 'content-md5'),
    });
    request.emit([
      { name: 'ObjectCreated:UploadPart', object: { key, sizeBytes: bodySize(request) ?? 0, etag, previousBytes: 0 } },
    ]);
    return { headers: { etag: `"${etag}"` } };
  },

  async UploadPartCopy(request) {
    const source = await openCopySource(request);
    const sizeBytes = source.range ? source.range.last - source.range.first + 1 : source.meta.sizeBytes;
    const { etag } = await request.storage.writePart(request.bucket, request.key, uploadIdOf(request), partNumberOf(request), {
      body: source.body,
      sizeBytes,
    });
    request.emit([{ name: 'ObjectCreated:UploadPartCopy', object: { key: request.key, sizeBytes, etag, previousBytes: 0 } }]);
    return {
      headers: { etag: `"${etag}"` },
      xml: writeXml('CopyPartResult', { LastModified: isoTime(new Date()), ETag: `"${etag}"` }),
    };
  },

  async CompleteMultipartUpload(request) {
    const { storage, bucket, key } = request;
    const uploadId = uploadIdOf(request);
    const before = request.wantsEvents ? await storage.head(bucket, key) : undefined;
    const parts = await partsToComplete(request, uploadId);
    const written = await storage.completeUpload(bucket, key, uploadId, parts, forbidsOverwrite(request));
    request.emit([
      { name: 'ObjectCreated:CompleteMultipartUpload', object: { key, ...written, previousBytes: before?.sizeBytes ?? 0 } },
    ]);
    return {
      headers: { etag: `"${written.etag}"` },
      xml: writeXml('CompleteMultipartUploadResult', {
        EncodingType: request.query.get('encoding-type'),
        Location: `http://${header(request, 'host') ?? ''}/${percentEncode(key)}`,
        Bucket: bucket,
        Key: textFor(request)(key),
        ETag: `"${written.etag}"`,
      }),
    };
  },

  async AbortMultipartUpload(request) {
    const { storage, bucket, key } = request;
    await storage.abortUpload(bucket, key, uploadIdOf(request));
    request.emit([{ name: 'ObjectRemoved:AbortMultipartUpload', object: { key, sizeBytes: 0, etag: '', previousBytes: 0 } }]);
    return { status: 204 };
  },

  async ListParts(request) {
    const uploadId = uploadIdOf(request);
    const max = integer(request.query, 'max-parts', 1000, 1, 1000);
    const after = integer(request.query, 'part-number-marker', 0, 0, 10_000);
    const all = await request.storage.listParts(request.bucket, request.key, uploadId);
    const left = all.filter((part) => part.partNumber > after);
    const page = left.slice(0, max);
    return {
      xml: writeXml('ListPartsResult', {
        Bucket: request.bucket,
        Key: textFor(request)(request.key),
        UploadId: uploadId,
        StorageClass: 'Standard',
        PartNumberMarker: after,
        NextPartNumberMarker: page.at(-1)?.partNumber ?? 0,
        MaxParts: max,
        IsTruncated: String(left.length > max),
        Part: page.map((part) => ({
          PartNumber: part.partNumber,
          LastModified: isoTime(part.lastModified),
          ETag: `"${part.etag}"`,
          Size: part.sizeBytes,
        })),
      }),
    };
  },

  async ListMultipartUploads(request) {
    const { query } = request;
    const max = integer(query, 'max-uploads', 1000, 1, 1000);
    const prefix = query.get('prefix') ?? '';
    const [keyMarker, idMarker] = [query.get('key-marker') ?? '', query.get('upload-id-marker') ?? ''];
    const left = (await request.storage.listUploads(request.bucket)).filter(
      ({ key, uploadId }) =>
        key.startsWith(prefix) && (key > keyMarker || (idMarker !== '' && key === keyMarker && uploadId > idMarker)),
    );
    const page = left.slice(0, max);
    const text = textFor(request);
    return {
      xml: writeXml('ListMultipartUploadsResult', {
        EncodingType: query.get('encoding-type'),
        Bucket: request.bucket,
        KeyMarker: text(keyMarker),
        UploadIdMarker: idMarker,
        NextKeyMarker: text(page.at(-1)?.key ?? ''),
        NextUploadIdMarker: page.at(-1)?.uploadId ?? '',
        Delimiter: query.get('delimiter') ?? '',
        Prefix: text(prefix),
        MaxUploads: max,
        IsTruncated: String(left.length > max),
        Upload: page.map((upload) => ({
          Key: text(upload.key),
          UploadId: upload.uploadId,
          StorageClass: 'Standard',
          Initiated: isoTime(upload.initiatedAt),
        })),
      }),
    };
  },
};

/** The parts that the body names, or with `x-oss-complete-all: yes` all that were uploaded. */
async function partsToComplete(request: OssRequest, uploadId: string) {
  if (header(request, 'x-oss-complete-all') === 'yes')
    return (await request.storage.listParts(request.bucket, request.key, uploadId)).map(({ partNumber, etag }) => ({
      partNumber,
      etag,
    }));
  const document = parseXml(await readBody(request), 'CompleteMultipartUpload');
  const parts = childrenOf(document, 'Part').map((part) => ({
    partNumber: Number(textOf(part, 'PartNumber')),
    etag: (textOf(part, 'ETag') ?? '').trim().replace(/^"|"$/g, '').toUpperCase(),
  }));
  if (parts.length === 0) throw new OssProblem('MalformedXML', 'A multipart upload is completed with at least one part.');
  parts.sort((a, b) => a.partNumber - b.partNumber);
  if (parts.some((part, i) => !(part.partNumber >= 1) || part.partNumber === parts[i + 1]?.partNumber))
    throw new OssProblem('InvalidPartOrder', 'Part numbers are whole numbers from 1, each once.');
  return parts;
}

function uploadIdOf(request: OssRequest): string {
  return request.query.get('uploadId') ?? '';
}

function partNumberOf(request: OssRequest): number {
  return integer(request.query, 'partNumber', 0, 1, 10_000);
}

function textFor(request: OssRequest): (text: string) => string {
  return request.query.get('encoding-type') === 'url' ? percentEncode : (text) => text;
}
