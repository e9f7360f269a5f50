import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What the platform tells a function about itself and one invocation. */
export interface InvocationContext {
  requestId: string;
  region: string;
  accountId: string;
  credentials?: FunctionKeys;
  function: { name: string; handler: string; memory: number; timeout: number };
  service: { name: string; logProject: string; logStore: string; qualifier: string; versionId: string };
  tracing: { spanContext: string; jaegerEndpoint: string; spanBaggages: Record<string, string> };
  retryCount: number;
}

export interface FunctionKeys {
  accessKeyId: string;
  accessKeySecret: string;
  securityToken?: string;
}

export type FunctionErrorType = 'HandledInvocationError' | 'UnhandledInvocationError';

export interface Invocation {
  requestId: string;
  instanceId: string;
  /** The function's answer, or the error document when `errorType` is set. */
  body: Buffer;
  isJson: boolean;
  errorType?: FunctionErrorType;
  durationMs: number;
  memoryMb: number;
  /** The newest 4 KB that the function printed during this invocation. */
  logTail: string;
}

export interface InstanceOptions {
  instanceId: string;
  /** The bundle, e.g. `…/dist/functions/console-api/index.mjs`. */
  file: string;
  exportName: string;
  /** Everything that the function sees of an environment. */
  environment: Record<string, string>;
  memoryMb: number;
  timeoutMs: number;
  onLine(line: string, requestId: string | undefined): void;
}

/** One process that serves one invocation at a time. */
export interface Instance {
  id: string;
  pid: number | undefined;
  /** Throws InstanceGone when the process ended before it got the event. */
  invoke(event: Buffer, context: InvocationContext): Promise<Invocation>;
  /** False once it has ended or is being ended. */
  alive(): boolean;
  /** Called when the process is gone, whoever ended it. */
  onExit(listener: () => void): void;
  kill(): void;
}

export class InstanceGone extends Error {}

const LOG_TAIL_CHARS = 4_096;
const MEMORY_CHECK_MS = 250;
/** A bundle that takes longer to load would not be usable in the cloud either. */
const LOAD_TIMEOUT_MS = 60_000;

type FromRunner =
  | { kind: 'ready' }
  | { kind: 'result'; body: Uint8Array; isJson: boolean; durationMs: number; memoryMb: number }
  | { kind: 'failure'; handled: boolean; error: object; durationMs: number; memoryMb: number };

export function startInstance(options: InstanceOptions): Instance {
  const { memoryMb, timeoutMs } = options;
  const child = spawn(process.execPath, [`--max-old-space-size=${memoryMb}`, runnerFile(), options.file, options.exportName], {
    cwd: dirname(options.file),
    env: options.environment,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    serialization: 'advanced',
  });
  let current: { requestId: string; tail: string } | undefined;
  let exited: string | undefined;
  let dying = false;
  let settle: ((message: FromRunner | { kind: 'gone' } | { kind: 'timeout' } | { kind: 'memory' }) => void) | undefined;
  const listeners: (() => void)[] = [];

  const ready = new Promise<void>((resolve) => {
    child.on('message', (message: FromRunner) => (message.kind === 'ready' ? resolve() : settle?.(message)));
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  for (const stream of [child.stdout, child.stderr])
    eachLine(stream!, (line) => {
      if (current) current.tail = `${current.tail}${line}\n`.slice(-LOG_TAIL_CHARS);
      options.onLine(line, current?.requestId);
    });
  const gone = (how: string) => {
    if (exited !== undefined) return;
    exited = how;
    settle?.({ kind: 'gone' });
    for (const listener of listeners) listener();
  };
  child.once('exit', (code, signal) => gone(signal ? `signal ${signal}` : `code ${code}`));
  child.once('error', (error) => gone(error.message));

  async function invoke(event: Buffer, context: InvocationContext): Promise<Invocation> {
    const startedAt = performance.now();
    current = { requestId: context.requestId, tail: '' };
    const loading = setTimeout(() => child.kill('SIGKILL'), LOAD_TIMEOUT_MS);
    await ready;
    clearTimeout(loading);
    if (exited !== undefined) throw new InstanceGone(`the process ended before it got the event (${exited})`);
    const outcome = new Promise<Parameters<NonNullable<typeof settle>>[0]>((resolve) => {
      settle = resolve;
    });
    child.send({ kind: 'invoke', event, context }, () => {});
    const timeout = setTimeout(() => settle?.({ kind: 'timeout' }), timeoutMs);
    const memoryWatch = watchMemory(child, memoryMb, () => settle?.({ kind: 'memory' }));
    const message = await outcome;
    clearTimeout(timeout);
    clearInterval(memoryWatch);
    settle = undefined;
    const done = current;
    current = undefined;
    if (message.kind === 'timeout' || message.kind === 'memory') kill();
    return {
      requestId: context.requestId,
      instanceId: options.instanceId,
      logTail: done.tail,
      durationMs: performance.now() - startedAt,
      memoryMb: 'memoryMb' in message ? message.memoryMb : 0,
      ...answer(message),
    };
  }

  function answer(message: Parameters<NonNullable<typeof settle>>[0]): Pick<Invocation, 'body' | 'isJson' | 'errorType'> {
    switch (message.kind) {
      case 'result':
        return { body: Buffer.from(message.body), isJson: message.isJson };
      case 'failure':
        return failed(message.error, message.handled ? 'HandledInvocationError' : 'UnhandledInvocationError');
      case 'timeout':
        return failed({ errorMessage: `Function timed out after ${timeoutMs / 1000} seconds` });
      case 'memory':
        return failed({ errorMessage: `Function instance used more than its ${memoryMb} MB of memory and was ended` });
      default:
        return failed({ errorMessage: `Process exited unexpectedly before completing request (${exited ?? 'unknown'})` });
    }
  }

  function kill(): void {
    dying = true;
    child.kill('SIGKILL');
  }

  return {
    id: options.instanceId,
    alive: () => !dying && exited === undefined,
    pid: child.pid,
    invoke,
    onExit: (listener) => (exited === undefined ? void listeners.push(listener) : listener()),
    kill,
  };
}

function failed(error: object, errorType: FunctionErrorType = 'UnhandledInvocationError') {
  return { body: Buffer.from(JSON.stringify(error)), isJson: true, errorType };
}

/** Calls `exceeded` when the process holds more than its share; the heap's own limit misses buffers. Linux only. */
function watchMemory(child: ChildProcess, limitMb: number, exceeded: () => void): NodeJS.Timeout {
  return setInterval(async () => {
    const pages = await readFile(`/proc/${child.pid}/statm`, 'utf8').catch(() => '');
    if ((Number(pages.split(' ')[1] ?? 0) * 4_096) / 1_048_576 > limitMb) exceeded();
  }, MEMORY_CHECK_MS);
}

function eachLine(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  });
  stream.on('end', () => {
    if (rest !== '') onLine(rest);
  });
}

/** Beside this file in a checkout; two levels up from the bundled command line. */
function runnerFile(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  return here.endsWith(join('local', 'fc'))
    ? join(here, 'function-runner.mjs')
    : join(here, '..', '..', 'local', 'fc', 'function-runner.mjs');
}
