import { type AccessKeys, Secret } from '../credentials/secret.ts';
import { createLog, type Log, type LogLevel } from '../log.ts';

/**
 * What Function Compute hands to a built-in Node.js runtime beside the event. Only the fields that we read are named.
 * Source: Function Compute documentation, "Context (Node.js)".
 */
export interface FcContext {
  requestId: string;
  region?: string;
  accountId?: string;
  /** Keys of the function's role; absent when the function has none. Refreshed for each invocation. */
  credentials?: { accessKeyId: string; accessKeySecret: string; securityToken?: string };
  function?: { name?: string; timeout?: number; memory?: number };
}

/** What an entry point exports. The event is always bytes; a thrown error is an `UnhandledInvocationError`. */
export type FcHandler = (event: Uint8Array, context: FcContext) => Promise<unknown>;

/** One invocation as a step sees it. */
export interface Call {
  requestId: string;
  functionName?: string;
  /** Carries the function's name and the request id. */
  log: Log;
  /** Keys of the function's role, for this invocation only: clients made of them must not outlive it. */
  credentials?: AccessKeys;
  /** Milliseconds until the platform ends this invocation by force. Never negative. */
  remainingMs(): number;
}

/** The platform's own default when a function sets none; seconds. */
const DEFAULT_TIMEOUT_S = 3;

export function startCall(context: FcContext, env: NodeJS.ProcessEnv = process.env): Call {
  const startedAt = performance.now();
  const timeoutMs = (context.function?.timeout ?? DEFAULT_TIMEOUT_S) * 1000;
  const credentials = functionKeys(context, env);
  const functionName = context.function?.name ?? env.FC_FUNCTION_NAME;
  return {
    requestId: context.requestId,
    ...(functionName && { functionName }),
    log: createLog({
      level: logLevel(env.LOG_LEVEL),
      fields: {
        service: 'paimon-datamap',
        function: functionName ?? 'unknown',
        requestId: context.requestId,
      },
    }),
    ...(credentials && { credentials }),
    remainingMs: () => Math.max(0, timeoutMs - (performance.now() - startedAt)),
  };
}

/** The context's keys first: those of the environment belong to the instance and age with it. */
function functionKeys(context: FcContext, env: NodeJS.ProcessEnv): AccessKeys | undefined {
  const given = context.credentials;
  if (given?.accessKeyId && given.accessKeySecret)
    return {
      accessKeyId: given.accessKeyId,
      accessKeySecret: new Secret(given.accessKeySecret),
      ...(given.securityToken && { securityToken: new Secret(given.securityToken) }),
    };
  const { ALIBABA_CLOUD_ACCESS_KEY_ID: id, ALIBABA_CLOUD_ACCESS_KEY_SECRET: secret, ALIBABA_CLOUD_SECURITY_TOKEN: token } = env;
  if (!id || !secret) return undefined;
  return { accessKeyId: id, accessKeySecret: new Secret(secret), ...(token && { securityToken: new Secret(token) }) };
}

function logLevel(name: string | undefined): LogLevel {
  return name === 'debug' || name === 'warn' || name === 'error' ? name : 'info';
}
