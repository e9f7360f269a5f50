/** The only I/O that readers of a warehouse know: one storage bucket, read-only. Adapters: `oss.ts`, `directory.ts`. */

export interface ObjectInfo {
  /** Whole key in the storage bucket, as stored: no decoding, no leading slash. */
  key: string;
  sizeBytes: number;
  /** Opaque version token without quotes; equal ETag means equal content. */
  etag: string;
  lastModified: Date;
}

export interface StoredObject extends Omit<ObjectInfo, 'key'> {
  bytes: Uint8Array;
}

export interface ListRequest {
  prefix: string;
  /** `/` folds everything below the next slash into `prefixes`. */
  delimiter?: '/';
  /** Only keys greater than this, in byte order of UTF-8. */
  startAfter?: string;
  /** From the previous page's `nextToken`. */
  token?: string;
  /** 1..1000, default 1000. */
  maxKeys?: number;
  signal?: AbortSignal;
}

export interface ListPage {
  objects: ObjectInfo[];
  /** Folded prefixes, each ending in the delimiter. */
  prefixes: string[];
  /** Present exactly when more pages follow. */
  nextToken?: string;
}

export interface ReadOptions {
  /** Refuse bodies over this with FormatError before holding them whole. */
  maxBytes?: number;
  signal?: AbortSignal;
}

/**
 * Absence is an answer (`undefined`); a refusal throws AccessDenied, silence or a broken answer throws Unreachable,
 * a missing bucket throws NotFound. One call is one request unless an adapter retries.
 */
export interface ObjectStore {
  get(key: string, options?: ReadOptions): Promise<StoredObject | undefined>;
  /** Bytes [offset, offset + length); shorter at the object's end. */
  getRange(key: string, offset: number, length: number, options?: ReadOptions): Promise<StoredObject | undefined>;
  head(key: string, options?: { signal?: AbortSignal }): Promise<ObjectInfo | undefined>;
  /** One page. */
  list(request: ListRequest): Promise<ListPage>;
}
