import type { Readable } from 'node:stream';

/** What the OSS endpoint stands on. Two kinds: a directory tree and an S3 server such as MinIO. Keys are as stored. */

export interface StoredMeta {
  key: string;
  sizeBytes: number;
  /** Without quotes, upper-case. */
  etag: string;
  /** Whole seconds. */
  lastModified: Date;
  contentType?: string | undefined;
  /** User metadata without its prefix, and standard headers such as `cache-control`, lower-case. */
  userMeta?: Record<string, string> | undefined;
  headers?: Record<string, string> | undefined;
}

/** Both ends inclusive. */
export interface ByteRange {
  first: number;
  last: number;
}

export interface StoredBody {
  meta: StoredMeta;
  /** The part that `body` holds, when a range was asked. */
  range?: ByteRange;
  body: Readable;
}

export interface ListEntry {
  object?: StoredMeta;
  prefix?: string;
}

export interface WriteRequest {
  body: Readable;
  /** Undefined for chunked uploads. */
  sizeBytes: number | undefined;
  contentMd5?: string | undefined;
  contentType?: string | undefined;
  userMeta?: Record<string, string>;
  headers?: Record<string, string>;
  /** Refuses with FileAlreadyExists, decided atomically with the write. */
  forbidOverwrite: boolean;
}

export interface UploadInfo {
  key: string;
  uploadId: string;
  initiatedAt: Date;
}

export interface PartInfo {
  partNumber: number;
  etag: string;
  sizeBytes: number;
  lastModified: Date;
}

export interface BucketRecord {
  name: string;
  createdAt: Date;
}

/** Every method throws OssProblem with the code that OSS would give. */
export interface Storage {
  listBuckets(): Promise<BucketRecord[]>;
  hasBucket(bucket: string): Promise<boolean>;
  createBucket(bucket: string): Promise<void>;
  deleteBucket(bucket: string): Promise<void>;

  /** Entries after `after` in byte order of UTF-8; `after` that is a folded prefix skips all below it. */
  list(
    bucket: string,
    request: { prefix: string; delimiter: string; after: string; limit: number },
  ): Promise<{ entries: ListEntry[]; truncated: boolean }>;
  head(bucket: string, key: string): Promise<StoredMeta | undefined>;
  /** `unsatisfiable`: the range begins past the end. */
  read(bucket: string, key: string, range?: ByteRange): Promise<StoredBody | 'unsatisfiable' | undefined>;
  write(bucket: string, key: string, request: WriteRequest): Promise<{ etag: string; sizeBytes: number }>;
  /** Whether there was one. */
  remove(bucket: string, key: string): Promise<boolean>;

  startUpload(bucket: string, key: string, request: Omit<WriteRequest, 'body' | 'sizeBytes' | 'contentMd5'>): Promise<string>;
  writePart(
    bucket: string,
    key: string,
    uploadId: string,
    partNumber: number,
    request: { body: Readable; sizeBytes: number | undefined; contentMd5?: string | undefined },
  ): Promise<{ etag: string }>;
  listParts(bucket: string, key: string, uploadId: string): Promise<PartInfo[]>;
  listUploads(bucket: string): Promise<UploadInfo[]>;
  completeUpload(
    bucket: string,
    key: string,
    uploadId: string,
    parts: { partNumber: number; etag: string }[],
    forbidOverwrite: boolean,
  ): Promise<{ etag: string; sizeBytes: number }>;
  abortUpload(bucket: string, key: string, uploadId: string): Promise<void>;

  close(): Promise<void>;
}
