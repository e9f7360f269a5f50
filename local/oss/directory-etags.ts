import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';

/** Larger files get an ETag of the form that multipart uploads have, made of size and time: hashing them would take too long. */
export const MAX_HASHED_BYTES = 8n * 1024n * 1024n;
const MAX_REMEMBERED = 200_000;

/** ETags of files: upper-case MD5, computed once per version of a file. */
export interface Etags {
  of(path: string, stats: BigIntStats): Promise<string>;
  remember(path: string, stats: BigIntStats, md5: string): void;
}

export function openEtags(): Etags {
  const known = new Map<string, { version: string; etag: string }>();
  const versionOf = (stats: BigIntStats) => `${stats.size}-${stats.mtimeNs}-${stats.ino}`;
  const keep = (path: string, version: string, etag: string) => {
    if (known.size >= MAX_REMEMBERED) known.delete(known.keys().next().value as string);
    known.set(path, { version, etag });
  };
  return {
    async of(path, stats) {
      const version = versionOf(stats);
      const found = known.get(path);
      if (found?.version === version) return found.etag;
      const etag = stats.size > MAX_HASHED_BYTES ? opaqueEtag(stats) : await hashFile(path);
      keep(path, version, etag);
      return etag;
    },
    remember: (path, stats, md5) => keep(path, versionOf(stats), stats.size > MAX_HASHED_BYTES ? opaqueEtag(stats) : md5),
  };
}

function opaqueEtag(stats: BigIntStats): string {
  return `${createHash('md5').update(`${stats.size}-${stats.mtimeNs}`).digest('hex').toUpperCase()}-1`;
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('md5');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex').toUpperCase();
}
