import { createHash, randomBytes } from 'node:crypto';
import { type BigIntStats, createWriteStream, type Dirent } from 'node:fs';
import { link, mkdir, open, readdir, readFile, realpath, rename, rm, rmdir, stat, unlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { openEtags } from './directory-etags.ts';
import { pathOf, requireParentInside, requirePath, resolveInside, TEMPORARY_FOLDER } from './directory-path.ts';
import { compareKeys } from './key-order.ts';
import { noSuchBucket, OssProblem } from './problem.ts';
import type { ListEntry, PartInfo, Storage, StoredMeta, UploadInfo, WriteRequest } from './storage.ts';

/**
 * Storage buckets that are directories: a key is the path below. Writes appear whole, by renaming. What a file system has
 * no place for (markers `dir/`, metadata, unfinished uploads) lies in `stateDir`, so a served directory holds objects only.
 */
export interface DirectoryStorageOptions {
  /** Name → directory. Further buckets, made by clients, lie in `stateDir/buckets`. */
  buckets: Record<string, string>;
  stateDir: string;
}

const EMPTY_MD5 = 'D41D8CD98F00B204E9800998ECF8427E';
const PLACING_ATTEMPTS = 8;

interface Bucket {
  name: string;
  root: string;
  realRoot: string;
  stateDir: string;
  temporaryDir: string;
  createdAt: Date;
  /** Keys of explicit markers, each ending in a slash. */
  markers: Map<string, Date>;
  /** File names below `stateDir/meta`. */
  described: Set<string>;
}

interface Description {
  sizeBytes: number;
  mtimeNs: string;
  contentType?: string | undefined;
  userMeta?: Record<string, string> | undefined;
  headers?: Record<string, string> | undefined;
}

export function openDirectoryStorage(options: DirectoryStorageOptions): Storage {
  const etags = openEtags();
  const opened = new Map<string, Promise<Bucket>>();
  const madeDir = join(options.stateDir, 'buckets');

  async function bucketNames(): Promise<string[]> {
    const made = await readdir(madeDir).catch(() => []);
    return [...new Set([...Object.keys(options.buckets), ...made])].sort(compareKeys);
  }

  async function openBucket(name: string): Promise<Bucket> {
    let bucket = opened.get(name);
    if (!bucket) {
      bucket = load(name);
      opened.set(name, bucket);
      bucket.catch(() => opened.delete(name));
    }
    return bucket;
  }

  async function load(name: string): Promise<Bucket> {
    const root = options.buckets[name] ?? join(madeDir, name);
    const realRoot = await realpath(root).catch(() => {
      throw noSuchBucket(name);
    });
    const stateDir = join(options.stateDir, 'state', name);
    await mkdir(join(stateDir, 'tmp'), { recursive: true });
    const sameDevice = (await stat(stateDir)).dev === (await stat(realRoot)).dev;
    const markers = new Map<string, Date>();
    const markersDir = join(stateDir, 'markers');
    for (const file of await readdir(markersDir).catch(() => [])) {
      const path = join(markersDir, file);
      markers.set(await readFile(path, 'utf8'), (await stat(path)).mtime);
    }
    const temporaryDir = sameDevice ? join(stateDir, 'tmp') : join(realRoot, TEMPORARY_FOLDER);
    const described = new Set(await readdir(join(stateDir, 'meta')).catch(() => []));
    return {
      name,
      root: realRoot,
      realRoot,
      stateDir,
      temporaryDir,
      createdAt: (await stat(realRoot)).birthtime,
      markers,
      described,
    };
  }

  const metaFile = (key: string) => `${createHash('sha1').update(key).digest('hex')}.json`;

  async function metaOf(bucket: Bucket, key: string, path: string, stats: BigIntStats): Promise<StoredMeta> {
    const meta: StoredMeta = {
      key,
      sizeBytes: Number(stats.size),
      etag: await etags.of(path, stats),
      lastModified: new Date(Math.floor(Number(stats.mtimeMs) / 1000) * 1000),
    };
    if (!bucket.described.has(metaFile(key))) return meta;
    const text = await readFile(join(bucket.stateDir, 'meta', metaFile(key)), 'utf8').catch(() => '{}');
    const { sizeBytes, mtimeNs, ...described } = JSON.parse(text) as Partial<Description>;
    // Somebody replaced the file from outside: what we knew is about another one.
    return sizeBytes === meta.sizeBytes && mtimeNs === String(stats.mtimeNs) ? { ...meta, ...described } : meta;
  }

  async function describe(bucket: Bucket, key: string, path: string, request: Partial<WriteRequest>): Promise<void> {
    const { contentType, userMeta = {}, headers = {} } = request;
    const file = metaFile(key);
    const plain = !contentType && Object.keys(userMeta).length === 0 && Object.keys(headers).length === 0;
    if (plain) {
      if (bucket.described.delete(file)) await rm(join(bucket.stateDir, 'meta', file), { force: true });
      return;
    }
    const stats = await stat(path, { bigint: true });
    const description: Description = {
      sizeBytes: Number(stats.size),
      mtimeNs: String(stats.mtimeNs),
      contentType,
      userMeta,
      headers,
    };
    await mkdir(join(bucket.stateDir, 'meta'), { recursive: true });
    await writeFile(join(bucket.stateDir, 'meta', file), JSON.stringify(description));
    bucket.described.add(file);
  }

  async function setMarker(bucket: Bucket, key: string): Promise<void> {
    await mkdir(join(bucket.stateDir, 'markers'), { recursive: true });
    await writeFile(join(bucket.stateDir, 'markers', metaFile(key)), key);
    bucket.markers.set(key, new Date());
  }

  async function markerMeta(bucket: Bucket, key: string): Promise<StoredMeta | undefined> {
    const path = pathOf(bucket.root, key);
    const resolved = path && (await resolveInside(bucket.realRoot, path));
    if (!resolved) return undefined;
    const stats = await stat(resolved).catch(() => undefined);
    if (!stats?.isDirectory()) return undefined;
    const set = bucket.markers.get(key);
    if (!set && (await readdir(resolved)).length > 0) return undefined;
    const time = Math.floor((set ?? stats.mtime).getTime() / 1000) * 1000;
    return { key, sizeBytes: 0, etag: EMPTY_MD5, lastModified: new Date(time) };
  }

  /** Folders without objects do not exist in an object store. */
  async function prune(bucket: Bucket, folderKey: string): Promise<void> {
    for (let key = folderKey; key !== ''; key = parentKey(key)) {
      const path = pathOf(bucket.root, key);
      if (bucket.markers.has(key) || !path) return;
      const gone = await rmdir(path).then(
        () => true,
        () => false,
      );
      if (!gone) return;
    }
  }

  /** Body into a file of its own; answers its MD5. */
  async function spool(
    body: Readable,
    path: string,
    request: { sizeBytes: number | undefined; contentMd5?: string | undefined },
  ) {
    await mkdir(dirname(path), { recursive: true });
    const hash = createHash('md5');
    let sizeBytes = 0;
    const count = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        hash.update(chunk);
        sizeBytes += chunk.length;
        done(null, chunk);
      },
    });
    await pipeline(body, count, createWriteStream(path));
    const digest = hash.digest();
    if (request.sizeBytes !== undefined && request.sizeBytes !== sizeBytes)
      throw new OssProblem('InvalidArgument', 'The body is not as long as Content-Length says.');
    if (request.contentMd5 && request.contentMd5 !== digest.toString('base64'))
      throw new OssProblem('InvalidDigest', 'The Content-MD5 you specified is not that of the body.');
    return { md5: digest.toString('hex').toUpperCase(), sizeBytes };
  }

  /** Gives a finished file its name, in one step that nobody sees half of. */
  async function place(bucket: Bucket, temporary: string, key: string, forbidOverwrite: boolean): Promise<string> {
    const path = requirePath(bucket.root, key);
    for (let attempt = 1; ; attempt++) {
      try {
        await requireParentInside(bucket.realRoot, path);
        await mkdir(dirname(path), { recursive: true });
        if (forbidOverwrite) {
          await link(temporary, path);
          await unlink(temporary);
        } else await rename(temporary, path);
        return path;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        // A folder was pruned between our making and our using it.
        if (code === 'ENOENT' && attempt < PLACING_ATTEMPTS) continue;
        const isFolder = (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
        if (code === 'EEXIST' && forbidOverwrite && !isFolder)
          throw new OssProblem('FileAlreadyExists', 'The object you specified already exists and can not be overwritten.');
        if (code === 'ENOTDIR' || code === 'EEXIST' || code === 'EISDIR' || code === 'ENOTEMPTY')
          throw new OssProblem(
            'InvalidObjectName',
            'A directory tree cannot hold one key as an object and as a folder of another key.',
          );
        throw error;
      }
    }
  }

  async function writeObject(
    bucket: Bucket,
    key: string,
    temporary: string,
    md5: string | undefined,
    request: Partial<WriteRequest>,
  ) {
    const path = await place(bucket, temporary, key, request.forbidOverwrite ?? false);
    const stats = await stat(path, { bigint: true });
    if (md5) etags.remember(path, stats, md5);
    await describe(bucket, key, path, request);
    return { etag: await etags.of(path, stats), sizeBytes: Number(stats.size) };
  }

  const temporaryFile = (bucket: Bucket) => join(bucket.temporaryDir, randomBytes(12).toString('hex'));
  const uploadDir = (bucket: Bucket, uploadId: string) => join(bucket.stateDir, 'uploads', uploadId.replace(/[^0-9A-F]/g, ''));

  async function readUpload(bucket: Bucket, key: string, uploadId: string) {
    const text = await readFile(join(uploadDir(bucket, uploadId), 'upload.json'), 'utf8').catch(() => undefined);
    const upload = text && (JSON.parse(text) as { key: string; initiatedAt: string } & Partial<WriteRequest>);
    if (!upload || upload.key !== key) throw new OssProblem('NoSuchUpload', 'The specified upload does not exist.');
    return upload;
  }

  async function partsOf(bucket: Bucket, uploadId: string): Promise<PartInfo[]> {
    const files = (await readdir(uploadDir(bucket, uploadId))).filter((file) => /^part-\d+-[0-9A-F]{32}$/.test(file));
    const parts = await Promise.all(
      files.map(async (file) => {
        const [, number, etag = ''] = file.split('-');
        const { size, mtime } = await stat(join(uploadDir(bucket, uploadId), file));
        return { partNumber: Number(number), etag, sizeBytes: size, lastModified: mtime };
      }),
    );
    return parts.sort((a, b) => a.partNumber - b.partNumber);
  }

  return {
    async listBuckets() {
      const buckets = await Promise.all((await bucketNames()).map((name) => openBucket(name).catch(() => undefined)));
      return buckets.flatMap((bucket) => (bucket ? [{ name: bucket.name, createdAt: bucket.createdAt }] : []));
    },
    hasBucket: async (name) => (await bucketNames()).includes(name),
    async createBucket(name) {
      if (name in options.buckets) return;
      await mkdir(join(madeDir, name), { recursive: true });
    },
    async deleteBucket(name) {
      const bucket = await openBucket(name);
      if ((await readdir(bucket.root)).length > 0)
        throw new OssProblem('BucketNotEmpty', 'The bucket you tried to delete is not empty.', { BucketName: name });
      if (name in options.buckets) throw new OssProblem('AccessDenied', 'A directory given at the start is not removed.');
      await rmdir(bucket.root);
      await rm(bucket.stateDir, { recursive: true, force: true });
      opened.delete(name);
    },

    async list(name, { prefix, delimiter, after, limit }) {
      const bucket = await openBucket(name);
      const entries: { key: string; path?: string; stats?: BigIntStats; isPrefix: boolean }[] = [];
      const baseKey = prefix.slice(0, prefix.lastIndexOf('/') + 1);
      const basePath = baseKey === '' ? bucket.root : pathOf(bucket.root, baseKey);
      for await (const entry of walk(bucket, basePath, baseKey, prefix, after, delimiter === '/')) {
        const at = delimiter === '' || entry.isPrefix ? -1 : entry.key.indexOf(delimiter, prefix.length);
        if (at < 0) entries.push(entry);
        else {
          const folded = entry.key.slice(0, at + delimiter.length);
          if (folded !== after && entries.at(-1)?.key !== folded) entries.push({ key: folded, isPrefix: true });
        }
        if (entries.length > limit) break;
      }
      const page = entries.slice(0, limit);
      const toEntry = async (entry: (typeof page)[number]): Promise<ListEntry> => {
        if (entry.isPrefix) return { prefix: entry.key };
        if (entry.path && entry.stats) return { object: await metaOf(bucket, entry.key, entry.path, entry.stats) };
        const marker = await markerMeta(bucket, entry.key);
        return marker ? { object: marker } : {};
      };
      const found: ListEntry[] = [];
      for (let i = 0; i < page.length; i += 32) found.push(...(await Promise.all(page.slice(i, i + 32).map(toEntry))));
      return { entries: found.filter((entry) => entry.object || entry.prefix), truncated: entries.length > limit };
    },

    async head(name, key) {
      const bucket = await openBucket(name);
      if (key.endsWith('/')) return markerMeta(bucket, key);
      const path = pathOf(bucket.root, key);
      const resolved = path && (await resolveInside(bucket.realRoot, path));
      if (!resolved) return undefined;
      const stats = await stat(resolved, { bigint: true }).catch(() => undefined);
      return stats?.isFile() ? metaOf(bucket, key, resolved, stats) : undefined;
    },

    async read(name, key, range) {
      const bucket = await openBucket(name);
      if (key.endsWith('/')) {
        const meta = await markerMeta(bucket, key);
        if (range && meta) return 'unsatisfiable';
        return meta && { meta, body: Readable.from([]) };
      }
      const path = pathOf(bucket.root, key);
      const resolved = path && (await resolveInside(bucket.realRoot, path));
      if (!resolved) return undefined;
      const file = await open(resolved).catch(() => undefined);
      if (!file) return undefined;
      const stats = await file.stat({ bigint: true });
      if (!stats.isFile()) {
        await file.close();
        return undefined;
      }
      const meta = await metaOf(bucket, key, resolved, stats);
      if (range && range.first >= meta.sizeBytes) {
        await file.close();
        return 'unsatisfiable';
      }
      if (meta.sizeBytes === 0) {
        await file.close();
        return { meta, body: Readable.from([]) };
      }
      const last = Math.min(range?.last ?? meta.sizeBytes - 1, meta.sizeBytes - 1);
      const first = range?.first ?? 0;
      return { meta, ...(range && { range: { first, last } }), body: file.createReadStream({ start: first, end: last }) };
    },

    async write(name, key, request) {
      const bucket = await openBucket(name);
      const path = requirePath(bucket.root, key);
      const temporary = temporaryFile(bucket);
      try {
        const { md5, sizeBytes } = await spool(request.body, temporary, request);
        if (!key.endsWith('/')) return await writeObject(bucket, key, temporary, md5, request);
        if (sizeBytes > 0)
          throw new OssProblem('InvalidArgument', 'A directory tree cannot hold bytes under a key that ends in "/".');
        await requireParentInside(bucket.realRoot, path);
        await mkdir(path, { recursive: true }).catch(() => {
          throw new OssProblem('InvalidObjectName', 'A directory tree cannot hold one key as an object and as a folder.');
        });
        if (request.forbidOverwrite && bucket.markers.has(key))
          throw new OssProblem('FileAlreadyExists', 'The object you specified already exists and can not be overwritten.');
        await setMarker(bucket, key);
        return { etag: EMPTY_MD5, sizeBytes: 0 };
      } finally {
        await rm(temporary, { force: true });
      }
    },

    async remove(name, key) {
      const bucket = await openBucket(name);
      const path = pathOf(bucket.root, key);
      if (!path) return false;
      if (key.endsWith('/')) {
        const existed = (await markerMeta(bucket, key)) !== undefined;
        if (bucket.markers.delete(key)) await rm(join(bucket.stateDir, 'markers', metaFile(key)), { force: true });
        await prune(bucket, key);
        return existed;
      }
      const parent = await resolveInside(bucket.realRoot, dirname(path));
      if (!parent || (await stat(path).catch(() => undefined))?.isDirectory() !== false) return false;
      await unlink(path);
      if (bucket.described.delete(metaFile(key))) await rm(join(bucket.stateDir, 'meta', metaFile(key)), { force: true });
      await prune(bucket, parentKey(key));
      return true;
    },

    async startUpload(name, key, request) {
      const bucket = await openBucket(name);
      requirePath(bucket.root, key);
      const uploadId = randomBytes(16).toString('hex').toUpperCase();
      await mkdir(uploadDir(bucket, uploadId), { recursive: true });
      const upload = { ...request, key, initiatedAt: new Date().toISOString() };
      await writeFile(join(uploadDir(bucket, uploadId), 'upload.json'), JSON.stringify(upload));
      return uploadId;
    },

    async writePart(name, key, uploadId, partNumber, request) {
      const bucket = await openBucket(name);
      await readUpload(bucket, key, uploadId);
      const dir = uploadDir(bucket, uploadId);
      const temporary = join(dir, `receiving-${randomBytes(8).toString('hex')}`);
      try {
        const { md5 } = await spool(request.body, temporary, request);
        for (const part of await partsOf(bucket, uploadId))
          if (part.partNumber === partNumber) await rm(join(dir, `part-${partNumber}-${part.etag}`), { force: true });
        await rename(temporary, join(dir, `part-${partNumber}-${md5}`));
        return { etag: md5 };
      } finally {
        await rm(temporary, { force: true });
      }
    },

    async listParts(name, key, uploadId) {
      const bucket = await openBucket(name);
      await readUpload(bucket, key, uploadId);
      return partsOf(bucket, uploadId);
    },

    async listUploads(name) {
      const bucket = await openBucket(name);
      const ids = await readdir(join(bucket.stateDir, 'uploads')).catch(() => []);
      const uploads = await Promise.all(
        ids.map(async (uploadId): Promise<UploadInfo | undefined> => {
          const text = await readFile(join(uploadDir(bucket, uploadId), 'upload.json'), 'utf8').catch(() => undefined);
          const upload = text && (JSON.parse(text) as { key: string; initiatedAt: string });
          return upload ? { key: upload.key, uploadId, initiatedAt: new Date(upload.initiatedAt) } : undefined;
        }),
      );
      return uploads
        .filter((upload) => upload !== undefined)
        .sort((a, b) => compareKeys(a.key, b.key) || (a.uploadId < b.uploadId ? -1 : 1));
    },

    async completeUpload(name, key, uploadId, parts, forbidOverwrite) {
      const bucket = await openBucket(name);
      const upload = await readUpload(bucket, key, uploadId);
      const present = new Map((await partsOf(bucket, uploadId)).map((part) => [part.partNumber, part]));
      for (const part of parts)
        if (present.get(part.partNumber)?.etag !== part.etag)
          throw new OssProblem('InvalidPart', `Part ${part.partNumber} was not uploaded with this ETag.`);
      const dir = uploadDir(bucket, uploadId);
      const temporary = temporaryFile(bucket);
      await mkdir(dirname(temporary), { recursive: true });
      try {
        const out = createWriteStream(temporary);
        await pipeline(async function* () {
          for (const part of parts) {
            const file = await open(join(dir, `part-${part.partNumber}-${part.etag}`));
            yield* file.createReadStream();
          }
        }, out);
        const request = { ...upload, forbidOverwrite: forbidOverwrite || (upload.forbidOverwrite ?? false) };
        const written = await writeObject(bucket, key, temporary, undefined, request);
        await rm(dir, { recursive: true, force: true });
        return written;
      } finally {
        await rm(temporary, { force: true });
      }
    },

    async abortUpload(name, key, uploadId) {
      const bucket = await openBucket(name);
      await readUpload(bucket, key, uploadId);
      await rm(uploadDir(bucket, uploadId), { recursive: true, force: true });
    },

    async close() {},
  };
}

