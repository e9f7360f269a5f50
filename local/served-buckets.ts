import { realpathSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { InvalidInput } from '../shared/errors.ts';

/** OSS's rule for names: 3 to 63 of lower case letters, digits and `-`, no `-` at either end. */
const BUCKET_NAME = /^[a-z0-9](?:[a-z0-9-]{1,61})[a-z0-9]$/;

/** Directories that the object-store endpoint serves, by storage bucket name. */
export type ServedBuckets = ReadonlyMap<string, string>;

/** Reads `NAME=DIR` arguments. Throws InvalidInput that names the argument: wrong name, missing directory, a name twice. */
export function parseBuckets(args: readonly string[]): ServedBuckets {
  const buckets = new Map<string, string>();
  for (const arg of args) {
    const [name = '', ...rest] = arg.split('=');
    const folder = rest.join('=');
    if (rest.length === 0 || folder === '') throw wrong(arg, 'must be NAME=DIR, such as lake=./warehouses');
    if (!BUCKET_NAME.test(name))
      throw wrong(arg, `'${name}' is not a bucket name: 3 to 63 lower case letters, digits and -, no - at either end`);
    if (name === SAMPLE_BUCKET) throw wrong(arg, `'${SAMPLE_BUCKET}' is the bucket of the sample; choose another name`);
    if (buckets.has(name)) throw wrong(arg, `bucket '${name}' is given twice`);
    const path = resolve(folder);
    const found = statSync(path, { throwIfNoEntry: false });
    if (!found) throw wrong(arg, `there is no directory ${path}`);
    if (!found.isDirectory()) throw wrong(arg, `${path} is not a directory`);
    buckets.set(name, realpathSync(path));
  }
  return buckets;
}

export const SAMPLE_BUCKET = 'sample';

function wrong(arg: string, issue: string): InvalidInput {
  return InvalidInput.at(`--bucket ${arg}`, issue);
}
