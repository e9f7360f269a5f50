import OSS from 'ali-oss';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { OssEvent } from '../../local/oss/events.ts';
import { startDirectoryOss, startMinioOss, type TestOss } from '../support/oss.ts';

/** The vendor's own Node client, unmodified, through everything that the endpoint has. */
const backends = [
  ['a directory', startDirectoryOss],
  ['MinIO', startMinioOss],
] as const;
const signatures = [
  ['V1', false],
  ['V4', true],
] as const;

describe.each(backends)('ali-oss on %s', (_backend, start) => {
  let oss: TestOss;
  const events: OssEvent[] = [];
  beforeAll(async () => {
    oss = await start({ onEvent: (event) => events.push(event) });
  });
  afterAll(() => oss?.close());
  beforeEach(() => {
    events.length = 0;
  });
  const eventNames = () => events.flatMap((event) => event.events.map((item) => `${item.eventName} ${item.oss.object.key}`));

  describe.each(signatures)('%s', (version, authorizationV4) => {
    const folder = `${version.toLowerCase()}/`;
    const clientFor = (options: object = {}) =>
      new OSS({
        endpoint: oss.url.replace('127.0.0.1', 'localhost'),
        sldEnable: true,
        bucket: oss.bucket,
        region: 'oss-cn-hangzhou',
        accessKeyId: oss.keys.accessKeyId,
        accessKeySecret: oss.keys.accessKeySecret.reveal(),
        authorizationV4,
        ...options,
      } as OSS.Options);

    it('puts, gets, heads and deletes', async () => {
      const client = clientFor();
      const key = `${folder}a b+c/ä%20&.txt`;
      await client.put(key, Buffer.from('content'), {
        meta: { owner: 'me' } as unknown as OSS.UserMeta,
        headers: { 'Cache-Control': 'no-store' },
      });
      const got = await client.get(key);
      expect(String(got.content)).toBe('content');
      expect(got.res.headers).toMatchObject({
        etag: '"9A0364B9E99BB480DD25E1F0284C8555"',
        'content-type': 'text/plain',
        'cache-control': 'no-store',
        'x-oss-object-type': 'Normal',
        'x-oss-meta-owner': 'me',
        'x-oss-request-id': expect.stringMatching(/^[0-9A-F]{24}$/),
      });
      expect((await client.head(key)).meta).toEqual({ owner: 'me' });
      const meta = await (client as unknown as MoreMembers).getObjectMeta(key);
      expect(meta.res.headers).toMatchObject({ 'content-length': '7', etag: '"9A0364B9E99BB480DD25E1F0284C8555"' });
      expect((await client.delete(key)).res.status).toBe(204);
      await expect(client.get(key)).rejects.toMatchObject({ code: 'NoSuchKey', status: 404 });
      await expect(client.head(key)).rejects.toMatchObject({ code: 'NoSuchKey', status: 404 });
      expect((await client.delete(key)).res.status).toBe(204);
      expect(eventNames()).toEqual([`ObjectCreated:PutObject ${key}`, `ObjectRemoved:DeleteObject ${key}`]);
      const [created] = events[0]?.events ?? [];
      expect(created?.oss.object).toMatchObject({ size: 7, deltaSize: 7, eTag: '9A0364B9E99BB480DD25E1F0284C8555' });
      expect(Math.abs(Date.parse(created?.eventTime ?? '') - Date.now())).toBeLessThan(60_000);
    });

    it('streams without a length', async () => {
      const client = clientFor();
      const { Readable } = await import('node:stream');
      await client.putStream(`${folder}streamed`, Readable.from([Buffer.from('one '), Buffer.from('two')]));
      expect(String((await client.get(`${folder}streamed`)).content)).toBe('one two');
    });

    it('keeps OSS’s two ways with ranges', async () => {
      const client = clientFor();
      const key = `${folder}range`;
      await client.put(key, Buffer.from('0123456789'));
      const read = async (range: string, headers = {}) => {
        const { res, content } = await client.get(key, { headers: { Range: range, ...headers } });
        return [res.status, String(content)];
      };
      expect(await read('bytes=2-4')).toEqual([206, '234']);
      expect(await read('bytes=7-')).toEqual([206, '789']);
      expect(await read('bytes=-3')).toEqual([206, '789']);
      expect(await read('bytes=5-50')).toEqual([200, '0123456789']);
      expect(await read('bytes=50-60')).toEqual([200, '0123456789']);
      expect(await read('bytes=5-50', { 'x-oss-range-behavior': 'standard' })).toEqual([206, '56789']);
      await expect(read('bytes=50-60', { 'x-oss-range-behavior': 'standard' })).rejects.toMatchObject({
        code: 'InvalidRange',
        status: 416,
      });
    });

    it('judges conditions', async () => {
      const client = clientFor();
      const key = `${folder}conditions`;
      await client.put(key, Buffer.from('x'));
      const { etag } = (await client.head(key)).res.headers as { etag: string };
      const get = async (headers: object) => (await client.get(key, { headers })).res.status;
      expect(await get({ 'If-None-Match': etag })).toBe(304);
      expect(await get({ 'If-None-Match': '"other"' })).toBe(200);
      expect(await get({ 'If-Match': etag })).toBe(200);
      await expect(get({ 'If-Match': '"other"' })).rejects.toMatchObject({ code: 'PreconditionFailed', status: 412 });
      expect(await get({ 'If-Modified-Since': new Date(Date.now() + 60_000).toUTCString() })).toBe(304);
      await expect(get({ 'If-Unmodified-Since': new Date(0).toUTCString() })).rejects.toMatchObject({ status: 412 });
    });

    it('lists in both versions, page by page', async () => {
      const client = clientFor();
      const names = ['list/a', 'list/b/1', 'list/b/2', 'list/c', 'list/d&<e>'].map((name) => folder + name);
      for (const name of names) await client.put(name, Buffer.from(name));
      const first = await client.list({ prefix: `${folder}list/`, 'max-keys': 2 } as OSS.ListObjectsQuery, {});
      expect(first).toMatchObject({ isTruncated: true, nextMarker: names[1] });
      const rest = await client.list(
        { prefix: `${folder}list/`, marker: first.nextMarker, 'max-keys': 10 } as OSS.ListObjectsQuery,
        {},
      );
      expect([...first.objects, ...rest.objects].map((object) => object.name)).toEqual(names);
      expect(rest.objects[0]).toMatchObject({ type: 'Normal', storageClass: 'Standard', size: names[2]?.length });
      const folded = await client.list({ prefix: `${folder}list/`, delimiter: '/', 'max-keys': 2 } as OSS.ListObjectsQuery, {});
      expect(folded).toMatchObject({ prefixes: [`${folder}list/b/`], nextMarker: `${folder}list/b/` });
      const query = { prefix: `${folder}list/`, 'max-keys': '2' };
      const page1 = await client.listV2({ ...query } as OSS.ListV2ObjectsQuery, {});
      const token = page1.nextContinuationToken;
      const page2 = await client.listV2({ ...query, 'continuation-token': token } as OSS.ListV2ObjectsQuery, {});
      expect(page2).toMatchObject({ isTruncated: true, keyCount: 2 });
      expect(page2.objects.map((object) => object.name)).toEqual(names.slice(2, 4));
    });

    it('copies', async () => {
      const client = clientFor();
      await client.put(`${folder}von hier`, Buffer.from('copied'), { meta: { a: 'b' } as unknown as OSS.UserMeta });
      events.length = 0;
      await client.copy(`${folder}nach/dort`, `${folder}von hier`);
      expect(String((await client.get(`${folder}nach/dort`)).content)).toBe('copied');
      expect((await client.head(`${folder}nach/dort`)).meta).toEqual({ a: 'b' });
      expect(eventNames()).toEqual([`ObjectCreated:CopyObject ${folder}nach/dort`]);
      await expect(client.copy(`${folder}x`, `${folder}absent`)).rejects.toMatchObject({ code: 'NoSuchKey' });
    });

    it('deletes many at once', async () => {
      const client = clientFor();
      const names = ['many/1', 'many/2 &', 'many/3'].map((name) => folder + name);
      for (const name of names) await client.put(name, Buffer.from('x'));
      events.length = 0;
      const gone = await client.deleteMulti(names);
      expect((gone.deleted as unknown as { Key: string }[]).map((one) => one.Key)).toEqual(names);
      expect(events).toHaveLength(1);
      expect(eventNames()).toEqual(names.map((name) => `ObjectRemoved:DeleteObjects ${name}`));
      expect((await client.listV2({ prefix: `${folder}many/` } as OSS.ListV2ObjectsQuery, {})).objects).toEqual([]);
    });

    it('uploads in parts, copies a part, lists and aborts', async () => {
      const client = clientFor();
      const key = `${folder}large`;
      const part = Buffer.alloc(5 * 1024 * 1024, 'p');
      await client.put(`${folder}piece`, Buffer.from('the end'));
      const { uploadId } = await client.initMultipartUpload(key);
      const one = await (client as unknown as MoreMembers).uploadPart(key, uploadId, 1, part, 0, part.length);
      const two = await (client as unknown as MoreMembers).uploadPartCopy(key, uploadId, 2, '0-6', {
        sourceKey: `${folder}piece`,
        sourceBucketName: oss.bucket,
      });
      const parts = await (client as unknown as MoreMembers).listParts(key, uploadId);
      expect(parts.parts.map((each) => Number(each.Size))).toEqual([part.length, 7]);
      const uploads = await client.listUploads({ 'max-uploads': 10 } as unknown as OSS.ListUploadsQuery, {});
      expect(uploads.uploads).toEqual([expect.objectContaining({ name: key, uploadId })]);
      events.length = 0;
      await client.completeMultipartUpload(key, uploadId, [
        { number: 1, etag: one.etag as string },
        { number: 2, etag: two.etag },
      ]);
      expect(eventNames()).toEqual([`ObjectCreated:CompleteMultipartUpload ${key}`]);
      expect((await client.head(key)).res.headers).toMatchObject({ 'content-length': String(part.length + 7) });
      const tail = await client.get(key, { headers: { Range: `bytes=${part.length - 1}-` } });
      expect(String(tail.content)).toBe('pthe end');

      const { uploadId: dropped } = await client.initMultipartUpload(key);
      await client.abortMultipartUpload(key, dropped);
      await expect((client as unknown as MoreMembers).listParts(key, dropped)).rejects.toMatchObject({ code: 'NoSuchUpload' });
    });

    it('signs URLs', async () => {
      const client = clientFor();
      await client.put(`${folder}signed.txt`, Buffer.from('by url'));
      const signed = authorizationV4
        ? await (client as unknown as SignsV4).signatureUrlV4('GET', 60, {}, `${folder}signed.txt`)
        : client.signatureUrl(`${folder}signed.txt`, { expires: 60 });
      const answer = await fetch(signed);
      expect([answer.status, await answer.text()]).toEqual([200, 'by url']);
      const tampered = await fetch(signed.replace('signed.txt', 'range'));
      expect([tampered.status, await tampered.text()]).toEqual([403, expect.stringContaining('SignatureDoesNotMatch')]);
    });

    it('lets exactly one of racing writers win', async () => {
      const key = `${folder}race/snapshot-1`;
      const attempts = Array.from({ length: 12 }, async (_, i) =>
        clientFor()
          .put(key, Buffer.from(`writer ${i}`), { headers: { 'x-oss-forbid-overwrite': 'true' } })
          .then(() => i)
          .catch((error: { code: string; status: number }) => `${error.status} ${error.code}`),
      );
      const ended = await Promise.all(attempts);
      const winners = ended.filter((result) => typeof result === 'number');
      expect(winners).toHaveLength(1);
      expect(ended.filter((result) => result === '409 FileAlreadyExists')).toHaveLength(11);
      expect(String((await clientFor().get(key)).content)).toBe(`writer ${winners[0]}`);
    });

    it('tells about buckets, and makes and removes them', async () => {
      const client = clientFor();
      const name = `made-${version.toLowerCase()}`;
      await client.putBucket(name);
      const { buckets } = (await client.listBuckets({ 'max-keys': 100 })) as unknown as {
        buckets: { name: string; region: string }[];
      };
      expect(buckets.map((bucket) => [bucket.name, bucket.region])).toEqual(
        expect.arrayContaining([
          [oss.bucket, 'oss-cn-hangzhou'],
          [name, 'oss-cn-hangzhou'],
        ]),
      );
      expect((await client.getBucketInfo(name)).bucket).toMatchObject({ Name: name, Location: 'oss-cn-hangzhou' });
      expect((await client.getBucketLocation(name)).location).toBe('oss-cn-hangzhou');
      expect((await client.getBucketACL(name)).acl).toBe('private');
      await clientFor({ bucket: name }).put('x', Buffer.from('x'));
      await expect(client.deleteBucket(name)).rejects.toMatchObject({ code: 'BucketNotEmpty' });
      await clientFor({ bucket: name }).delete('x');
      await client.deleteBucket(name);
      await expect(clientFor({ bucket: name }).get('x')).rejects.toMatchObject({ code: 'NoSuchBucket' });
    });

    it.each([
      ['an address, path style', { sldEnable: true }, '127.0.0.1'],
      ['an address, the bucket in the forced host name alone', { sldEnable: false }, '127.0.0.1'],
    ])('works with %s', async (_name, options, host) => {
      const client = clientFor({ ...options, endpoint: oss.url.replace('127.0.0.1', host) });
      await client.put(`${folder}by-address`, Buffer.from(host));
      expect(String((await client.get(`${folder}by-address`)).content)).toBe(host);
      const page = await client.listV2({ prefix: `${folder}by-a` } as OSS.ListV2ObjectsQuery, {});
      expect(page.objects).toHaveLength(1);
    });

    it('uses temporary keys, and only with their token', async () => {
      oss.identities.putRole({ arn: 'acs:ram::1234567890123456:role/reader', trusted: ['*'] });
      const role = oss.identities.role('acs:ram::1234567890123456:role/reader')!;
      const keys = oss.identities.issue(role, { name: 'test', durationSeconds: 900 });
      const temporary = {
        accessKeyId: keys.accessKeyId,
        accessKeySecret: keys.accessKeySecret.reveal(),
        refreshSTSTokenInterval: 300_000,
      };
      const client = clientFor({ ...temporary, stsToken: keys.securityToken.reveal() });
      await client.put(`${folder}temporary`, Buffer.from('x'));
      await expect(clientFor(temporary).get(`${folder}temporary`)).rejects.toMatchObject({ code: 'InvalidAccessKeyId' });
      await expect(clientFor({ ...temporary, stsToken: 'made.up' }).get(`${folder}temporary`)).rejects.toMatchObject({
        code: 'InvalidSecurityToken',
      });
      const old = oss.identities.issue(role, { name: 'test', durationSeconds: 900, now: new Date(Date.now() - 3_600_000) });
      const expired = clientFor({
        accessKeyId: old.accessKeyId,
        accessKeySecret: old.accessKeySecret.reveal(),
        stsToken: old.securityToken.reveal(),
        refreshSTSTokenInterval: 300_000,
      });
      await expect(expired.get(`${folder}temporary`)).rejects.toMatchObject({ code: 'SecurityTokenExpired' });
    });
  });
});