function parentKey(key: string): string {
  return key.slice(0, key.replace(/\/$/, '').lastIndexOf('/') + 1);
}

/** Keys below a folder in the order of a listing. `fold` answers a folder instead of what lies in it. */
async function* walk(
  bucket: Bucket,
  folder: string | undefined,
  folderKey: string,
  prefix: string,
  after: string,
  fold: boolean,
): AsyncGenerator<{ key: string; path?: string; stats?: BigIntStats; isPrefix: boolean }> {
  const resolved = folder && (await resolveInside(bucket.realRoot, folder));
  if (!resolved) return;
  const found: Dirent[] | undefined = await readdir(resolved, { withFileTypes: true }).catch(() => undefined);
  if (!found) return;
  const wanted = (key: string) => key.startsWith(prefix) && compareKeys(key, after) > 0;
  if (folderKey !== '' && (bucket.markers.has(folderKey) || found.length === 0) && wanted(folderKey))
    yield { key: folderKey, isPrefix: false };
  const children: { key: string; path: string; isFolder: boolean; isLink: boolean }[] = [];
  for (const child of found) {
    if (folderKey === '' && child.name === TEMPORARY_FOLDER) continue;
    const path = join(resolved, child.name);
    let isFolder = child.isDirectory();
    if (child.isSymbolicLink()) {
      const target = await resolveInside(bucket.realRoot, path);
      if (!target) continue;
      isFolder = (await stat(target)).isDirectory();
    }
    const key = folderKey + child.name + (isFolder ? '/' : '');
    if (key.startsWith(prefix) || (isFolder && prefix.startsWith(key)))
      children.push({ key, path, isFolder, isLink: child.isSymbolicLink() });
  }
  children.sort((a, b) => compareKeys(a.key, b.key));
  for (const child of children) {
    if (!child.isFolder) {
      if (!wanted(child.key)) continue;
      const stats = await stat(child.path, { bigint: true }).catch(() => undefined);
      if (stats?.isFile()) yield { key: child.key, path: child.path, stats, isPrefix: false };
      continue;
    }
    const startsInside = after.startsWith(child.key);
    if (!startsInside && compareKeys(child.key, after) < 0) continue;
    // A link to a folder above itself would be walked for ever.
    if (child.isLink && resolved.startsWith((await realpath(child.path)) as string)) continue;
    if (!fold) yield* walk(bucket, child.path, child.key, prefix, after, false);
    else if (!startsInside) yield { key: child.key, isPrefix: true };
    else if (after !== child.key)
      for await (const _ of walk(bucket, child.path, child.key, prefix, after, false)) {
        yield { key: child.key, isPrefix: true };
        break;
      }
  }
}
