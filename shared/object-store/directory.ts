import type { BigIntStats } from 'node:fs';
import { open, readdir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { FormatError, InvalidInput, NotFound } from '../errors.ts';
import { compareBytes } from './byte-order.ts';
import type { ListPage, ListRequest, ObjectInfo, ObjectStore, StoredObject } from './object-store.ts';

/** Deeper folders are not listed: no warehouse has them, and linked folders could go on for ever. */
const MAX_DEPTH = 64;
const DEFAULT_PAGE = 1000;

/**
 * A directory as a storage bucket: keys are paths below `root` with `/`. Lists in byte order with prefix, delimiter and
 * paging as OSS does. An empty directory shows as its marker object (`dir/`, 0 bytes), as object-store file systems write it.
 * ETags are made of size, modification time in nanoseconds and inode, not of the content.
 * Keys with `.` or `..` segments are refused with InvalidInput; links that lead out of `root` are treated as absent.
 */
export function openDirectoryStore(root: string): ObjectStore {
  const whole = resolveRoot(root);

  async function locate(key: string): Promise<string | undefined> {
    const base = await whole;
    checkKey(key);
    try {
      const path = await realpath(join(base, ...key.split('/')));
      return isInside(base, path) ? path : undefined;
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  }

  async function read(
    key: string,
    offset: number,
    length: number | undefined,
    maxBytes?: number,
  ): Promise<StoredObject | undefined> {
    const path = await locate(key);
    if (path === undefined) return undefined;
    if (key.endsWith('/'))
      return (await isEmptyDirectory(path)) ? { ...markerInfo(await statOf(path)), bytes: new Uint8Array(0) } : undefined;
    const file = await open(path).catch((error: unknown) => {
      if (isAbsent(error)) return undefined;
      throw error;
    });
    if (file === undefined) return undefined;
    try {
      const stats = await file.stat({ bigint: true });
      if (!stats.isFile()) return undefined;
      const size = Number(stats.size);
      const wanted = Math.max(0, Math.min(length ?? size, size - offset));
      if (maxBytes !== undefined && wanted > maxBytes) {
        throw new FormatError(key, { expected: `at most ${maxBytes} bytes`, found: `${wanted} bytes` });
      }
      const bytes = Buffer.allocUnsafeSlow(wanted);
      let done = 0;
      while (done < wanted) {
        const { bytesRead } = await file.read(bytes, done, wanted - done, offset + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return { ...infoOf(stats), bytes: bytes.subarray(0, done) };
    } finally {
      await file.close();
    }
  }

  return {
    async get(key, options) {
      options?.signal?.throwIfAborted();
      return read(key, 0, undefined, options?.maxBytes);
    },
    async getRange(key, offset, length, options) {
      options?.signal?.throwIfAborted();
      return read(key, offset, length, options?.maxBytes);
    },
    async head(key, options) {
      options?.signal?.throwIfAborted();
      const path = await locate(key);
      if (path === undefined) return undefined;
      const stats = await statOf(path);
      if (key.endsWith('/')) return (await isEmptyDirectory(path)) ? { key, ...markerInfo(stats) } : undefined;
      return stats.isFile() ? { key, ...infoOf(stats) } : undefined;
    },
    async list(request) {
      return listPage(await whole, request);
    },
  };
}

async function resolveRoot(root: string): Promise<string> {
  try {
    const path = await realpath(root);
    if (!(await stat(path)).isDirectory()) throw new NotFound(`directory ${root}`);
    return path;
  } catch (error) {
    if (isAbsent(error)) throw new NotFound(`directory ${root}`, undefined, { cause: error });
    throw error;
  }
}

async function listPage(root: string, request: ListRequest): Promise<ListPage> {
  const { prefix, delimiter, signal } = request;
  if (prefix.includes('\0')) throw InvalidInput.at('prefix', 'holds a NUL character');
  const limit = Math.min(Math.max(request.maxKeys ?? DEFAULT_PAGE, 1), DEFAULT_PAGE);
  const after = request.token === undefined ? request.startAfter : laterOf(decodeToken(request.token), request.startAfter);
  const found: string[] = [];
  let more = false;
  for await (const key of keysBelow(root, prefix, delimiter === '/', after)) {
    signal?.throwIfAborted();
    if (found.length === limit) {
      more = true;
      break;
    }
    found.push(key);
  }
  const page: ListPage = { objects: [], prefixes: [] };
  const objects = await Promise.all(
    found.map(async (key): Promise<ObjectInfo | undefined> => {
      if (delimiter && isFolded(key, prefix)) {
        page.prefixes.push(key);
        return undefined;
      }
      // Gone between listing and looking: as if it had been deleted a moment earlier.
      const stats = await statOf(join(root, ...key.split('/'))).catch(() => undefined);
      if (stats === undefined) return undefined;
      return { key, ...(key.endsWith('/') ? markerInfo(stats) : infoOf(stats)) };
    }),
  );
  page.prefixes.sort(compareBytes);
  for (const object of objects) if (object) page.objects.push(object);
  if (more) page.nextToken = Buffer.from(found.at(-1)!).toString('base64url');
  return page;
}

/** A folded name ends in `/` below the prefix; the marker of the prefix itself is an object. */
function isFolded(key: string, prefix: string): boolean {
  return key.endsWith('/') && key.length > prefix.length;
}

/** Keys (or, folded, `dir/` names) that start with `prefix` and come after `after`, in byte order. */
async function* keysBelow(root: string, prefix: string, fold: boolean, after: string | undefined): AsyncGenerator<string> {
  const slash = prefix.lastIndexOf('/') + 1;
  const folder = prefix.slice(0, slash);
  if (folder !== '' && !isPlainKey(folder.slice(0, -1))) return;
  yield* walk(folder, prefix.slice(slash), 0, []);

  async function* walk(dirKey: string, namePrefix: string, depth: number, ancestors: string[]): AsyncGenerator<string> {
    if (depth > MAX_DEPTH) return;
    const path = await realpath(join(root, ...dirKey.split('/'))).catch(() => undefined);
    // A link to a folder above itself would never end.
    if (path === undefined || !isInside(root, path) || ancestors.includes(path)) return;
    const entries = await readdir(path, { withFileTypes: true }).catch(() => undefined);
    if (entries === undefined) return;
    if (entries.length === 0 && dirKey !== '' && namePrefix === '') {
      if (after === undefined || compareBytes(dirKey, after) > 0) yield dirKey;
      return;
    }
    const names: string[] = [];
    for (const entry of entries) {
      if (!entry.name.startsWith(namePrefix)) continue;
      const kind = entry.isSymbolicLink()
        ? await kindOfLink(root, join(path, entry.name))
        : entry.isDirectory()
          ? 'dir'
          : entry.isFile()
            ? 'file'
            : undefined;
      if (kind) names.push(kind === 'dir' ? `${entry.name}/` : entry.name);
    }
    // With its slash a folder sorts where the keys below it do.
    names.sort(compareBytes);
    for (const name of names) {
      const key = dirKey + name;
      const isFolder = name.endsWith('/');
      // Past names are done, but for the folder that `after` leads into.
      if (after !== undefined && compareBytes(key, after) <= 0 && (!isFolder || fold || !after.startsWith(key))) continue;
      if (!isFolder || fold) yield key;
      else yield* walk(key, '', depth + 1, [...ancestors, path]);
    }
  }
}

async function kindOfLink(root: string, path: string): Promise<'dir' | 'file' | undefined> {
  try {
    const target = await realpath(path);
    if (!isInside(root, target)) return undefined;
    const stats = await stat(target);
    return stats.isDirectory() ? 'dir' : stats.isFile() ? 'file' : undefined;
  } catch {
    return undefined;
  }
}

function laterOf(a: string, b: string | undefined): string {
  return b !== undefined && compareBytes(b, a) > 0 ? b : a;
}

function decodeToken(token: string): string {
  return Buffer.from(token, 'base64url').toString();
}

function checkKey(key: string): void {
  if (!isPlainKey(key.endsWith('/') ? key.slice(0, -1) : key)) {
    throw InvalidInput.at('key', `${JSON.stringify(key)} is no key below a directory`);
  }
}

function isPlainKey(key: string): boolean {
  return !key.includes('\0') && !key.split('/').some((part) => part === '.' || part === '..' || part === '');
}

function isInside(root: string, path: string): boolean {
  return path === root || path.startsWith(root.endsWith(sep) ? root : root + sep);
}

function isAbsent(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG' || code === 'ELOOP';
}

async function isEmptyDirectory(path: string): Promise<boolean> {
  return (await readdir(path).catch(() => ['?'])).length === 0;
}

function statOf(path: string): Promise<BigIntStats> {
  return stat(path, { bigint: true });
}

function infoOf(stats: BigIntStats): Omit<ObjectInfo, 'key'> {
  return {
    sizeBytes: Number(stats.size),
    etag: `${stats.size.toString(16)}-${stats.mtimeNs.toString(16)}-${stats.ino.toString(16)}`,
    lastModified: stats.mtime,
  };
}

function markerInfo(stats: BigIntStats): Omit<ObjectInfo, 'key'> {
  return { sizeBytes: 0, etag: `0-${stats.ino.toString(16)}`, lastModified: stats.mtime };
}
