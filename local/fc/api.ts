import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Log } from '../../shared/log.ts';
import type { FindSecret } from '../mns/signature.ts';
import { claimedAcs3, type SignatureVerdict, verifyAcs3 } from '../signatures/acs3.ts';
import { claimedFc, verifyFc } from '../signatures/fc.ts';
import { type AsyncInvocations, MAX_ASYNC_PAYLOAD_BYTES } from './async-invocations.ts';
import { describeFunction, describeService, describeTrigger } from './descriptions.ts';
import { type FunctionPool, Throttled } from './function-pool.ts';

/** The two families of the control API; they differ in signature, paths and error documents. */
const FAMILIES = {
  '2016-08-15': { codeField: 'ErrorCode', messageField: 'ErrorMessage' },
  '2023-03-30': { codeField: 'Code', messageField: 'Message' },
} as const;
type Family = keyof typeof FAMILIES;

const MAX_PAYLOAD_BYTES = 32 * 1024 * 1024;

class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

export interface ApiOptions {
  pools: FunctionPool[];
  invocations: AsyncInvocations;
  /** Functions of the older family live in a service; ours is named after the deployment. */
  serviceName: string;
  accountId: string;
  findSecret: FindSecret;
  log: Log;
}

/** Function Compute's API as far as its clients invoke and look: both versions, signatures verified. Returned unbound. */
export function functionApi(options: ApiOptions): Server {
  return createServer((request, response) => {
    const requestId = `1-${randomUUID()}`;
    const family: Family = request.url?.startsWith('/2016-08-15/') ? '2016-08-15' : '2023-03-30';
    serve(request, response, family, requestId, options).catch((error: unknown) => {
      const known = toApiError(error);
      if (known.status === 500) options.log.error('function api failed', { requestId, error });
      const { codeField, messageField } = FAMILIES[family];
      if (!response.headersSent)
        response.writeHead(known.status, { 'content-type': 'application/json', 'x-fc-request-id': requestId });
      response.end(JSON.stringify({ [codeField]: known.code, [messageField]: known.message, RequestId: requestId }));
    });
  });
}

async function serve(request: IncomingMessage, response: ServerResponse, family: Family, requestId: string, options: ApiOptions) {
  const [rawPath = '/', ...rest] = (request.url ?? '/').split('?');
  const rawQuery = rest.join('?');
  const body = await readBody(request);
  await authenticate(request, { family, rawPath, rawQuery, body }, options.findSecret);

  const path = rawPath.split('/').slice(2).map(decodeURIComponent);
  const [service, rest2] = family === '2016-08-15' && path[0] === 'services' ? [path[1], path.slice(2)] : [undefined, path];
  if (family === '2016-08-15') {
    const ours = describeService(options.serviceName);
    if (service === undefined) return json(response, requestId, { services: [ours], nextToken: null });
    // A version or alias may follow the name.
    if (service.split('.')[0] !== options.serviceName)
      throw new ApiError(404, 'ServiceNotFound', `service '${service}' does not exist`);
    if (rest2.length === 0) return json(response, requestId, ours);
  }
  if (rest2[0] !== 'functions') throw new ApiError(404, 'PathNotSupported', `${request.method} ${rawPath} is not served here`);
  const [, name, what, triggerName] = rest2;
  if (name === undefined) return json(response, requestId, listFunctions(new URLSearchParams(rawQuery), options));
  const pool = options.pools.find(({ config }) => config.functionName === name || config.key === name);
  if (!pool) throw new ApiError(404, 'FunctionNotFound', `function '${name}' does not exist`);
  if (what === 'invocations' && request.method === 'POST') return invoke(request, response, pool, body, requestId, options);
  if (request.method !== 'GET') throw new ApiError(405, 'MethodNotAllowed', `${request.method} ${rawPath} is not served here`);
  if (what === undefined) return json(response, requestId, describeFunction(pool.config, options.accountId));
  if (what === 'triggers') {
    const triggers = pool.config.triggers.map((trigger) => describeTrigger(trigger, pool.config));
    if (triggerName === undefined) return json(response, requestId, { triggers });
    const one = triggers.find((trigger) => trigger.triggerName === triggerName);
    if (!one) throw new ApiError(404, 'TriggerNotFound', `trigger '${triggerName}' does not exist`);
    return json(response, requestId, one);
  }
  throw new ApiError(404, 'PathNotSupported', `${request.method} ${rawPath} is not served here`);
}

