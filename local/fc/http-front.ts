import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Log } from '../../shared/log.ts';
import { type FunctionPool, Throttled } from './function-pool.ts';
import { isLoopbackHost } from './loopback.ts';

/** Limits of an HTTP trigger. Source: Function Compute documentation, "Quotas and limits". */
const MAX_BODY_BYTES = 32 * 1024 * 1024;
const MAX_TARGET_BYTES = 4_096;
const MAX_HEADER_BYTES = 8_192;

/** Headers that a function cannot set: the platform's own. */
const RESERVED = new Set(['connection', 'content-length', 'date', 'keep-alive', 'server', 'transfer-encoding']);

/**
 * What stands in front of an HTTP trigger: each request becomes one event of the form that built-in runtimes get, and the
 * function's answer the response. The server is returned unbound. Requests for another host name are refused, so that
 * no web page can reach the platform under a name of its own.
 */
export function httpFront(options: { pool: FunctionPool; methods: readonly string[]; accountId: string; log: Log }): Server {
  const { pool, methods, accountId, log } = options;

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const requestId = `1-${randomUUID()}`;
    const refuse = (status: number, code: string, message: string) => {
      response.writeHead(status, { 'content-type': 'application/json', 'x-fc-request-id': requestId });
      response.end(JSON.stringify({ RequestId: requestId, Code: code, Message: message }));
    };
    if (!isLoopbackHost(request.headers.host)) return refuse(403, 'AccessDenied', 'This server answers to loopback names only.');
    if (!methods.includes(request.method ?? '')) return refuse(405, 'MethodNotAllowed', `${request.method} is not allowed here.`);
    if (Buffer.byteLength(request.url ?? '') > MAX_TARGET_BYTES)
      return refuse(400, 'InvalidArgument', 'The path and query are over 4 KB.');
    const body = await readBody(request);
    if (body === undefined) return refuse(413, 'EntityTooLarge', 'The body is over 32 MB.');
    const event = toEvent(request, body, { requestId, accountId });
    const invocation = await pool.invoke(Buffer.from(JSON.stringify(event)), { requestId });
    if (invocation.errorType) {
      log.error('function failed', {
        function: pool.config.functionName,
        requestId,
        failure: invocation.body.toString('utf8').slice(0, 500),
      });
      return refuse(502, invocation.errorType, 'The function failed; its log has more.');
    }
    answer(response, invocation.body, invocation.isJson, requestId);
  }

  return createServer({ maxHeaderSize: MAX_HEADER_BYTES + MAX_TARGET_BYTES }, (request, response) => {
    serve(request, response).catch((error: unknown) => {
      log.error('http trigger failed', { error });
      if (!response.headersSent)
        response.writeHead(error instanceof Throttled ? 429 : 500, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ Code: 'InternalError', Message: 'The local platform failed; its log has more.' }));
    });
  });
}

async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  return bytes > MAX_BODY_BYTES ? undefined : Buffer.concat(chunks);
}

/** Repeated headers and query keys are joined by commas, as the trigger does. */
function toEvent(request: IncomingMessage, body: Buffer, ids: { requestId: string; accountId: string }): object {
  const [rawPath = '/', ...query] = (request.url ?? '/').split('?');
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers))
    if (value !== undefined && !name.startsWith('x-fc-'))
      headers[canonical(name)] = Array.isArray(value) ? value.join(',') : value;
  headers['X-Forwarded-Proto'] = 'http';
  const queryParameters: Record<string, string> = Object.create(null);
  for (const [name, value] of new URLSearchParams(query.join('?')))
    queryParameters[name] = name in queryParameters ? `${queryParameters[name]},${value}` : value;
  const now = new Date();
  return {
    version: 'v1',
    rawPath,
    body: body.toString('base64'),
    isBase64Encoded: true,
    headers,
    queryParameters,
    requestContext: {
      accountId: ids.accountId,
      domainName: request.headers.host ?? '',
      domainPrefix: '',
      requestId: ids.requestId,
      time: now.toISOString(),
      timeEpoch: String(now.getTime()),
      http: {
        method: request.method,
        path: decodePath(rawPath),
        protocol: `HTTP/${request.httpVersion}`,
        sourceIp: request.socket.remoteAddress ?? '',
        userAgent: request.headers['user-agent'] ?? '',
      },
    },
  };
}

function answer(response: ServerResponse, body: Buffer, isJson: boolean, requestId: string): void {
  const structured = isJson ? (JSON.parse(body.toString('utf8')) as Partial<Answer> | null) : undefined;
  if (typeof structured?.statusCode !== 'number') {
    response.writeHead(200, { 'content-type': isJson ? 'application/json' : 'text/plain', 'x-fc-request-id': requestId });
    response.end(body);
    return;
  }
  const bytes = Buffer.from(structured.body ?? '', structured.isBase64Encoded ? 'base64' : 'utf8');
  for (const [name, value] of Object.entries(structured.headers ?? {}))
    if (!RESERVED.has(name.toLowerCase())) response.setHeader(name, value);
  response.setHeader('x-fc-request-id', requestId);
  response.setHeader('content-length', bytes.byteLength);
  response.writeHead(structured.statusCode);
  response.end(bytes);
}

interface Answer {
  statusCode: number;
  headers: Record<string, string>;
  isBase64Encoded: boolean;
  body: string;
}

function canonical(name: string): string {
  return name.replace(/(^|-)([a-z])/g, (_, dash: string, letter: string) => dash + letter.toUpperCase());
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
