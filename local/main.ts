import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Secret } from '../shared/credentials/secret.ts';
import { createLog } from '../shared/log.ts';
import { QUEUES } from '../shared/messages.ts';
import { type Database, openDatabase } from '../shared/store/database.ts';
import { migrate } from '../shared/store/migrate.ts';
import { authenticate, createToken } from '../shared/store/tokens.ts';
import { ensureWorkspace } from '../shared/store/workspaces.ts';
import { CannotStart } from './cannot-start.ts';
import { type Credentials, type DataFolder, openDataFolder } from './data-folder.ts';
import { startPostgres } from './embedded-postgres.ts';
import { readDeployment } from './fc/deployment.ts';
import { type FunctionEndpoint, queuesOf, startFunctionEndpoint } from './fc/function-endpoint.ts';
import { openLogFile } from './log-file.ts';
import { startQueueEndpoint } from './mns/server.ts';
import { openObjects } from './objects.ts';
import { choosePorts } from './ports.ts';
import { SAMPLE_WORKSPACE, sampleFolder, saveSample } from './sample.ts';
import { SAMPLE_BUCKET, type ServedBuckets } from './served-buckets.ts';
import { openIdentities } from './sts/identities.ts';
import { startStsEndpoint } from './sts/server.ts';

/** The one account of the local platform; any 16 digits would do. */
const ACCOUNT_ID = '1000000000000001';
const REGION = 'cn-hangzhou';
const LOCAL_ROLE = `acs:ram::${ACCOUNT_ID}:role/datamap-local`;
/** A process manager that asks to stop waits 10 s. */
const FUNCTION_GRACE_MS = 5_000;

export interface PlatformOptions {
  dir: string;
  /** The console's; 0 takes any free one; undefined the usual ones, or others when those are taken. */
  port?: number | undefined;
  buckets: ServedBuckets;
  /** MinIO behind the object-store endpoint instead of directories. */
  minio: boolean;
  /** An existing PostgreSQL instead of the embedded one. */
  databaseUrl?: Secret | undefined;
  sample: boolean;
  /** Opens the endpoints' switches for faults and request counts; for tests. */
  faults: boolean;
  /** Told of each part when it runs. */
  onPart(part: string, url: string, note?: string): void;
  /** Told what takes long. */
  onProgress(message: string): void;
}

export interface Platform {
  console: string;
  api: string;
  oss: string;
  mns: string;
  fc: string;
  data: string;
  /** What went wrong without keeping the platform from working. */
  warnings: string[];
  /** Triggers first, then what runs, then the endpoints, the database last. Queue messages in hand are handed back. */
  stop(): Promise<void>;
}

