import { createReadStream, existsSync } from 'node:fs';
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { Secret } from '../shared/credentials/secret.ts';
import type { Log } from '../shared/log.ts';
import { CannotStart } from './cannot-start.ts';
import { startMinio } from './minio.ts';
import { openDirectoryStorage } from './oss/directory-storage.ts';
import type { OssEvent } from './oss/events.ts';
import { openS3Storage } from './oss/s3-storage.ts';
import { startOssEndpoint } from './oss/server.ts';
import type { Storage } from './oss/storage.ts';
import type { ServedBuckets } from './served-buckets.ts';
import type { Identities } from './sts/identities.ts';

/** Small files: what MinIO takes side by side. */
const COPIES_AT_ONCE = 16;

export interface ObjectsOptions {
  port: number;
  /** What a directory has no place for: markers, metadata, unfinished uploads, buckets that clients make. */
  stateDir: string;
  /** MinIO's own files. */
  minioDir: string;
  buckets: ServedBuckets;
  minio: boolean;
  /** Opens the endpoint's switches for faults and its request log to who bears `controlToken`. */
  faults: boolean;
  controlToken: string;
  region: string;
  identities: Identities;
  onEvent(event: OssEvent): Promise<void> | undefined;
  /** Told what takes long. */
  onProgress(message: string): void;
  log: Log;
}

/** The object-store endpoint over directories, or over MinIO that holds copies of them. */
export async function openObjects(options: ObjectsOptions): Promise<{ url: string; close(): Promise<void> }> {
  const minio = options.minio ? await openMinio(options) : undefined;
  try {
    const endpoint = await startOssEndpoint({
      storage:
        minio?.storage ?? openDirectoryStorage({ buckets: Object.fromEntries(options.buckets), stateDir: options.stateDir }),
      identities: options.identities,
      port: options.port,
      region: options.region,
      onEvent: (event) => {
        options.onEvent(event)?.catch((error: unknown) => options.log.error('object event was lost', { error }));
      },
      ...(options.faults && { adminToken: new Secret(options.controlToken) }),
      log: options.log,
    });
    return {
      url: endpoint.url,
      async close() {
        await endpoint.close();
        await minio?.close();
      },
    };
  } catch (error) {
    await minio?.close();
    throw error;
  }
}

async function openMinio(options: ObjectsOptions) {
  const server = await startMinio({ dataDir: options.minioDir, onProgress: options.onProgress }).catch((cause: unknown) => {
    throw new CannotStart((cause as Error).message, { cause });
  });
  try {
    const storage = openS3Storage({ endpoint: server.url, keys: server.keys });
    for (const [bucket, folder] of options.buckets)
      await copyOnce({
        storage,
        bucket,
        folder,
        doneFile: join(options.minioDir, 'copied', bucket),
        onProgress: options.onProgress,
      });
    return { storage, close: server.close };
  } catch (error) {
    await server.close();
    throw error;
  }
}

/** At the first start only: what programs changed in MinIO since must not come back from the directory. */
async function copyOnce(copy: {
  storage: Storage;
  bucket: string;
  folder: string;
  doneFile: string;
  onProgress(message: string): void;
}): Promise<void> {
  const { storage, bucket, folder } = copy;
  if (existsSync(copy.doneFile)) return;
  if (!(await storage.hasBucket(bucket))) await storage.createBucket(bucket);
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  copy.onProgress(`copying ${files.length} files of ${folder} into bucket ${bucket}; at the first start only`);
  const waiting = files.values();
  await Promise.all(
    Array.from({ length: COPIES_AT_ONCE }, async () => {
      for (const file of waiting)
        await storage.write(bucket, relative(folder, file).split(sep).join('/'), {
          body: createReadStream(file),
          sizeBytes: (await stat(file)).size,
          forbidOverwrite: false,
        });
    }),
  );
  await mkdir(dirname(copy.doneFile), { recursive: true });
  await writeFile(copy.doneFile, `${files.length} files of ${folder}\n`);
}
