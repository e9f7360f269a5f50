import { randomBytes } from 'node:crypto';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Identities } from '../../local/sts/identities.ts';
import { type StsEndpoint, startStsEndpoint } from '../../local/sts/server.ts';
import { parseKeyRing, sealSecret } from '../../shared/credentials/envelope.ts';
import type { Access } from '../../shared/credentials/environment-store.ts';
import { type AccessKeys, Secret } from '../../shared/credentials/secret.ts';
import type { EnvironmentConfig } from '../../shared/data-source.ts';
import { permittedEndpoints } from '../../shared/data-source-rules/endpoint.ts';
import { parseWarehouse } from '../../shared/data-source-rules.ts';
import { startDirectoryOss, type TestOss } from './oss.ts';

/** A storage bucket with the warehouse `lake/wh`, a token endpoint, and one AccessKey and one role that may read it. */
export interface ConnectivityScene {
  oss: TestOss;
  sts: StsEndpoint;
  identities: Identities;
  access: Access;
  /** In no log, check, message or row may this text stand. */
  marker: string;
  roleArn: string;
  /** Of a complete configuration with an AccessKey; `change` lays fields over it. */
  environment(change?: Partial<EnvironmentConfig>): EnvironmentConfig;
  withRole(change?: Partial<EnvironmentConfig>): EnvironmentConfig;
  seal(config: EnvironmentConfig, secret?: string): unknown;
  /** Puts files of the sample below a path of the bucket. */
  copy(from: string, to: string): void;
  put(key: string, text: string): void;
  close(): Promise<void>;
}

export const ACCOUNT = '1234567890123456';

export async function connectivityScene(options: { now?: () => Date } = {}): Promise<ConnectivityScene> {
  const oss = await startDirectoryOss(options);
  const { identities } = oss;
  const sts = await startStsEndpoint({ identities, ...options });
  const marker = `marker${randomBytes(12).toString('hex')}`;
  const roleArn = `acs:ram::${ACCOUNT}:role/warehouse-reader`;
  const functionKeys: AccessKeys = { accessKeyId: 'LTAIfunctions', accessKeySecret: new Secret(randomBytes(12).toString('hex')) };
  identities.putUser({ ...functionKeys, name: 'functions' });
  identities.putUser({ accessKeyId: 'LTAIreader', accessKeySecret: new Secret(marker), name: 'reader' });
  identities.putRole({ arn: roleArn, trusted: [`acs:ram::${ACCOUNT}:user/functions`], externalId: EXTERNAL_ID });
  const keyRing = parseKeyRing(randomBytes(32).toString('base64'));
  const scene: ConnectivityScene = {
    oss,
    sts,
    identities,
    marker,
    roleArn,
    access: {
      settings: {
        keyRing: async () => keyRing,
        permitted: permittedEndpoints(oss.url),
        stsEndpoint: sts.url,
        ownRegion: 'cn-hangzhou',
      },
      functionKeys,
    },
    environment(change = {}) {
      const warehouse = change.warehouse ?? 'oss://lake/lake/wh';
      return {
        id: '11111111-1111-4111-8111-111111111111',
        workspaceId: 1,
        dataSourceId: '22222222-2222-4222-8222-222222222222',
        dataSourceName: 'finance',
        environment: 'production',
        configVersion: 1,
        accessMode: 'accessKey',
        accessKeyId: 'LTAIreader',
        externalId: EXTERNAL_ID,
        region: 'cn-hangzhou',
        endpoint: oss.url,
        warehouse,
        location: parseWarehouse(warehouse),
        scope: { include: [], exclude: [] },
        ...change,
      };
    },
    withRole(change = {}) {
      const { accessKeyId: _, ...rest } = scene.environment(change);
      return { ...rest, accessMode: 'ramRole', roleArn: change.roleArn ?? roleArn };
    },
    seal: ({ workspaceId, dataSourceId, id }, secret = marker) =>
      sealSecret(keyRing, secret, { workspaceId, dataSourceId, environmentId: id }),
    copy(from, to) {
      const path = join(oss.directory, to);
      mkdirSync(dirname(path), { recursive: true });
      cpSync(join('sample/warehouse', from), path, { recursive: true });
    },
    put(key, text) {
      const path = join(oss.directory, key);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    },
    async close() {
      await oss.close();
      await sts.close();
    },
  };
  return scene;
}

const EXTERNAL_ID = 'e'.repeat(64);
