import { realpath } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { OssProblem } from './problem.ts';

/** Files of ours that had to lie inside a served directory, since its file system is not that of the state. */
export const TEMPORARY_FOLDER = '.datamap-oss-tmp';

/** Where `key` lies below `root`, or undefined when a file system cannot hold such a name. A trailing slash is dropped. */
export function pathOf(root: string, key: string): string | undefined {
  const segments = key.split('/');
  if (segments.at(-1) === '') segments.pop();
  const isName = (segment: string) =>
    segment !== '' && segment !== '.' && segment !== '..' && !segment.includes('\0') && Buffer.byteLength(segment) <= 255;
  if (segments.length === 0 || segments[0] === TEMPORARY_FOLDER || !segments.every(isName)) return undefined;
  return join(root, ...segments);
}

export function requirePath(root: string, key: string): string {
  const path = pathOf(root, key);
  if (path === undefined)
    throw new OssProblem(
      'InvalidObjectName',
      'A directory tree cannot hold a key with empty, "." or ".." parts or very long names.',
    );
  return path;
}

/** The path with links resolved when it stays inside `realRoot`; undefined when it leaves it or is not there. */
export async function resolveInside(realRoot: string, path: string): Promise<string | undefined> {
  const resolved = await realpath(path).catch(() => undefined);
  return resolved !== undefined && (resolved === realRoot || resolved.startsWith(realRoot + sep)) ? resolved : undefined;
}

/** Throws when the nearest existing folder above `path` leads out of `realRoot`. */
export async function requireParentInside(realRoot: string, path: string): Promise<void> {
  for (let folder = dirname(path); folder.length >= realRoot.length; folder = dirname(folder)) {
    const resolved = await realpath(folder).catch(() => undefined);
    if (resolved === undefined) continue;
    if (resolved === realRoot || resolved.startsWith(realRoot + sep)) return;
    break;
  }
  throw new OssProblem('InvalidObjectName', 'The key leads through a link that leaves the served directory.');
}
