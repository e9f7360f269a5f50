import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The last line of `datamap start --json`. */
export interface Ready {
  event: 'ready';
  console: string;
  api: string;
  oss: string;
  mns: string;
  fc: string;
  data: string;
}

export interface Platform extends Ready {
  process: ChildProcess;
  credentials: { apiToken: string; accessKeyId: string; accessKeySecret: string; roleArn: string };
  /** Everything printed so far, both streams. */
  output(): string;
  /** SIGTERM; resolves with the exit code and how long it took. */
  stop(): Promise<{ code: number | null; signal: string | null; ms: number }>;
  /** SIGKILL of the main process only. */
  kill(): Promise<void>;
}

export interface StartOptions {
  data: string;
  buckets?: Record<string, string>;
  args?: string[];
  env?: Record<string, string>;
  readyTimeoutMs?: number;
}

/** A fresh folder for `--data`. */
export function dataFolder(): string {
  return mkdtempSync(join(tmpdir(), 'datamap-flow-'));
}

/** The real thing: `node bin/datamap.mjs start`, bundles and all, on free ports. */
export async function startPlatform(options: StartOptions): Promise<Platform> {
  const child = spawn(
    process.execPath,
    [
      'bin/datamap.mjs',
      'start',
      '--json',
      '--port',
      '0',
      '--data',
      options.data,
      ...Object.entries(options.buckets ?? {}).flatMap(([name, folder]) => ['--bucket', `${name}=${folder}`]),
      ...(options.args ?? []),
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...options.env } },
  );
  let output = '';
  const exited = new Promise<{ code: number | null; signal: string | null }>((done) => {
    child.once('exit', (code, signal) => done({ code, signal }));
  });
  const ready = await new Promise<Ready>((resolve, reject) => {
    const late = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`the platform was not ready in time; it printed:\n${output}${logTail(options.data)}`));
    }, options.readyTimeoutMs ?? 60_000);
    const fail = () => {
      clearTimeout(late);
      reject(new Error(`the platform ended before it was ready; it printed:\n${output}${logTail(options.data)}`));
    };
    child.once('exit', fail);
    for (const stream of [child.stdout!, child.stderr!])
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        output += chunk;
        const line = /^\{"event":"ready".*\}$/m.exec(output);
        if (!line) return;
        clearTimeout(late);
        child.off('exit', fail);
        resolve(JSON.parse(line[0]) as Ready);
      });
  });
  return {
    ...ready,
    process: child,
    credentials: JSON.parse(readFileSync(join(options.data, 'credentials.json'), 'utf8')),
    output: () => output,
    async stop() {
      const startedAt = performance.now();
      child.kill('SIGTERM');
      return { ...(await exited), ms: performance.now() - startedAt };
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

export function removeFolder(dir: string): void {
  rmSync(dir, { recursive: true, force: true });
}

/** All files below `dir`, whole paths. */
export function filesBelow(dir: string): string[] {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .map((name) => join(dir, name))
    .filter((file) => statSync(file, { throwIfNoEntry: false })?.isFile());
}

function logTail(data: string): string {
  try {
    return `\nlast lines of its log:\n${readFileSync(join(data, 'logs', 'platform.log'), 'utf8')
      .split('\n')
      .slice(-15)
      .join('\n')}`;
  } catch {
    return '';
  }
}
