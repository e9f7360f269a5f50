import type { ByteRange, StoredMeta } from './storage.ts';

/** What the conditional headers make of an object. `prefix` is `x-oss-copy-source-` for the source of a copy. */
export function judgeConditions(
  headers: Record<string, string | string[] | undefined>,
  meta: StoredMeta,
  prefix = '',
): 'proceed' | 'not-modified' | 'failed' {
  const one = (name: string) => headers[prefix + name] as string | undefined;
  const [match, noneMatch] = [one('if-match'), one('if-none-match')];
  const [since, unmodifiedSince] = [one('if-modified-since'), one('if-unmodified-since')];
  if (match !== undefined && !names(match, meta.etag)) return 'failed';
  if (unmodifiedSince !== undefined && meta.lastModified.getTime() > Date.parse(unmodifiedSince)) return 'failed';
  if (noneMatch !== undefined && names(noneMatch, meta.etag)) return 'not-modified';
  if (since !== undefined && meta.lastModified.getTime() <= Date.parse(since)) return 'not-modified';
  return 'proceed';
}

function names(list: string, etag: string): boolean {
  return list.split(',').some((one) => {
    const bare = one.trim().replace(/^"|"$/g, '');
    return bare === '*' || bare.toUpperCase() === etag.toUpperCase();
  });
}

/**
 * The part that a Range header asks for. OSS answers a range that is not wholly inside the object with the whole object,
 * unless `x-oss-range-behavior: standard` asks for HTTP's rules. Source: help page "GetObject" (2025).
 */
export function judgeRange(
  header: string | undefined,
  behaviour: string | undefined,
  sizeBytes: number,
): ByteRange | 'whole' | 'unsatisfiable' {
  const parts = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '');
  if (!parts) return 'whole';
  const [, from = '', to = ''] = parts;
  const isStandard = behaviour === 'standard';
  if (from === '' && to === '') return 'whole';
  if (from === '') {
    const suffix = Number(to);
    if (suffix === 0 || sizeBytes === 0) return isStandard ? 'unsatisfiable' : 'whole';
    if (suffix > sizeBytes && !isStandard) return 'whole';
    return { first: Math.max(0, sizeBytes - suffix), last: sizeBytes - 1 };
  }
  const first = Number(from);
  const last = to === '' ? sizeBytes - 1 : Number(to);
  if (to !== '' && last < first) return 'whole';
  if (first >= sizeBytes) return isStandard ? 'unsatisfiable' : 'whole';
  if (last >= sizeBytes && !isStandard) return 'whole';
  return { first, last: Math.min(last, sizeBytes - 1) };
}
