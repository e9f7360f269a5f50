import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FormatError, InvalidInput, NotFound } from '../../../shared/errors.ts';
import { compareBytes } from '../../../shared/object-store/byte-order.ts';
import { openDirectoryStore } from '../../../shared/object-store/directory.ts';
import type { ObjectStore } from '../../../shared/object-store/object-store.ts';

let outside: string;
let root: string;
let store: ObjectStore;

// `a-b` sorts before `a/x` in byte order, though the folder is named first; the last two differ in UTF-16 order.
const KEYS = [
  'a-b',
  'a/x',
  'a/y/z',
  'a.b',
  'b/c',
  'snapshot/snapshot-1',
  'snapshot/snapshot-10',
  'snapshot/snapshot-2',
  'ü/ö',
  '\uff5e',
  '\u{10400}',
];

beforeAll(async () => {
  outside = await mkdtemp(join(tmpdir(), 'directory-store-'));
  root = join(outside, 'root');
  for (const key of KEYS) await put(join(root, key), key);
  await mkdir(join(root, 'empty'));
  await put(join(outside, 'secret'), 'secret');
  await symlink(outside, join(root, 'link-out'));
  await symlink(join(outside, 'secret'), join(root, 'secret-link'));
  await symlink(join(root, 'a'), join(root, 'link-in'));
  await symlink(root, join(root, 'b/loop'));
  store = openDirectoryStore(root);
});
afterAll(() => rm(outside, { recursive: true }));

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}

/** Every key, page by page. */
async function listAll(request: { prefix: string; delimiter?: '/'; maxKeys?: number; startAfter?: string }): Promise<string[]> {
  const keys: string[] = [];
  let token: string | undefined;
  do {
    const page = await store.list({ ...request, ...(token === undefined ? {} : { token }) });
    expect(page.objects.length + page.prefixes.length).toBeLessThanOrEqual(request.maxKeys ?? 1000);
    keys.push(...[...page.objects.map(({ key }) => key), ...page.prefixes].sort(compareBytes));
    token = page.nextToken;
  } while (token !== undefined);
  return keys;
}

const linked = ['link-in/x', 'link-in/y/z'];
const all = [...KEYS, ...linked, 'empty/'].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

describe('list', () => {
  test('gives every key in byte order, an empty directory as its marker', async () => {
    expect(await listAll({ prefix: '' })).toEqual(all);
  });

  test.each([1, 2, 3, 7])('gives the same in pages of %i', async (maxKeys) => {
    expect(await listAll({ prefix: '', maxKeys })).toEqual(all);
  });

  test('continues after any key, there or not', async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.constantFrom(...all), fc.string({ maxLength: 12, unit: 'grapheme' })), async (startAfter) => {
        expect(await listAll({ prefix: '', startAfter })).toEqual(all.filter((key) => compareBytes(key, startAfter) > 0));
      }),
      { numRuns: 100 },
    );
  });

  test('takes a prefix that ends inside a name', async () => {
    expect(await listAll({ prefix: 'snapshot/snapshot-1' })).toEqual(['snapshot/snapshot-1', 'snapshot/snapshot-10']);
    expect(await listAll({ prefix: 's' })).toEqual(['snapshot/snapshot-1', 'snapshot/snapshot-10', 'snapshot/snapshot-2']);
    expect(await listAll({ prefix: 'nothing/' })).toEqual([]);
  });

  test.each([1, 2, 1000])('folds folders in pages of %i', async (maxKeys) => {
    expect(await listAll({ prefix: '', delimiter: '/', maxKeys })).toEqual(
      ['a-b', 'a.b', 'a/', 'b/', 'empty/', 'link-in/', 'snapshot/', 'ü/', '\uff5e', '\u{10400}'].sort(compareBytes),
    );
    expect(await listAll({ prefix: 'a/', delimiter: '/', maxKeys })).toEqual(['a/x', 'a/y/']);
  });

  test('does not follow links out of the root', async () => {
    expect((await listAll({ prefix: '' })).filter((key) => key.includes('secret'))).toEqual([]);
    expect(await listAll({ prefix: 'link-out/' })).toEqual([]);
  });
});

describe('get', () => {
  test('reads whole objects and ranges', async () => {
    expect(Buffer.from((await store.get('a/y/z'))!.bytes).toString()).toBe('a/y/z');
    expect(Buffer.from((await store.getRange('a/y/z', 2, 100))!.bytes).toString()).toBe('y/z');
    expect((await store.getRange('a/y/z', 50, 10))!.bytes).toHaveLength(0);
    expect(Buffer.from((await store.get('link-in/x'))!.bytes).toString()).toBe('a/x');
  });

  test('answers undefined for what is not there, folders included', async () => {
    for (const key of ['nothing', 'a', 'a/x/y', 'a/', 'snapshot/snapshot-1/']) {
      expect(await store.get(key)).toBeUndefined();
      expect(await store.head(key)).toBeUndefined();
    }
    expect((await store.get('empty/'))!.bytes).toHaveLength(0);
  });

  test.each(['..', '../secret', 'a/../../secret', './a/x', 'a/./x', 'a//x', '/a/x', '', 'a\0b'])(
    'refuses the key %j',
    async (key) => {
      await expect(store.get(key)).rejects.toThrow(InvalidInput);
      await expect(store.head(key)).rejects.toThrow(InvalidInput);
    },
  );

  test('treats links out of the root as absent', async () => {
    expect(await store.get('link-out/secret')).toBeUndefined();
    expect(await store.get('secret-link')).toBeUndefined();
    expect(await store.head('secret-link')).toBeUndefined();
  });

  test('refuses more bytes than allowed', async () => {
    await expect(store.get('snapshot/snapshot-1', { maxBytes: 3 })).rejects.toThrow(FormatError);
  });

  test('gives another ETag to other content', async () => {
    const before = await store.head('b/c');
    await put(join(root, 'b/c'), 'other');
    const after = await store.head('b/c');
    expect(after!.etag).not.toBe(before!.etag);
    expect((await store.get('b/c'))!.etag).toBe(after!.etag);
    expect((await store.list({ prefix: 'b/c' })).objects[0]!.etag).toBe(after!.etag);
  });
});

test('a root that is not there is NotFound', async () => {
  await expect(openDirectoryStore(join(outside, 'nothing')).list({ prefix: '' })).rejects.toThrow(NotFound);
});

test('compareBytes orders as UTF-8 does', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
      expect(Math.sign(compareBytes(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
  );
});
