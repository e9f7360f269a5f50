import { createHash } from 'node:crypto';
import { FormatError } from '../../../shared/errors.ts';
import { compareBytes } from '../../../shared/object-store/byte-order.ts';
import type { ListPage, ObjectInfo, ObjectStore, StoredObject } from '../../../shared/object-store/object-store.ts';

/** Objects in memory, with a hook before each request: for tables that change while they are read. */
export class MemoryStore implements ObjectStore {
  readonly objects = new Map<string, Uint8Array>();
  /** Requests in the order asked: `get key`, `head key`, `list prefix`. */
  readonly requests: string[] = [];
  /** May change the store, or throw what a store throws. */
  before: (request: string) => void = () => {};
  pageSize = 1000;

  put(key: string, content: string | Uint8Array): void {
    this.objects.set(key, typeof content === 'string' ? Buffer.from(content) : content);
  }

  async get(key: string, options?: { maxBytes?: number }): Promise<StoredObject | undefined> {
    this.#note(`get ${key}`);
    const bytes = this.objects.get(key);
    if (bytes && options?.maxBytes !== undefined && bytes.byteLength > options.maxBytes) {
      throw new FormatError(key, { expected: `at most ${options.maxBytes} bytes`, found: `${bytes.byteLength}` });
    }
    return bytes && { ...infoOf(key, bytes), bytes };
  }

  async getRange(key: string, offset: number, length: number): Promise<StoredObject | undefined> {
    const object = await this.get(key);
    return object && { ...object, bytes: object.bytes.subarray(offset, offset + length) };
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    this.#note(`head ${key}`);
    const bytes = this.objects.get(key);
    return bytes && infoOf(key, bytes);
  }

  async list(request: {
    prefix: string;
    delimiter?: '/';
    token?: string;
    startAfter?: string;
    maxKeys?: number;
  }): Promise<ListPage> {
    this.#note(`list ${request.prefix}`);
    const { prefix, delimiter, token } = request;
    const after = token ?? request.startAfter ?? '';
    const names = new Map<string, Uint8Array | undefined>();
    for (const [key, bytes] of this.objects) {
      if (!key.startsWith(prefix)) continue;
      const slash = delimiter ? key.indexOf('/', prefix.length) : -1;
      const name = slash < 0 ? key : key.slice(0, slash + 1);
      if (after === '' || compareBytes(name, after) > 0) names.set(name, slash < 0 ? bytes : undefined);
    }
    const sorted = [...names.keys()].sort(compareBytes);
    const size = Math.min(this.pageSize, request.maxKeys ?? 1000);
    const page: ListPage = { objects: [], prefixes: [] };
    for (const name of sorted.slice(0, size)) {
      const bytes = names.get(name);
      if (bytes) page.objects.push(infoOf(name, bytes));
      else page.prefixes.push(name);
    }
    if (sorted.length > size) page.nextToken = sorted[size - 1]!;
    return page;
  }

  #note(request: string): void {
    this.requests.push(request);
    this.before(request);
  }
}

function infoOf(key: string, bytes: Uint8Array): ObjectInfo {
  return { key, sizeBytes: bytes.byteLength, etag: createHash('md5').update(bytes).digest('hex'), lastModified: new Date(0) };
}
