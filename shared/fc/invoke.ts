import { Readable } from 'node:stream';
import type { AccessKeys } from '../credentials/secret.ts';
import { AccessDenied, NotFound, type ServiceEvidence, Unreachable } from '../errors.ts';

/** Functions of Function Compute 3.0, or those that live in a service of version 2.0. */
export type FunctionTarget = { family: 'fc3' } | { family: 'fc2'; service: string };

export interface InvokeOptions {
  /** URL; the one of the region, or of the local platform. */
  endpoint: string;
  accountId: string;
  region: string;
  keys: AccessKeys;
  target: FunctionTarget;
  functionName: string;
  event: Uint8Array;
  /** Returns as soon as the event is accepted; there is no answer then. */
  async?: boolean;
  timeoutMs?: number;
}

export interface InvokeAnswer {
  status: number;
  requestId: string;
  body: Uint8Array;
  /** Set when the function failed; `body` is then the error document. */
  errorType?: string;
  durationMs?: number;
  /** The newest 4 KB that the function printed; synchronous calls only. */
  logTail?: string;
}

const TIMEOUT_MS = 300_000;

/** One invocation through the service's own client. Throws NotFound, AccessDenied or Unreachable; a failed function does not throw. */
export async function invokeFunction(options: InvokeOptions): Promise<InvokeAnswer> {
  try {
    return options.target.family === 'fc3' ? await invokeFc3(options) : await invokeFc2(options, options.target.service);
  } catch (cause) {
    throw translate(cause, options);
  }
}

async function invokeFc3(options: InvokeOptions): Promise<InvokeAnswer> {
  const sdk = exportsOf(await import('@alicloud/fc20230330'));
  const { $OpenApiUtil } = exportsOf(await import('@alicloud/openapi-core'));
  const endpoint = new URL(options.endpoint);
  const timeout = options.timeoutMs ?? TIMEOUT_MS;
  const client = new sdk.default(
    new $OpenApiUtil.Config({
      accessKeyId: options.keys.accessKeyId,
      accessKeySecret: options.keys.accessKeySecret.reveal(),
      ...(options.keys.securityToken && { securityToken: options.keys.securityToken.reveal() }),
      regionId: options.region,
      endpoint: endpoint.host,
      protocol: endpoint.protocol === 'http:' ? 'HTTP' : 'HTTPS',
      readTimeout: timeout,
    }),
  );
  // The client crashes the process over a stream of strings: bytes only.
  const body = Readable.from([Buffer.from(options.event)]);
  const answer = await client.invokeFunctionWithOptions(
    options.functionName,
    new sdk.InvokeFunctionRequest({ body }),
    new sdk.InvokeFunctionHeaders({
      xFcInvocationType: options.async ? 'Async' : 'Sync',
      ...(!options.async && { xFcLogType: 'Tail' }),
    }),
    { autoretry: false, readTimeout: timeout, toMap: () => ({}) } as never,
  );
  const chunks: Uint8Array[] = [];
  if (answer.body) for await (const chunk of answer.body) chunks.push(Buffer.from(chunk as Uint8Array));
  return toAnswer(answer.statusCode ?? 0, answer.headers ?? {}, Buffer.concat(chunks));
}

/** The older client's own answer would have parsed the body already; `rawBuf` keeps its bytes. */
async function invokeFc2(options: InvokeOptions, service: string): Promise<InvokeAnswer> {
  const { default: Client } = await import('@alicloud/fc2');
  const client = new Client(options.accountId, {
    accessKeyID: options.keys.accessKeyId,
    accessKeySecret: options.keys.accessKeySecret.reveal(),
    ...(options.keys.securityToken && { securityToken: options.keys.securityToken.reveal() }),
    region: options.region,
    endpoint: options.endpoint.replace(/\/+$/, ''),
    timeout: options.timeoutMs ?? TIMEOUT_MS,
  });
  const headers = options.async ? { 'x-fc-invocation-type': 'Async' } : { 'x-fc-log-type': 'Tail' };
  const answer = await client.invokeFunction(service, options.functionName, Buffer.from(options.event), headers, 'LATEST', {
    rawBuf: true,
  });
  const body = Buffer.isBuffer(answer.data)
    ? answer.data
    : Buffer.from(typeof answer.data === 'string' ? answer.data : JSON.stringify(answer.data ?? ''));
  return toAnswer(options.async ? 202 : 200, answer.headers, body);
}

function toAnswer(status: number, headers: Record<string, string | undefined>, body: Uint8Array): InvokeAnswer {
  const duration = Number(headers['x-fc-invocation-duration']);
  const log = headers['x-fc-log-result'];
  return {
    status,
    requestId: headers['x-fc-request-id'] ?? '',
    body,
    ...(headers['x-fc-error-type'] && { errorType: headers['x-fc-error-type'] }),
    ...(Number.isFinite(duration) && { durationMs: duration }),
    ...(log && { logTail: Buffer.from(log, 'base64').toString('utf8') }),
  };
}

/** Node gives a compiled CommonJS module's exports as the namespace's default, test runners as the namespace itself. */
function exportsOf<Exports>(loaded: { default: Exports }): Exports {
  return typeof loaded.default === 'object' ? loaded.default : (loaded as unknown as Exports);
}

function translate(cause: unknown, options: InvokeOptions): Error {
  const error = cause as { code?: unknown; name?: string; statusCode?: number; message?: string };
  const code = typeof error.code === 'string' ? error.code : undefined;
  const evidence: ServiceEvidence = { status: error.statusCode ?? 0, ...(code && { code }) };
  const host = new URL(options.endpoint).host;
  const what = `function ${options.functionName}`;
  if (code === 'FunctionNotFound' || code === 'ServiceNotFound') return new NotFound(what, evidence, { cause });
  if (code && /^(SignatureNotMatch|SignatureDoesNotMatch|IncompleteSignature)$/.test(code))
    return new AccessDenied(what, 'wrong-secret', { evidence }, { cause });
  if (code && /^InvalidAccessKeyI[dD]/.test(code)) return new AccessDenied(what, 'unknown-access-key', { evidence }, { cause });
  if (code === 'RequestExpired') return new AccessDenied(what, 'clock-skew', { evidence }, { cause });
  if (code === 'AccessDenied' || code === 'NoPermission')
    return new AccessDenied(what, 'not-authorized', { permission: 'fc:InvokeFunction', evidence }, { cause });
  if (code && /Throttl|QuotaExceeded/.test(code)) return new Unreachable(host, 'throttled', { evidence }, { cause });
  const text = `${error.name} ${code} ${error.message}`;
  const reason = /timeout/i.test(text)
    ? 'timeout'
    : /ENOTFOUND|EAI_AGAIN/.test(text)
      ? 'dns'
      : /ECONNREFUSED/.test(text)
        ? 'connect'
        : 'server-error';
  return new Unreachable(host, reason, { evidence }, { cause });
}
