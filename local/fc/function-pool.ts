import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { FunctionConfig } from './deployment.ts';
import { functionEnvironment } from './environment.ts';
import {
  type FunctionKeys,
  type Instance,
  InstanceGone,
  type Invocation,
  type InvocationContext,
  startInstance,
} from './instance.ts';

export interface PoolOptions {
  config: FunctionConfig;
  /** Folder that `code` is relative to. */
  root: string;
  accountId: string;
  /** Over the function's own variables: what the laptop has in other places. */
  environment: Record<string, string>;
  /** Keys of the function's role, fresh for each invocation. */
  keysOf(role: string): Promise<FunctionKeys>;
  /** Instances at one moment; further invocations wait in line. */
  maxInstances: number;
  idleMs: number;
  /** The last idle instance stays: somebody waits for its answers. */
  keepOne: boolean;
  onLine(line: string, requestId: string | undefined): void;
}

/** All instances of one function. As in the cloud's built-in runtimes an instance serves one invocation at a time. */
export interface FunctionPool {
  config: FunctionConfig;
  invoke(event: Buffer, options?: { requestId?: string; retryCount?: number }): Promise<Invocation>;
  /** Starts an instance that waits, so that the next invocation need not. */
  warm(): Promise<void>;
  /** Process ids of living instances. */
  processes(): number[];
  /** Invocations that run or wait. */
  busy(): number;
  /** New invocations fail; idle instances end, busy ones when their invocation has ended. */
  drain(): void;
  kill(): void;
}

/** So many invocations may wait; the cloud answers 429 beyond its limits. */
const MAX_WAITING = 1_000;
const MAX_STARTS = 3;

export class Throttled extends Error {}

export function openFunctionPool(options: PoolOptions): FunctionPool {
  const { config } = options;
  const [fileName, exportName] = config.handler.split('.') as [string, string];
  const codeDir = join(options.root, config.code);
  const living = new Set<Instance>();
  /** The one used last is taken first, so that the others grow old and end. */
  const idle: { instance: Instance; reap: NodeJS.Timeout }[] = [];
  const line: (() => void)[] = [];
  let starting = 0;
  let running = 0;
  let draining = false;

  async function start(): Promise<Instance> {
    starting++;
    try {
      return await startOne();
    } finally {
      starting--;
    }
  }

  async function startOne(): Promise<Instance> {
    const file = ['mjs', 'js', 'cjs'].map((end) => join(codeDir, `${fileName}.${end}`)).find(existsSync);
    if (!file) throw new Error(`${config.code}/${fileName}.mjs is not there: build the functions first`);
    const instanceId = `c-${randomBytes(8).toString('hex')}`;
    const instance = startInstance({
      instanceId,
      file,
      exportName,
      memoryMb: config.memorySize,
      timeoutMs: config.timeout * 1000,
      onLine: options.onLine,
      environment: functionEnvironment({
        config,
        codeDir,
        instanceId,
        accountId: options.accountId,
        overrides: options.environment,
        ...(config.role && { keys: await options.keysOf(config.role) }),
      }),
    });
    living.add(instance);
    instance.onExit(() => {
      living.delete(instance);
      const at = idle.findIndex((one) => one.instance === instance);
      if (at >= 0) clearTimeout(idle.splice(at, 1)[0]!.reap);
      line.shift()?.();
    });
    return instance;
  }

  async function acquire(): Promise<Instance> {
    for (;;) {
      const free = idle.pop();
      if (free) {
        clearTimeout(free.reap);
        return free.instance;
      }
      if (living.size + starting < options.maxInstances) return start();
      if (line.length >= MAX_WAITING) throw new Throttled(`${config.functionName} has ${MAX_WAITING} invocations waiting`);
      await new Promise<void>((resolve) => line.push(resolve));
    }
  }

  /** An instance may end while it waits for work; then the event goes to another. */
  async function invokeOnLiving(event: Buffer, context: InvocationContext): Promise<Invocation> {
    for (let attempt = 1; ; attempt++) {
      const instance = await acquire();
      try {
        const invocation = await instance.invoke(event, context);
        giveBack(instance);
        return invocation;
      } catch (error) {
        if (!(error instanceof InstanceGone) || attempt === MAX_STARTS) throw error;
      }
    }
  }

  function giveBack(instance: Instance): void {
    if (!instance.alive()) return;
    if (draining) {
      instance.kill();
      return;
    }
    const reap = setTimeout(() => {
      if (!options.keepOne || living.size > 1) instance.kill();
    }, options.idleMs);
    reap.unref();
    idle.push({ instance, reap });
    line.shift()?.();
  }

  return {
    config,
    async invoke(event, { requestId = `1-${randomUUID()}`, retryCount = 0 } = {}) {
      if (draining) throw new Throttled('the platform is stopping');
      running++;
      try {
        const credentials = config.role ? await options.keysOf(config.role) : undefined;
        return await invokeOnLiving(event, {
          requestId,
          region: config.region,
          accountId: options.accountId,
          ...(credentials && { credentials }),
          function: { name: config.functionName, handler: config.handler, memory: config.memorySize, timeout: config.timeout },
          service: {
            name: '',
            logProject: config.logConfig?.project ?? '',
            logStore: config.logConfig?.logstore ?? '',
            qualifier: 'LATEST',
            versionId: '',
          },
          tracing: { spanContext: '', jaegerEndpoint: '', spanBaggages: {} },
          retryCount,
        });
      } finally {
        running--;
      }
    },
    async warm() {
      if (!draining && living.size + starting === 0) giveBack(await start());
    },
    processes: () => [...living].flatMap((instance) => instance.pid ?? []),
    busy: () => running,
    drain() {
      draining = true;
      for (const { instance, reap } of idle.splice(0)) {
        clearTimeout(reap);
        instance.kill();
      }
    },
    kill() {
      draining = true;
      for (const instance of living) instance.kill();
    },
  };
}
