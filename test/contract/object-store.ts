import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FormatError } from '../../shared/errors.ts';
import type { ObjectInfo, ObjectStore } from '../../shared/object-store/object-store.ts';

/** What every adapter of `ObjectStore` does, whatever it stands on. `seed` puts objects where the store reads. */
export interface ContractSubject {
  store: ObjectStore;
  seed(objects: Record<string, string>): Promise<void>;
  close(): Promise<void>;
}

const objects: Record<string, string> = {
  'wh/a.txt': 'alpha',
  'wh/db.db/t-1/schema/schema-0': '{}',
  'wh/db.db/t/schema/schema-0': '{"id":0}',
  'wh/db.db/t/schema/schema-1': '{"id":1}',
  'wh/db.db/t/snapshot/LATEST': '12',
  'wh/db.db/t/snapshot/snapshot-12': '{"id":12}',
  'wh/db.db/t0/schema/schema-0': '{}',
  'wh/empty.txt': '',
  'wh/names/a b+c%&=?#.txt': 'escapes',
  'wh/names/中文/表': 'chinese',
  'wh/names/𝒳': 'above the basic plane',
  'wh/names/ﬀ': 'high in the basic plane',
  'wh/z': 'last',
};

export function objectStoreContract(name: string, open: () => Promise<ContractSubject>): void {
  describe(`object store contract: ${name}`, () => {
    let subject: ContractSubject;
    let store: ObjectStore;
    beforeAll(async () => {
      subject = await open();
      store = subject.store;
      await subject.seed(objects);
    });
    afterAll(() => subject?.close());

    const text = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('utf8');
    async function listAll(request: { prefix: string; delimiter?: '/'; startAfter?: string }, maxKeys?: number) {
      const found: ObjectInfo[] = [];
      const prefixes: string[] = [];
      for (let token: string | undefined; ; ) {
        const page = await store.list({ ...request, ...(maxKeys && { maxKeys }), ...(token && { token }) });
        if (maxKeys) expect(page.objects.length + page.prefixes.length).toBeLessThanOrEqual(maxKeys);
        found.push(...page.objects);
        prefixes.push(...page.prefixes);
        expect(page.nextToken).not.toBe(token ?? '');
        if (!page.nextToken) return { keys: found.map((object) => object.key), prefixes, found };
        token = page.nextToken;
      }
    }
    const inByteOrder = Object.keys(objects).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

    it.each(Object.entries(objects))('gives %s back as it was stored', async (key, content) => {
      const object = await store.get(key);
      expect(text(object?.bytes)).toBe(content);
      expect(object?.sizeBytes).toBe(Buffer.byteLength(content));
      const head = await store.head(key);
      expect(head).toEqual({ key, sizeBytes: object?.sizeBytes, etag: object?.etag, lastModified: object?.lastModified });
      expect(head?.etag).toMatch(/^[^"]+$/);
      expect(Math.abs(Date.now() - (head?.lastModified.getTime() ?? 0))).toBeLessThan(10 * 60_000);
    });

    it('answers absence with undefined', async () => {
      for (const key of ['wh/absent', 'wh/a.txt/below', 'wh/db.db', 'absent/absent']) {
        expect(await store.get(key), key).toBeUndefined();
        expect(await store.head(key), key).toBeUndefined();
        expect(await store.getRange(key, 0, 10), key).toBeUndefined();
      }
    });

    it('reads ranges, shorter at the end, empty behind it', async () => {
      const whole = await store.get('wh/a.txt');
      for (const [offset, length, expected] of [
        [0, 2, 'al'],
        [2, 2, 'ph'],
        [3, 100, 'ha'],
        [4, 1, 'a'],
        [0, 5, 'alpha'],
        [5, 1, ''],
        [100, 10, ''],
      ] as const) {
        const part = await store.getRange('wh/a.txt', offset, length);
        expect(text(part?.bytes), `${offset}+${length}`).toBe(expected);
        expect(part?.sizeBytes).toBe(5);
        expect(part?.etag).toBe(whole?.etag);
      }
      expect(text((await store.getRange('wh/empty.txt', 0, 10))?.bytes)).toBe('');
    });

    it('refuses a body over the limit', async () => {
      await expect(store.get('wh/a.txt', { maxBytes: 4 })).rejects.toThrow(FormatError);
      expect(text((await store.get('wh/a.txt', { maxBytes: 5 }))?.bytes)).toBe('alpha');
    });

    it('lists all keys in byte order, with sizes and the ETags that reads give', async () => {
      const { keys, found } = await listAll({ prefix: 'wh/' });
      expect(keys).toEqual(inByteOrder);
      for (const object of found) {
        const head = await store.head(object.key);
        expect({ ...object, lastModified: 0 }).toEqual({ ...head, lastModified: 0 });
        expect(Math.abs(object.lastModified.getTime() - (head?.lastModified.getTime() ?? 0))).toBeLessThan(1000);
      }
    });

    it.each([1, 2, 3, 5])('lists the same in pages of %d', async (maxKeys) => {
      expect((await listAll({ prefix: 'wh/' }, maxKeys)).keys).toEqual(inByteOrder);
      const folded = await listAll({ prefix: 'wh/', delimiter: '/' }, maxKeys);
      expect(folded.prefixes).toEqual(['wh/db.db/', 'wh/names/']);
      expect(folded.keys).toEqual(['wh/a.txt', 'wh/empty.txt', 'wh/z']);
    });

    it('folds at the slash, and takes a prefix that ends inside a name', async () => {
      expect((await listAll({ prefix: 'wh/db.db/', delimiter: '/' })).prefixes).toEqual([
        'wh/db.db/t-1/',
        'wh/db.db/t/',
        'wh/db.db/t0/',
      ]);
      const probe = await listAll({ prefix: 'wh/db.db/t/s', delimiter: '/' });
      expect(probe).toMatchObject({ prefixes: ['wh/db.db/t/schema/', 'wh/db.db/t/snapshot/'], keys: [] });
      expect((await listAll({ prefix: 'wh/db.db/t/s' })).keys).toHaveLength(4);
      expect((await listAll({ prefix: 'wh/db.db/t/schema/schema-1' })).keys).toEqual(['wh/db.db/t/schema/schema-1']);
    });

    it('starts after a key that need not be there', async () => {
      const from = (startAfter: string) => listAll({ prefix: 'wh/db.db/t/', startAfter });
      expect((await from('wh/db.db/t/schema/schema-0')).keys[0]).toBe('wh/db.db/t/schema/schema-1');
      expect((await from('wh/db.db/t/schema/schema-00')).keys[0]).toBe('wh/db.db/t/schema/schema-1');
      expect((await from('wh/db.db/t/zzz')).keys).toEqual([]);
    });

    it('answers a prefix that nothing has with an empty page', async () => {
      for (const prefix of ['absent/', 'wh/absent', 'wh/a.txt/'])
        expect(await store.list({ prefix })).toEqual({ objects: [], prefixes: [] });
    });

    it('stops when it is told to', async () => {
      const stopped = AbortSignal.abort(new Error('told to stop'));
      await expect(store.get('wh/a.txt', { signal: stopped })).rejects.toThrow('told to stop');
      await expect(store.list({ prefix: 'wh/', signal: stopped })).rejects.toThrow('told to stop');
    });
  });
}
