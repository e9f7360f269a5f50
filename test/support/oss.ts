import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Minio, startMinio } from '../../local/minio.ts';
import { openDirectoryStorage } from '../../local/oss/directory-storage.ts';
import { openS3Storage } from '../../local/oss/s3-storage.ts';
import { type OssEndpoint, type OssEndpointOptions, startOssEndpoint } from '../../local/oss/server.ts';
import { type Identities, openIdentities } from '../../local/sts/identities.ts';
import { type AccessKeys, Secret } from '../../shared/credentials/secret.ts';

export interface TestOss extends OssEndpoint {
  identities: Identities;
  /** A user who may do everything. */
  keys: AccessKeys;
  bucket: string;
  /** The served directory; empty string with MinIO. */
  directory: string;
}

const keys: AccessKeys = { accessKeyId: 'LTAItestkey', accessKeySecret: new Secret('test-secret') };
type Options = Partial<Omit<OssEndpointOptions, 'storage' | 'identities'>>;

/** An endpoint over a fresh directory, with the storage bucket `lake`. */
export async function startDirectoryOss(options: Options = {}): Promise<TestOss> {
  const folder = mkdtempSync(join(tmpdir(), 'datamap-oss-'));
  const directory = join(folder, 'lake');
  mkdirSync(directory);
  const storage = openDirectoryStorage({ buckets: { lake: directory }, stateDir: join(folder, 'state') });
  const identities = newIdentities();
  const endpoint = await startOssEndpoint({ ...options, storage, identities });
  return {
    ...endpoint,
    identities,
    keys,
    bucket: 'lake',
    directory,
    async close() {
      await endpoint.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** An endpoint over a fresh MinIO, with the storage bucket `lake`. */
export async function startMinioOss(options: Options = {}): Promise<TestOss> {
  const folder = mkdtempSync(join(tmpdir(), 'datamap-minio-'));
  const minio: Minio = await startMinio({ dataDir: folder });
  const storage = openS3Storage({ endpoint: minio.url, keys: minio.keys });
  await storage.createBucket('lake');
  const identities = newIdentities();
  const endpoint = await startOssEndpoint({ ...options, storage, identities });
  return {
    ...endpoint,
    identities,
    keys,
    bucket: 'lake',
    directory: '',
    async close() {
      await endpoint.close();
      await minio.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function newIdentities(): Identities {
  const identities = openIdentities({ accountId: '1234567890123456' });
  identities.putUser(keys);
  return identities;
}