describe('a directory', () => {
  let oss: TestOss;
  beforeAll(async () => {
    oss = await startDirectoryOss();
  });
  afterAll(() => oss?.close());

  it('keeps folders as an object store does', async () => {
    const client = new OSS({
      endpoint: oss.url.replace('127.0.0.1', 'localhost'),
      sldEnable: true,
      bucket: oss.bucket,
      region: 'oss-cn-hangzhou',
      accessKeyId: oss.keys.accessKeyId,
      accessKeySecret: oss.keys.accessKeySecret.reveal(),
    } as OSS.Options);
    const keys = async (prefix: string) =>
      (await client.listV2({ prefix } as OSS.ListV2ObjectsQuery, {})).objects.map((object) => object.name);
    await client.put('folders/deep/down/file', Buffer.from('x'));
    await client.delete('folders/deep/down/file');
    expect(await keys('folders/')).toEqual([]);
    await client.put('folders/marked/', Buffer.alloc(0));
    await client.put('folders/marked/file', Buffer.from('x'));
    expect(await keys('folders/')).toEqual(['folders/marked/', 'folders/marked/file']);
    await client.delete('folders/marked/file');
    expect(await keys('folders/')).toEqual(['folders/marked/']);
    expect((await client.head('folders/marked/')).res.headers).toMatchObject({ 'content-length': '0' });
    await client.delete('folders/marked/');
    expect(await keys('folders/')).toEqual([]);
  });
});

/** Members that the client has and its types lack. */
interface MoreMembers {
  getObjectMeta(key: string): Promise<{ res: { headers: object } }>;
  listParts(key: string, uploadId: string): Promise<{ parts: { Size: string }[] }>;
  uploadPartCopy(key: string, uploadId: string, partNumber: number, range: string, source: object): Promise<{ etag: string }>;
  uploadPart(
    key: string,
    uploadId: string,
    partNumber: number,
    file: Buffer,
    start: number,
    end: number,
  ): Promise<{ etag: string }>;
}
interface SignsV4 {
  signatureUrlV4(method: string, expires: number, request: object, key: string): Promise<string>;
}
