import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createLog, type Log } from '../../shared/log.ts';
import { type Clock, systemClock } from '../clock.ts';
import { DEFAULT_ATTRIBUTES } from '../mns/queue-attributes.ts';
import type { QueueStore } from '../mns/queue-store.ts';
import type { FindSecret } from '../mns/signature.ts';
import { functionApi } from './api.ts';
import { queueOfArn } from './arn.ts';
import { openAsyncInvocations } from './async-invocations.ts';
import type { Deployment, FunctionConfig, QueueTrigger } from './deployment.ts';
import { type FunctionPool, openFunctionPool } from './function-pool.ts';
import { httpFront } from './http-front.ts';
import type { FunctionKeys } from './instance.ts';
import { type ObjectNotification, type ObjectTrigger, objectEventRouter } from './object-trigger.ts';
import { type Running, startQueueTrigger } from './queue-trigger.ts';
import { startTimerTrigger } from './timer-trigger.ts';

export interface FunctionEndpointOptions {
  deployment: Deployment;
  /** Folder of `s.yaml`; `code` of each function is relative to it. */
  root: string;
  store: QueueStore;
  accountId: string;
  /** Over each function's own environment. */
  environment?: Record<string, string>;
  findSecret: FindSecret;
  keysOf(role: string): Promise<FunctionKeys>;
  /** Ports on loopback; 0 or absent takes a free one. */
  port?: number;
  httpPort?: number;
  /** Queue that stands for the event rules of all buckets without a native trigger. */
  objectEventQueue?: string;
  /** Processes of one function at a moment; by default enough for all tasks of its triggers, so that no lane waits for another. */
  maxInstances?: number;
  /** An instance without work ends after this. */
  idleMs?: number;
  clock?: Clock;
  log?: Log;
  /** Every line that a function prints; without it they are lost. */
  onFunctionLine?(functionName: string, line: string): void;
}

export interface FunctionEndpoint {
  /** Control API of both families. */
  url: string;
  /** The function with the HTTP trigger, at the root of its own port; undefined when there is none. */
  httpUrl: string | undefined;
  /** Hands an object event to the triggers; resolves when it is kept. */
  objectEvent(notification: ObjectNotification): Promise<void>;
  /** Starts timers and queue triggers; until then only HTTP requests and calls of the API invoke. */
  startTriggers(): Promise<void>;
  /** Process ids of living instances, by function. */
  processes(): Record<string, number[]>;
  /** Takes nothing new, lets what runs end for `graceMs`, then ends it by force; what was unfinished comes again. */
  stop(graceMs?: number): Promise<void>;
}

/** Even a function that no queue wakes answers some requests side by side. */
const MIN_INSTANCES = 4;
const IDLE_MS = 90_000;
const ASYNC_WORKERS = 2;
const STOP_GRACE_MS = 6_000;

