import http from 'node:http';
import https from 'node:https';
import type { LookupFunction } from 'node:net';
import { Unreachable } from '../errors.ts';

/** One HTTP request and its whole answer, with our own clocks: no redirects, no decompression, no cookies. */

export interface ExchangeRequest {
  method: string;
  /** Absolute; path and query go out byte for byte, without the normalising that `URL` does to `..` and `//`. */
  url: string;
  headers: Record<string, string | number>;
  body?: Uint8Array | string | undefined;
}

export interface Answer {
  status: number;
  headers: http.IncomingHttpHeaders;
  /** Empty when `tooLarge`. */
  bytes: Uint8Array;
  /** The body is over the limit and was not read; holds what Content-Length says, or what had arrived. */
  tooLarge?: number;
}

export interface ExchangeOptions {
  /** Gives up when this long no byte arrives. */
  silenceMs: number;
  connectMs: number;
  maxBytes: number;
  agent?: http.Agent | undefined;
  lookup?: LookupFunction | undefined;
  signal?: AbortSignal | undefined;
}

/** Bodies of refusals are small; anything longer is somebody else's page. */
const MAX_REFUSAL_BYTES = 64 * 1024;

const agents = {
  'http:': new http.Agent({ keepAlive: true, maxSockets: 64 }),
  'https:': new https.Agent({ keepAlive: true, maxSockets: 64 }),
};

/**
 * Throws Unreachable when no whole answer came, the signal's reason when it fired. The body is checked against
 * Content-Length: a connection cut half-way is never taken for a short object.
 */
export function exchange(request: ExchangeRequest, options: ExchangeOptions): Promise<Answer> {
  const { origin, protocol, hostname, port, host } = new URL(request.url);
  const secure = protocol === 'https:';
  options.signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    let connected = false;
    let timer: NodeJS.Timeout | undefined;
    const finish = (end: () => void) => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', abort);
      end();
    };
    const fail = (error: unknown) => {
      finish(() => reject(error));
      outgoing.destroy();
    };
    const abort = () => fail(options.signal?.reason);
    const heard = (limitMs = options.silenceMs) => {
      clearTimeout(timer);
      timer = setTimeout(() => fail(new Unreachable(host, connected ? 'timeout' : 'connect')), limitMs);
    };

    const outgoing = (secure ? https : http).request({
      method: request.method,
      protocol,
      hostname: hostname.replace(/^\[|\]$/g, ''),
      port: port || (secure ? 443 : 80),
      path: request.url.slice(origin.length) || '/',
      headers: { ...request.headers, host },
      agent: options.agent ?? agents[secure ? 'https:' : 'http:'],
      ...(options.lookup && { lookup: options.lookup }),
    });
    heard(options.connectMs);
    options.signal?.addEventListener('abort', abort, { once: true });
    outgoing.on('socket', (socket) => {
      const ready = () => {
        connected = true;
        heard();
      };
      if (!socket.connecting) ready();
      else socket.once(secure ? 'secureConnect' : 'connect', ready);
    });
    outgoing.on('error', (error) => fail(new Unreachable(host, reasonOf(error, connected), {}, { cause: error })));
    outgoing.on('response', (incoming) => {
      heard();
      const status = incoming.statusCode ?? 0;
      const limit = status < 300 ? options.maxBytes : MAX_REFUSAL_BYTES;
      const announced = incoming.headers['content-length'];
      const hasBody = request.method !== 'HEAD' && status !== 204 && status !== 304;
      const answer = { status, headers: incoming.headers };
      const tooLarge = (sizeBytes: number) => {
        finish(() => resolve({ ...answer, bytes: new Uint8Array(), tooLarge: sizeBytes }));
        outgoing.destroy();
      };
      if (hasBody && announced !== undefined && Number(announced) > limit) return tooLarge(Number(announced));
      const chunks: Buffer[] = [];
      let received = 0;
      incoming.on('data', (chunk: Buffer) => {
        heard();
        received += chunk.length;
        if (received > limit) return tooLarge(received);
        chunks.push(chunk);
      });
      incoming.on('error', (error) => fail(new Unreachable(host, 'cut', {}, { cause: error })));
      incoming.on('close', () => {
        const whole = incoming.complete && (!hasBody || announced === undefined || Number(announced) === received);
        if (whole) finish(() => resolve({ ...answer, bytes: Buffer.concat(chunks, received) }));
        else fail(new Unreachable(host, 'cut', { evidence: { status } }));
      });
    });
    outgoing.end(request.body);
  });
}

const CONNECT_CODES = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'ETIMEDOUT',
  'EHOSTDOWN',
  'ENETDOWN',
]);

function reasonOf(error: NodeJS.ErrnoException, connected: boolean): Unreachable['reason'] {
  const code = error.code ?? '';
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0], connected);
  if (code === 'ENOTFOUND' || code.startsWith('EAI_')) return 'dns';
  if (CONNECT_CODES.has(code) && !connected) return 'connect';
  // OpenSSL's own names: DEPTH_ZERO_SELF_SIGNED_CERT, CERT_HAS_EXPIRED, UNABLE_TO_VERIFY_LEAF_SIGNATURE, ...
  if (/^(ERR_TLS|ERR_SSL|EPROTO|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|HOSTNAME_MISMATCH)/.test(code)) return 'tls';
  return connected ? 'cut' : 'connect';
}
