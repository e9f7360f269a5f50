import { z } from 'zod';
import { checkedLookup, isRefused, openDoor, type Resolve } from '../connectivity/outbound-door.ts';
import type { EnvironmentConfig } from '../data-source.ts';
import { type PermittedEndpoints, permittedEndpoints } from '../data-source-rules/endpoint.ts';
import { InvalidInput } from '../errors.ts';
import { type BucketPage, listOssBuckets, type OssOptions, type OssStore, openOssStore } from '../object-store/oss.ts';
import { browsePolicy, sessionPolicyFor } from './access-policy.ts';
import { parseServiceEndpoint } from './api-client.ts';
import { assumeRole } from './assume-role.ts';
import { type KeyElement, type KeyRing, openSecret, parseKeyElements } from './envelope.ts';
import { openKeyRing } from './key-service.ts';
import type { AccessKeys, Secret } from './secret.ts';

/** From a saved environment to its storage bucket: through the outbound door, with its identity's keys, read-only. */

/** A host or URL of a service, or empty for the region's own one. */
const serviceEndpoint = (variable: string) =>
  z
    .string()
    .default('')
    .transform((text, context) => {
      try {
        if (text !== '') parseServiceEndpoint(text, variable);
      } catch (error) {
        context.addIssue({ code: 'custom', message: (error as Error).message });
      }
      return text;
    });

/** Variables of every function that opens warehouses; spread into the function's own zod object. */
export const storageEnv = {
  DATAMAP_ENCRYPTION_KEY: z.string().transform((text, context): KeyElement[] => {
    try {
      return parseKeyElements(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message });
      return z.NEVER;
    }
  }),
  DATAMAP_REGION: z.string().default(''),
  DATAMAP_STS_ENDPOINT: serviceEndpoint('DATAMAP_STS_ENDPOINT'),
  DATAMAP_KMS_ENDPOINT: serviceEndpoint('DATAMAP_KMS_ENDPOINT'),
  DATAMAP_ALLOWED_ENDPOINTS: z
    .string()
    .default('')
    .transform((text, context): PermittedEndpoints => {
      try {
        return permittedEndpoints(text);
      } catch (error) {
        context.addIssue({ code: 'custom', message: (error as Error).message });
        return z.NEVER;
      }
    }),
};

/** What the operator set for reaching warehouses; the same for every data source. */
export interface StorageSettings {
  /** Asks the key service when it is first needed, if keys are configured as ciphertext; throws as `openKeyRing` does. */
  keyRing(): Promise<KeyRing>;
  permitted: PermittedEndpoints;
  stsEndpoint: string;
  /** Where the functions run; empty on a laptop. */
  ownRegion: string;
}

/** `functionKeys`: this function's own identity, which may decrypt the configured keys. */
export function storageSettings(
  env: {
    DATAMAP_ENCRYPTION_KEY: KeyElement[];
    DATAMAP_REGION: string;
    DATAMAP_STS_ENDPOINT: string;
    DATAMAP_KMS_ENDPOINT: string;
    DATAMAP_ALLOWED_ENDPOINTS: PermittedEndpoints;
  },
  functionKeys: AccessKeys | undefined,
): StorageSettings {
  const region = env.DATAMAP_REGION || 'cn-hangzhou';
  const endpoint = env.DATAMAP_KMS_ENDPOINT || `kms.${region}.aliyuncs.com`;
  return {
    keyRing: () => openKeyRing(env.DATAMAP_ENCRYPTION_KEY, { endpoint, callerKeys: functionKeys }),
    permitted: env.DATAMAP_ALLOWED_ENDPOINTS,
    stsEndpoint: env.DATAMAP_STS_ENDPOINT || `sts.${region}.aliyuncs.com`,
    ownRegion: env.DATAMAP_REGION,
  };
}

/** Who asks for objects. */
export type Identity =
  | { accessMode: 'accessKey'; accessKeyId: string; accessKeySecret: Secret }
  | { accessMode: 'ramRole'; roleArn: string; externalId: string };

export interface Access {
  settings: StorageSettings;
  /** This function's own identity, which assumes roles. */
  functionKeys?: AccessKeys | undefined;
  /** For tests: instead of the system's name service. */
  resolve?: Resolve;
}

/**
 * The storage bucket of a saved environment, as its identity sees it. Makes at most one request, to the token service,
 * when it is first used; one more to the key service in the life of the function instance. Throws InvalidInput when the configuration cannot be used (endpoint refused, secret missing or
 * sealed elsewhere, no identity of our own to assume a role with).
 */
export async function openEnvironmentStore(
  config: EnvironmentConfig,
  sealedSecret: unknown,
  access: Access,
  options: Partial<Pick<OssOptions, 'timeoutMs' | 'retries' | 'onAnswer'>> = {},
): Promise<OssStore> {
  const policy = config.accessMode === 'ramRole' ? sessionPolicyFor(config.location) : '';
  const keys = identityKeys(await environmentIdentity(config, sealedSecret, access.settings), policy, access);
  return openOssStore({ ...place(config, config.location.bucket, access), ...options, keys, bucket: config.location.bucket });
}

/**
 * The identity of a saved environment. Throws InvalidInput when its secret is missing or does not open, and what the key
 * service says (see `openKeyRing`).
 */