async function authenticate(
  request: IncomingMessage,
  signed: { family: Family; rawPath: string; rawQuery: string; body: Buffer },
  findSecret: FindSecret,
): Promise<void> {
  const acs3 = signed.family === '2023-03-30';
  const claimed = acs3 ? claimedAcs3(request.headers) : claimedFc(request.headers);
  if (!claimed) throw new ApiError(403, 'AccessDenied', 'The request is not signed in the form of this API version.');
  const secret = await findSecret(claimed.accessKeyId, claimed.securityToken);
  if (secret === undefined)
    throw new ApiError(403, 'InvalidAccessKeyID', 'The AccessKey ID, or the token that came with it, is not valid.');
  const whole = { method: request.method ?? 'GET', headers: request.headers, ...signed };
  const verdict: SignatureVerdict = acs3 ? verifyAcs3(whole, secret) : verifyFc(whole, secret);
  if (!verdict.ok) throw new ApiError(403, verdict.problem === 'skewed' ? 'RequestExpired' : 'SignatureNotMatch', verdict.detail);
}

async function invoke(
  request: IncomingMessage,
  response: ServerResponse,
  pool: FunctionPool,
  event: Buffer,
  requestId: string,
  options: ApiOptions,
): Promise<void> {
  const headers: Record<string, string> = { 'x-fc-request-id': requestId };
  if (String(request.headers['x-fc-invocation-type'] ?? '').toLowerCase() === 'async') {
    if (event.byteLength > MAX_ASYNC_PAYLOAD_BYTES)
      throw new ApiError(413, 'EntityTooLarge', `An asynchronous payload has at most ${MAX_ASYNC_PAYLOAD_BYTES} bytes.`);
    headers['x-fc-request-id'] = await options.invocations.accept(pool, event);
    response.writeHead(202, headers).end();
    return;
  }
  const invocation = await pool.invoke(event, { requestId });
  headers['x-fc-instance-id'] = invocation.instanceId;
  headers['x-fc-invocation-duration'] = invocation.durationMs.toFixed(2);
  headers['x-fc-max-memory-usage'] = invocation.memoryMb.toFixed(2);
  headers['x-fc-invocation-service-version'] = 'LATEST';
  headers['content-type'] = invocation.errorType ? 'application/json' : 'application/octet-stream';
  if (invocation.errorType) headers['x-fc-error-type'] = invocation.errorType;
  if (String(request.headers['x-fc-log-type'] ?? '').toLowerCase() === 'tail')
    headers['x-fc-log-result'] = Buffer.from(invocation.logTail).toString('base64');
  response.writeHead(200, headers).end(invocation.body);
}

function listFunctions(query: URLSearchParams, options: ApiOptions): object {
  const prefix = query.get('prefix') ?? '';
  const limit = Math.max(1, Math.min(100, Number(query.get('limit') ?? 100) || 100));
  const after = query.get('nextToken') ?? '';
  const names = options.pools
    .filter(({ config }) => config.functionName.startsWith(prefix) && config.functionName > after)
    .sort((a, b) => (a.config.functionName < b.config.functionName ? -1 : 1));
  const page = names.slice(0, limit);
  return {
    functions: page.map(({ config }) => describeFunction(config, options.accountId)),
    ...(names.length > limit && { nextToken: page.at(-1)!.config.functionName }),
  };
}

function json(response: ServerResponse, requestId: string, body: object): void {
  response.writeHead(200, { 'content-type': 'application/json', 'x-fc-request-id': requestId }).end(JSON.stringify(body));
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > MAX_PAYLOAD_BYTES) throw new ApiError(413, 'EntityTooLarge', `A payload has at most ${MAX_PAYLOAD_BYTES} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof Throttled) return new ApiError(429, 'ResourceThrottled', error.message);
  if (error instanceof URIError) return new ApiError(400, 'InvalidArgument', 'The path is not well encoded.');
  return new ApiError(500, 'InternalServerError', 'The local platform failed; its log has more.');
}
