import { createHash, createHmac } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { AccessKeys } from '../../shared/credentials/secret.ts';
import { compareText, percentEncode } from '../signatures/encoding.ts';

/** Requests to an S3 server, signed with AWS Signature Version 4, path style. */

export interface S3Request {
  method: string;
  bucket?: string;
  key?: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: Readable | Uint8Array | string | undefined;
  /** Needed with a stream. */
  sizeBytes?: number | undefined;
}

export interface S3Answer {
  status: number;
  headers: http.IncomingHttpHeaders;
  /** Must be read or destroyed. */
  body: http.IncomingMessage;
}

export interface S3Client {
  send(request: S3Request): Promise<S3Answer>;
  close(): void;
}

export function openS3Client(options: { endpoint: string; keys: AccessKeys; region?: string }): S3Client {
  const { keys, region = 'us-east-1' } = options;
  const endpoint = new URL(options.endpoint);
  const module = endpoint.protocol === 'https:' ? https : http;
  const agent = new module.Agent({ keepAlive: true, maxSockets: 128 });

  function sign(request: S3Request, path: string, query: string): Record<string, string> {
    const now = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
    const headers: Record<string, string> = {
      ...request.headers,
      host: endpoint.host,
      'x-amz-content-sha256': 'UNSIGNED-PAYLOAD',
      'x-amz-date': now,
    };
    const names = Object.keys(headers)
      .filter((name) => name === 'host' || name.startsWith('x-amz-'))
      .sort(compareText);
    const lines = names.map((name) => `${name}:${headers[name]?.trim()}\n`).join('');
    const canonical = [request.method, path, query, lines, names.join(';'), 'UNSIGNED-PAYLOAD'].join('\n');
    const scope = `${now.slice(0, 8)}/${region}/s3/aws4_request`;
    const stringToSign = ['AWS4-HMAC-SHA256', now, scope, createHash('sha256').update(canonical).digest('hex')].join('\n');
    const key = scope
      .split('/')
      .reduce<string | Buffer>(
        (last, part) => createHmac('sha256', last).update(part).digest(),
        `AWS4${keys.accessKeySecret.reveal()}`,
      );
    const signature = createHmac('sha256', key).update(stringToSign).digest('hex');
    const credential = `${keys.accessKeyId}/${scope}`;
    headers.authorization = `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
    return headers;
  }

  return {
    send(request) {
      const { method, bucket, key = '', body } = request;
      const path = bucket === undefined ? '/' : `/${bucket}/${key.split('/').map(percentEncode).join('/')}`;
      const query = Object.entries(request.query ?? {})
        .map(([name, value]) => `${percentEncode(name)}=${percentEncode(value)}`)
        .sort(compareText)
        .join('&');
      const headers = sign(request, path, query);
      const isWhole = typeof body === 'string' || body instanceof Uint8Array;
      const length = isWhole ? Buffer.byteLength(body) : (request.sizeBytes ?? 0);
      if (body !== undefined || method === 'PUT' || method === 'POST') headers['content-length'] = String(length);
      return new Promise((resolve, reject) => {
        const { protocol, hostname, port } = endpoint;
        const outgoing = module.request({
          method,
          protocol,
          hostname,
          port,
          path: query ? `${path}?${query}` : path,
          headers,
          agent,
        });
        outgoing.once('error', reject);
        outgoing.once('response', (incoming) =>
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: incoming }),
        );
        if (body === undefined || isWhole) outgoing.end(body);
        else pipeline(body, outgoing).catch(reject);
      });
    },
    close: () => agent.destroy(),
  };
}
