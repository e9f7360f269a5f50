import type { z } from 'zod';
import { Unreachable } from '../errors.ts';
import { type Call, type FcHandler, startCall } from './context.ts';
import { lazyEnv } from './instance.ts';

/**
 * What an HTTP trigger of a built-in runtime passes (event version v1). Repeated headers and query keys arrive joined by
 * a comma, so a value with a comma and two values look alike: the API takes each query key once.
 */
export interface HttpEvent {
  version: string;
  /** Still percent-encoded. */
  rawPath: string;
  body?: string;
  isBase64Encoded?: boolean;
  headers?: Record<string, string>;
  queryParameters?: Record<string, string>;
  requestContext?: {
    domainName?: string;
    requestId?: string;
    http?: { method?: string; path?: string; protocol?: string; sourceIp?: string; userAgent?: string };
  };
}

export interface HttpAnswer {
  statusCode: number;
  headers: Record<string, string>;
  isBase64Encoded: boolean;
  body: string;
}

/** Entry point of a function that HTTP requests wake: the trigger's event as a Fetch request, its response back. Never throws. */
export function httpHandler<Env, Deps>(options: {
  env: z.ZodType<Env>;
  build(env: Env, call: Call): Deps | Promise<Deps>;
  fetch(request: Request, deps: Deps, call: Call & { sourceIp?: string }): Response | Promise<Response>;
}): FcHandler {
  const env = lazyEnv(options.env);
  return async (event, context): Promise<HttpAnswer> => {
    const call = startCall(context);
    let httpEvent: HttpEvent;
    try {
      httpEvent = JSON.parse(Buffer.from(event).toString('utf8')) as HttpEvent;
      if (typeof httpEvent?.rawPath !== 'string' || !httpEvent.rawPath.startsWith('/')) throw new Error('rawPath is missing');
    } catch (error) {
      call.log.error('event is not an HTTP request', { error });
      return problem(400, 'bad-request', 'The event is not an HTTP request.');
    }
    try {
      const sourceIp = httpEvent.requestContext?.http?.sourceIp;
      const request = toRequest(httpEvent);
      const deps = await options.build(env(), call);
      return await toAnswer(await options.fetch(request, deps, { ...call, ...(sourceIp && { sourceIp }) }), request.method);
    } catch (error) {
      call.log.error('request failed', { error });
      if (error instanceof Unreachable)
        return problem(503, 'unavailable', `${error.host} is not reachable.`, { 'retry-after': '5' });
      return problem(500, 'internal', `The request failed. The log has more under request ${call.requestId}.`);
    }
  };
}

/** The trigger's event as a Fetch request; the address comes from the Host header and is not to be trusted. */
export function toRequest(event: HttpEvent): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(event.headers ?? {})) headers.append(name, value);
  const http = event.requestContext?.http;
  const method = (http?.method ?? 'GET').toUpperCase();
  const query = new URLSearchParams(event.queryParameters ?? {}).toString();
  const protocol = headers.get('x-forwarded-proto') === 'http' ? 'http' : 'https';
  const host = headers.get('host') ?? event.requestContext?.domainName ?? 'localhost';
  const origin = URL.canParse(`${protocol}://${host}`) ? new URL(`${protocol}://${host}`).origin : `${protocol}://localhost`;
  const hasBody = method !== 'GET' && method !== 'HEAD' && event.body !== undefined && event.body !== '';
  return new Request(`${origin}${event.rawPath}${query === '' ? '' : `?${query}`}`, {
    method,
    headers,
    ...(hasBody && { body: event.isBase64Encoded ? Buffer.from(event.body!, 'base64') : event.body! }),
  });
}

/** Set by the platform; it refuses or replaces ours. */
const RESERVED = new Set(['connection', 'content-length', 'date', 'keep-alive', 'server', 'transfer-encoding']);
const TEXT = /^(text\/|application\/(problem\+json|json|javascript|xml)|image\/svg\+xml)/;

async function toAnswer(response: Response, method: string): Promise<HttpAnswer> {
  const headers: Record<string, string> = {};
  for (const [name, value] of response.headers) {
    if (RESERVED.has(name)) continue;
    // Two cookies come as two entries of one name; the trigger takes one string.
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
  }
  const bytes = method === 'HEAD' ? Buffer.alloc(0) : Buffer.from(await response.arrayBuffer());
  const isText = TEXT.test(response.headers.get('content-type') ?? '');
  return {
    statusCode: response.status,
    headers,
    isBase64Encoded: !isText,
    body: bytes.toString(isText ? 'utf8' : 'base64'),
  };
}

function problem(status: number, code: string, detail: string, more: Record<string, string> = {}): HttpAnswer {
  return {
    statusCode: status,
    headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store', ...more },
    isBase64Encoded: false,
    body: JSON.stringify({ type: 'about:blank', status, code, detail }),
  };
}