export async function environmentIdentity(
  config: EnvironmentConfig,
  sealedSecret: unknown,
  settings: Pick<StorageSettings, 'keyRing'>,
): Promise<Identity> {
  if (config.accessMode === 'ramRole') {
    if (!config.roleArn) throw InvalidInput.at('roleArn', 'is missing');
    return { accessMode: 'ramRole', roleArn: config.roleArn, externalId: config.externalId };
  }
  if (!config.accessKeyId) throw InvalidInput.at('accessKeyId', 'is missing');
  if (sealedSecret === undefined || sealedSecret === null) throw InvalidInput.at('accessKeySecret', 'is missing; enter it again');
  const { workspaceId, dataSourceId, id: environmentId } = config;
  return {
    accessMode: 'accessKey',
    accessKeyId: config.accessKeyId,
    accessKeySecret: openSecret(await settings.keyRing(), sealedSecret, { workspaceId, dataSourceId, environmentId }),
  };
}

/** Where to look for a warehouse that is not chosen yet. */
export interface BrowsePlace {
  region: string;
  endpoint: string;
  identity: Identity;
}

/** Names below a storage bucket, for choosing a folder; a role's session cannot read content. */
export function openBrowseStore(from: BrowsePlace, bucket: string, access: Access): OssStore {
  const keys = identityKeys(from.identity, browsePolicy(), access);
  return openOssStore({ ...place(from, bucket, access), keys, bucket });
}

/** One page of the storage buckets of the identity's account. */
export function listAccountBuckets(
  from: BrowsePlace,
  request: { prefix?: string; marker?: string; maxKeys?: number; signal?: AbortSignal },
  access: Access,
): Promise<BucketPage> {
  const keys = identityKeys(from.identity, browsePolicy(), access);
  return listOssBuckets({ ...place(from, undefined, access), keys }, request);
}

/** Options of the OSS adapter that keep it inside the door. */
function place(from: { endpoint: string; region: string }, bucket: string | undefined, access: Access) {
  const target = openDoor(from.endpoint, { ...(bucket !== undefined && { bucket }), permitted: access.settings.permitted });
  if (isRefused(target)) throw InvalidInput.at('endpoint', `${target.message}. ${target.remedy}`);
  return {
    endpoint: target.origin,
    region: from.region,
    pathStyle: target.pathStyle,
    lookup: checkedLookup(target, access.resolve),
  };
}

/** Keys for the OSS adapter, which asks before every request, and with the keys that were refused when a session ended early. */
export function identityKeys(
  identity: Identity,
  policy: string,
  access: Access,
  /** `fresh`: a new session, so that a change of the role is seen; it replaces the remembered one. */
  options: { fresh?: boolean } = {},
): AccessKeys | ((refused?: AccessKeys) => Promise<AccessKeys>) {
  if (identity.accessMode === 'accessKey')
    return { accessKeyId: identity.accessKeyId, accessKeySecret: identity.accessKeySecret };
  const { roleArn, externalId } = identity;
  return (refused) => roleKeys({ roleArn, externalId, policy }, access, { ...options, ...(refused && { refused }) });
}

/** Sessions of this function instance; asked for again at two thirds of their life. */
const sessions = new Map<string, { keys: Promise<AccessKeys>; given?: AccessKeys; renewAtMs: number }>();
/** Older ones go first; an instance serves few environments at a time. */
const MAX_SESSIONS = 200;

async function roleKeys(
  role: { roleArn: string; externalId: string; policy: string },
  { settings, functionKeys }: Access,
  { fresh, refused }: { fresh?: boolean; refused?: AccessKeys },
): Promise<AccessKeys> {
  if (!functionKeys)
    throw InvalidInput.at(
      'roleArn',
      'this function has no identity of its own with which it could assume a role; give it a role',
    );
  // Whose session it is counts too: after our own role changed, its old sessions are not used on.
  const key = JSON.stringify([settings.stsEndpoint, role.roleArn, role.externalId, role.policy, ownerOf(functionKeys)]);
  const known = sessions.get(key);
  // Of many requests that were refused at once, the first one asks for a new session and the others wait for it.
  const isRefused = refused !== undefined && known?.given?.accessKeyId === refused.accessKeyId;
  if (known && !fresh && !isRefused && performance.now() < known.renewAtMs) return known.keys;
  const entry: NonNullable<typeof known> = { keys: newSession(), renewAtMs: performance.now() + 60_000 };
  sessions.delete(key);
  sessions.set(key, entry);
  for (const oldest of sessions.keys()) {
    if (sessions.size <= MAX_SESSIONS) break;
    sessions.delete(oldest);
  }
  try {
    const keys = await entry.keys;
    entry.given = keys;
    entry.renewAtMs = performance.now() + (2 / 3) * Math.max(0, (keys.expiresAt?.getTime() ?? 0) - Date.now());
    return keys;
  } catch (error) {
    // A refusal is not remembered: the next try may find a corrected role.
    if (sessions.get(key) === entry) sessions.delete(key);
    throw error;
  }

  function newSession(): Promise<AccessKeys> {
    return assumeRole(
      { ...role, sessionName: 'paimon-datamap' },
      { endpoint: settings.stsEndpoint, callerKeys: functionKeys as AccessKeys },
    );
  }
}

/** Temporary keys change with every invocation while the role behind them stays; permanent ones name themselves. */
function ownerOf(keys: AccessKeys): string {
  return keys.securityToken ? 'function role' : keys.accessKeyId;
}
