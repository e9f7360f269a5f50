import { Secret } from '../shared/credentials/secret.ts';
import type { Log } from '../shared/log.ts';
import { CannotStart } from './cannot-start.ts';
import { openDirectoryStorage } from './oss/directory-storage.ts';
import type { OssEvent } from './oss/events.ts';
import { type OssEndpoint, startOssEndpoint } from './oss/server.ts';
import type { ServedBuckets } from './served-buckets.ts';
import type { Identities } from './sts/identities.ts';

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
  log: Log;
}

/** The object-store endpoint over directories, or over MinIO that holds copies of them. */
export async function openObjects(options: ObjectsOptions): Promise<{ url: string; close(): Promise<void> }> {
  if (options.minio) throw new CannotStart('--minio is not wired yet');
  const storage = openDirectoryStorage({ buckets: Object.fromEntries(options.buckets), stateDir: options.stateDir });
  const endpoint: OssEndpoint = await startOssEndpoint({
    storage,
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
      await storage.close();
    },
  };
}
