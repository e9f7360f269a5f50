import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import type { OssEventItem } from './events.ts';
import { OssProblem } from './problem.ts';
import type { Storage, StoredMeta } from './storage.ts';

/** What an operation answers. `body` wins over `xml`; `sizeBytes` alone is for HEAD. */
export interface Answer {
  status?: number;
  headers?: Record<string, string>;
  xml?: string;
  body?: Readable;
  sizeBytes?: number;
}

/** One request as operations see it, after it was found to be allowed. */
export interface OssRequest {
  storage: Storage;
  bucket: string;
  key: string;
  query: ReadonlyMap<string, string>;
  headers: Record<string, string | string[] | undefined>;
  incoming: IncomingMessage;
  region: string;
  regionOf(bucket: string): string;
  accountId: string;
  /** Whether somebody listens; saves looking up what only events tell. */
  wantsEvents: boolean;
  emit(events: { name: string; object: Pick<StoredMeta, 'key' | 'sizeBytes' | 'etag'> & { previousBytes: number } }[]): void;
  /** Throws AccessDenied; for the source of a copy, and for each key of a multiple delete. */
  requireAction(action: string, bucket: string, key: string): void;
}
export type { OssEventItem };

/** Six thousand bytes for each of a thousand keys, all of them escaped. */
const MAX_XML_BYTES = 8 * 1024 * 1024;

export async function readBody(request: OssRequest): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request.incoming as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > MAX_XML_BYTES) throw new OssProblem('EntityTooLarge', 'The XML document is too large.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

export function header(request: OssRequest, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value : undefined;
}

/** `x-oss-forbid-overwrite: true` */
export function forbidsOverwrite(request: OssRequest): boolean {
  return header(request, 'x-oss-forbid-overwrite')?.toLowerCase() === 'true';
}

const KEPT_HEADERS = ['cache-control', 'content-disposition', 'content-encoding', 'content-language', 'expires'];

/** What of a request's headers is kept with the object. */
export function describedBy(request: OssRequest) {
  const userMeta: Record<string, string> = {};
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    if (typeof value !== 'string') continue;
    if (name.startsWith('x-oss-meta-')) userMeta[name.slice('x-oss-meta-'.length)] = value;
    if (KEPT_HEADERS.includes(name)) headers[name] = value;
  }
  const contentType = header(request, 'content-type');
  return { userMeta, headers, contentType: contentType === 'application/octet-stream' ? undefined : contentType };
}

export function bodySize(request: OssRequest): number | undefined {
  const length = header(request, 'content-length');
  return length === undefined ? undefined : Number(length);
}
