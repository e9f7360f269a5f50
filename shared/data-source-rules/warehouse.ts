import type { WarehouseLocation } from '../data-source.ts';
import { InvalidInput } from '../errors.ts';

/** OSS's own rule; the bucket becomes a label of the host name, so nothing else may pass. */
export const BUCKET_NAME = /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/;

/** OSS takes keys of 1,023 bytes; a warehouse needs room for databases, tables and their files. */
export const MAX_PREFIX_BYTES = 512;

/**
 * Takes `oss://bucket/path` apart. A trailing slash is dropped, everything else must be in normal form already: no empty,
 * `.` or `..` segments, and none of the characters that mean something in RAM policies, shells or URLs. Throws
 * InvalidInput at `warehouse`.
 */
export function parseWarehouse(text: string): WarehouseLocation {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1];
  if (scheme === undefined) throw refuse(`'${shown(text)}' is not of the form oss://bucket/path`);
  if (scheme !== 'oss') throw refuse(`${scheme}:// is not supported: a warehouse on OSS is written oss://bucket/path`);
  const [bucket = '', ...segments] = text.slice('oss://'.length).split('/');
  if (segments.at(-1) === '') segments.pop();
  checkBucket(bucket);
  const path = segments.join('/');
  if (hasRefusedCharacter(path)) throw refuse('the path holds one of * ? $ { } " \\ or a control character; rename the folder');
  if (!path.isWellFormed()) throw refuse('the path is not well-formed text');
  for (const segment of segments) {
    if (segment === '') throw refuse('the path has an empty segment (//); write each slash once');
    if (segment === '.' || segment === '..') throw refuse(`the path has a segment '${segment}'; write the path itself`);
    if (segment.trim() === '') throw refuse('the path has a segment of blanks only');
  }
  const last = segments.at(-1);
  if (last !== undefined && last !== last.trimEnd()) throw refuse('the path ends in a blank; remove it');
  const prefix = path === '' ? '' : `${path}/`;
  if (Buffer.byteLength(prefix) > MAX_PREFIX_BYTES) throw refuse(`the path is longer than ${MAX_PREFIX_BYTES} bytes`);
  return { bucket, prefix };
}

/** The one way to write a place: `oss://bucket/path` without a trailing slash. */
export function formatWarehouse(location: WarehouseLocation): string {
  return `oss://${location.bucket}${location.prefix === '' ? '' : `/${location.prefix.slice(0, -1)}`}`;
}

/** `same`: one place; `inside`: `a` lies below `b`; `around`: `b` lies below `a`. */
export function relation(a: WarehouseLocation, b: WarehouseLocation): 'same' | 'inside' | 'around' | 'apart' {
  if (a.bucket !== b.bucket) return 'apart';
  if (a.prefix === b.prefix) return 'same';
  if (a.prefix.startsWith(b.prefix)) return 'inside';
  if (b.prefix.startsWith(a.prefix)) return 'around';
  return 'apart';
}

function checkBucket(bucket: string): void {
  if (bucket === '') throw refuse('the bucket is missing: write oss://bucket/path');
  if (BUCKET_NAME.test(bucket)) return;
  const [name = '', ...host] = bucket.split('.');
  if (host.length > 0 && BUCKET_NAME.test(name) && host.join('.').endsWith('aliyuncs.com'))
    throw refuse(
      host.join('.').includes('oss-dls')
        ? 'an OSS-HDFS (JindoFS) warehouse cannot be read: its objects are blocks, not files'
        : `write the bucket alone (oss://${name}/…); the endpoint has its own field`,
    );
  throw refuse(
    `'${shown(bucket)}' is not a bucket name: 3 to 63 lower-case letters, digits and hyphens, with no hyphen at either end`,
  );
}

function hasRefusedCharacter(text: string): boolean {
  // C0, DEL and C1 in one class; bidi marks and zero-width characters make two paths look like one.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return /[*?${}"\\\u0000-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/u.test(text);
}

/** Foreign text in a message: short and visible. */
function shown(text: string): string {
  const visible = JSON.stringify(text).slice(1, -1);
  return visible.length > 80 ? `${visible.slice(0, 80)}…` : visible;
}

function refuse(issue: string): InvalidInput {
  return InvalidInput.at('warehouse', issue);
}