/** Starts every part in order; when one fails, those before it are stopped again. Throws CannotStart with what to do. */
export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const folder = openDataFolder(options.dir);
  /** What must be undone, newest first. */
  const stops: (() => unknown)[] = [() => folder.unlock()];
  const stop = async () => {
    for (const undo of stops.splice(0).reverse()) await Promise.resolve(undo()).catch(() => {});
  };
  try {
    return { ...(await startParts(folder, options, stops)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startParts(
  folder: DataFolder,
  options: PlatformOptions,
  stops: (() => unknown)[],
): Promise<Omit<Platform, 'stop'>> {
  const { dir } = folder;
  const { onPart } = options;
  const warnings: string[] = [];
  const root = projectRoot();
  const state = folder.readState();
  const ports = await choosePorts(options.port, state.ports);
  const logFile = openLogFile(join(dir, 'logs', 'platform.log'));
  stops.push(() => logFile.close());
  const log = createLog({ write: logFile.write });

  const databaseUrl = await startDatabase(options, dir, stops);
  await migrate(databaseUrl).catch((cause: unknown) => {
    throw new CannotStart(`the database cannot be used: ${(cause as Error).message}`, { cause });
  });
  const database = openDatabase(databaseUrl);
  stops.push(() => database.close());
  const credentials = await makeCredentials(folder, database);

  const identities = openIdentities({ accountId: ACCOUNT_ID, signingSecret: new Secret(folder.encryptionKey()) });
  identities.putUser({ accessKeyId: credentials.accessKeyId, accessKeySecret: new Secret(credentials.accessKeySecret) });
  const env = functionVariables({ folder, databaseUrl, ports });
  const deployment = readDeployment(join(root, 's.yaml'), { env, accountId: ACCOUNT_ID });
  const serviceRoles = new Set(deployment.functions.flatMap((config) => (config.role ? [config.role] : [])));
  for (const arn of [...serviceRoles, credentials.roleArn]) identities.putRole({ arn, trusted: ['*'] });
  const findSecret = async (accessKeyId: string, securityToken?: string) => {
    const found = identities.resolve(accessKeyId, securityToken);
    return typeof found === 'string' ? undefined : found.secret.reveal();
  };

  const sts = await startStsEndpoint({ port: ports.sts, identities });
  stops.push(() => sts.close());
  onPart('STS', sts.url);

  const mns = await startQueueEndpoint({ databaseUrl, port: ports.mns, findSecret, log: log.child({ part: 'mns' }) });
  stops.push(() => mns.close());
  // Whoever held messages on this folder before is gone: a killed platform must not wait for their visibility to end.
  for (const name of queuesOf(deployment).keys()) await mns.store.releaseHeld(name);
  onPart('SMQ (MNS)', mns.url);

  let deliverEvent: FunctionEndpoint['objectEvent'] | undefined;
  const buckets = new Map(options.buckets);
  if (options.sample) buckets.set(SAMPLE_BUCKET, sampleFolder(root, dir));
  const oss = await openObjects({
    port: ports.oss,
    stateDir: join(dir, 'oss'),
    minioDir: join(dir, 'minio'),
    buckets,
    minio: options.minio,
    faults: options.faults,
    region: REGION,
    identities,
    controlToken: credentials.apiToken,
    onEvent: (notification) => deliverEvent?.(notification),
    onProgress: options.onProgress,
    log: log.child({ part: 'oss' }),
  });
  stops.push(() => oss.close());
  onPart('OSS', oss.url, `${[...buckets.keys()].join(', ') || 'no buckets yet'}${options.minio ? '; MinIO behind it' : ''}`);

  const fc = await startFunctionEndpoint({
    deployment,
    root,
    store: mns.store,
    accountId: ACCOUNT_ID,
    findSecret,
    keysOf: async (arn) => {
      const keys = identities.issue({ arn, trusted: ['*'] }, { name: 'local', durationSeconds: 12 * 3600 });
      return {
        accessKeyId: keys.accessKeyId,
        accessKeySecret: keys.accessKeySecret.reveal(),
        securityToken: keys.securityToken.reveal(),
      };
    },
    port: ports.fc,
    httpPort: ports.console,
    objectEventQueue: QUEUES.objectEvents,
    log: log.child({ part: 'fc' }),
    onFunctionLine: (functionName, line) => logFile.write(functionLine(functionName, line)),
  });
  stops.push(() => fc.stop(FUNCTION_GRACE_MS));
  deliverEvent = fc.objectEvent;

  await fc.startTriggers();
  onPart('Function Compute', fc.url, deployment.functions.map((config) => config.key).join(', '));
  const console = fc.httpUrl;
  if (!console) throw new CannotStart('s.yaml has no function with an HTTP trigger');
  const api = `${console}/api/v1`;
  onPart('Console and API', console);
  folder.writeState({ ...state, ports });

  if (options.sample && !state.sampleSaved)
    try {
      await saveSample({ api, apiToken: credentials.apiToken, roleArn: credentials.roleArn, region: REGION, endpoint: oss.url });
      folder.writeState({ ...state, ports, sampleSaved: true });
      onPart('Sample', `oss://${SAMPLE_BUCKET}/warehouse`, `data source 'sample' in workspace '${SAMPLE_WORKSPACE}'`);
    } catch (error) {
      warnings.push((error as Error).message);
      log.error('sample was not saved', { error });
    }
  return { console, api, oss: oss.url, mns: mns.url, fc: fc.url, data: dir, warnings };
}

async function startDatabase(options: PlatformOptions, dir: string, stops: (() => unknown)[]): Promise<Secret> {
  if (options.databaseUrl) {
    const { hostname, port, pathname } = new URL(options.databaseUrl.reveal());
    options.onPart('PostgreSQL', `postgres://${hostname}:${port || 5432}${pathname}`, 'given');
    return options.databaseUrl;
  }
  const server = await startPostgres({ dir: join(dir, 'postgres') }).catch((cause: unknown) => {
    throw new CannotStart((cause as Error).message, { cause });
  });
  stops.push(() => server.stop());
  options.onPart(
    'PostgreSQL',
    `postgres://127.0.0.1:${server.port}/datamap`,
    server.reused ? 'found running, left by a start that was killed' : 'embedded',
  );
  return server.url;
}

/** The two workspaces, and keys that stay the same over restarts; a token that the database no longer takes is replaced. */
async function makeCredentials(folder: DataFolder, database: Database): Promise<Credentials> {
  const kept = folder.readCredentials();
  const apiToken = await database.system(async (tx) => {
    await ensureWorkspace(tx, 'default', 'standard');
    await ensureWorkspace(tx, SAMPLE_WORKSPACE, 'basic');
    if (kept && (await authenticate(tx, kept.apiToken))) return kept.apiToken;
    const { token } = await createToken(tx, {
      name: 'first administrator',
      createdBy: 'start',
      grants: [{ workspaceId: null, role: 'administrator' }],
    });
    return token.reveal();
  });
  const credentials: Credentials = {
    ...kept,
    apiToken,
    accessKeyId: kept?.accessKeyId ?? `LTAI${randomBytes(10).toString('hex')}`,
    accessKeySecret: kept?.accessKeySecret ?? randomBytes(24).toString('base64url'),
    roleArn: LOCAL_ROLE,
  };
  folder.writeCredentials(credentials);
  return credentials;
}

/** What `s.yaml` asks of the environment, answered by the local parts. */
function functionVariables(parts: {
  folder: DataFolder;
  databaseUrl: Secret;
  ports: { oss: number; mns: number; sts: number };
}): Record<string, string> {
  const { ports } = parts;
  return {
    DATABASE_URL: parts.databaseUrl.reveal(),
    DATAMAP_ENCRYPTION_KEY: parts.folder.encryptionKey(),
    DATAMAP_ACCOUNT_ID: ACCOUNT_ID,
    DATAMAP_REGION: REGION,
    DATAMAP_MNS_ENDPOINT: `http://127.0.0.1:${ports.mns}`,
    DATAMAP_STS_ENDPOINT: `http://127.0.0.1:${ports.sts}`,
    DATAMAP_ALLOWED_ENDPOINTS: `http://127.0.0.1:${ports.oss}`,
    LOG_LEVEL: process.env.LOG_LEVEL ?? 'info',
    // There is no network of its own here; the file wants names.
    DATAMAP_VPC_ID: 'local',
    DATAMAP_VSWITCH_ID: 'local',
    DATAMAP_SECURITY_GROUP_ID: 'local',
    // Every bucket's events come through the queue.
    DATAMAP_EVENT_BUCKET: 'local',
  };
}

/** Functions log JSON lines that name them; whatever else one prints, such as a warning of Node, becomes such a line. */
function functionLine(functionName: string, line: string): string {
  if (line.startsWith('{"time":') && line.endsWith('}')) return line;
  return JSON.stringify({ time: new Date().toISOString(), level: 'warn', message: line, function: functionName });
}

/** Folder of `s.yaml`: above this file, as source and as bundle. */
function projectRoot(): string {
  for (let at = dirname(fileURLToPath(import.meta.url)); ; at = dirname(at)) {
    if (existsSync(join(at, 's.yaml'))) return at;
    if (at === dirname(at)) throw new CannotStart('s.yaml is not found above the program: run it from a checkout');
  }
}