/** Function Compute on a laptop: runs the bundles of a deployment file, unmodified, in processes of their own. */
export async function startFunctionEndpoint(options: FunctionEndpointOptions): Promise<FunctionEndpoint> {
  const { deployment, store, accountId, clock = systemClock, log = createLog({ write: () => {} }) } = options;
  const pools = deployment.functions.map((config) =>
    openFunctionPool({
      config,
      root: options.root,
      accountId,
      environment: options.environment ?? {},
      keysOf: options.keysOf,
      maxInstances: options.maxInstances ?? Math.max(MIN_INSTANCES, tasksOf(config)),
      idleMs: options.idleMs ?? IDLE_MS,
      keepOne: config.triggers.some((trigger) => trigger.triggerType === 'http'),
      onLine: (line) => options.onFunctionLine?.(config.functionName, line),
    }),
  );
  const invocations = openAsyncInvocations({ pools, store, accountId, workers: ASYNC_WORKERS, clock, log });
  for (const [queueName, visibilityTimeout] of queuesOf(deployment))
    await store.create(queueName, { ...DEFAULT_ATTRIBUTES, visibilityTimeout });
  const web = httpTriggerOf(pools);
  const front = web && httpFront({ ...web, accountId, log });
  const api = functionApi({ pools, invocations, serviceName: deployment.name, accountId, findSecret: options.findSecret, log });
  try {
    await invocations.start();
    if (front) await listen(front, options.httpPort ?? 0);
    await listen(api, options.port ?? 0);
    if (web) await web.pool.warm();
  } catch (error) {
    // Whoever failed to start cannot be stopped by the caller.
    for (const pool of pools) pool.kill();
    for (const server of [front, api]) if (server?.listening) server.close();
    await invocations.stop();
    throw error;
  }

  const running: Running[] = [];
  const timers: { stop(): void }[] = [];
  return {
    url: addressOf(api),
    httpUrl: front && addressOf(front),
    objectEvent: objectEventRouter({
      triggers: objectTriggersOf(pools),
      invocations,
      store,
      queueName: options.objectEventQueue,
    }),
    async startTriggers() {
      for (const pool of pools)
        for (const trigger of pool.config.triggers) {
          if (trigger.triggerType === 'timer') timers.push(startTimerTrigger({ trigger, pool, invocations, clock, log }));
          if (trigger.triggerType === 'eventbridge' && trigger.triggerConfig.triggerEnable)
            running.push(await startQueueTrigger({ trigger, pool, store, accountId, clock, log }));
        }
    },
    processes: () => Object.fromEntries(pools.map((pool) => [pool.config.key, pool.processes()])),
    async stop(graceMs = STOP_GRACE_MS) {
      for (const timer of timers) timer.stop();
      const ended = Promise.all([...running.map((one) => one.stop()), invocations.stop(), close(api), front && close(front)]);
      for (const pool of pools) pool.drain();
      const force = setTimeout(() => {
        for (const pool of pools) pool.kill();
        api.closeAllConnections();
        front?.closeAllConnections();
      }, graceMs);
      await ended;
      clearTimeout(force);
      for (const pool of pools) pool.kill();
    },
  };
}

/** Every queue that a trigger reads and its dead letters, with seconds of visibility: six times the function's timeout. */
export function queuesOf(deployment: Deployment): Map<string, number> {
  const queues = new Map<string, number>();
  for (const config of deployment.functions)
    for (const trigger of config.triggers) {
      if (trigger.triggerType !== 'eventbridge') continue;
      queues.set(sourceQueueOf(trigger), config.timeout * 6);
      const dead = trigger.triggerConfig.runOptions.deadLetterQueue;
      const deadName = dead && queueOfArn(dead.Arn);
      if (deadName) queues.set(deadName, DEFAULT_ATTRIBUTES.visibilityTimeout);
    }
  for (const destination of deployment.functions.flatMap(destinationsOf)) {
    const name = queueOfArn(destination);
    if (name && !queues.has(name)) queues.set(name, DEFAULT_ATTRIBUTES.visibilityTimeout);
  }
  return queues;
}

function tasksOf(config: FunctionConfig): number {
  return config.triggers.reduce(
    (sum, trigger) => sum + (trigger.triggerType === 'eventbridge' ? trigger.triggerConfig.runOptions.maximumTasks : 0),
    0,
  );
}

function destinationsOf(config: FunctionConfig): string[] {
  const { onFailure, onSuccess } = config.asyncInvokeConfig?.destinationConfig ?? {};
  return [onFailure, onSuccess].flatMap((one) => (one ? [one.destination] : []));
}

function sourceQueueOf(trigger: QueueTrigger): string {
  return trigger.triggerConfig.eventSourceConfig.eventSourceParameters.sourceMNSParameters.QueueName;
}

function httpTriggerOf(pools: FunctionPool[]): { pool: FunctionPool; methods: readonly string[] } | undefined {
  for (const pool of pools)
    for (const trigger of pool.config.triggers)
      if (trigger.triggerType === 'http') return { pool, methods: trigger.triggerConfig.methods };
  return undefined;
}

function objectTriggersOf(pools: FunctionPool[]): ObjectTrigger[] {
  return pools.flatMap((pool) =>
    pool.config.triggers.flatMap((trigger) => (trigger.triggerType === 'oss' ? [{ trigger, pool }] : [])),
  );
}

async function listen(server: Server, port: number): Promise<void> {
  server.keepAliveTimeout = 75_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}

function addressOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
