import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { LookupFunction } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import OSS from 'ali-oss';
import { openDirectoryStore } from '../../shared/object-store/directory.ts';
import { openOssStore } from '../../shared/object-store/oss.ts';
import { startDirectoryOss, startMinioOss, type TestOss } from '../support/oss.ts';
import { objectStoreContract } from './object-store.ts';

/** Not every system resolves `bucket.localhost`. */
const toLoopback: LookupFunction = (_name, options, done) => {
  if (options.all) done(null, [{ address: '127.0.0.1', family: 4 }]);
  else done(null, '127.0.0.1', 4);
};

function throughEndpoint(start: () => Promise<TestOss>, pathStyle: boolean) {
  return async () => {
    const oss = await start();
    const { bucket, keys } = oss;
    const endpoint = pathStyle ? oss.url : oss.url.replace('127.0.0.1', 'localhost');
    const writer = new OSS({
      endpoint: oss.url.replace('127.0.0.1', 'localhost'),
      sldEnable: true,
      bucket,
      region: 'oss-cn-hangzhou',
      accessKeyId: keys.accessKeyId,
      accessKeySecret: keys.accessKeySecret.reveal(),
    } as OSS.Options);
    return {
      store: openOssStore({ bucket, endpoint, region: 'cn-hangzhou', keys, pathStyle, lookup: toLoopback }),
      async seed(objects: Record<string, string>) {
        for (const [key, content] of Object.entries(objects)) await writer.put(key, Buffer.from(content));
      },
      close: () => oss.close(),
    };
  };
}

objectStoreContract('OSS adapter on a directory, path style', throughEndpoint(startDirectoryOss, true));
objectStoreContract('OSS adapter on a directory, virtual host', throughEndpoint(startDirectoryOss, false));
objectStoreContract('OSS adapter on MinIO', throughEndpoint(startMinioOss, true));

objectStoreContract('directory adapter', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'datamap-directory-'));
  return {
    store: openDirectoryStore(folder),
    async seed(objects) {
      for (const [key, content] of Object.entries(objects)) {
        await mkdir(dirname(join(folder, key)), { recursive: true });
        await writeFile(join(folder, key), content);
      }
    },
    close: () => rm(folder, { recursive: true, force: true }),
  };
});
