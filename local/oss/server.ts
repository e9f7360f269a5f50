import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Secret } from '../../shared/credentials/secret.ts';
import type { Log } from '../../shared/log.ts';
import { equal } from '../signatures/acs3.ts';
import { parseRawQuery } from '../signatures/encoding.ts';
import { claimedOss } from '../signatures/oss.ts';
import type { Identities } from '../sts/identities.ts';
import { Policy, type PolicyInput } from '../sts/policy.ts';
import { isAllowedHost, possibleAddresses, regionOfHost } from './address.ts';
import type { Answer, OssRequest } from './answer.ts';
import { authenticate, requirePermission } from './authorize.ts';
import { bucketOperations } from './bucket-operations.ts';
import { newEvent, type OssEvent } from './events.ts';
import { type Fault, type FaultInput, openFaults } from './faults.ts';
import { multipartOperations } from './multipart-operations.ts';
import { objectOperations } from './object-operations.ts';
import { type Operation, operationOf } from './operations.ts';
import { noSuchBucket, OssProblem, statusOf } from './problem.ts';
import { type LoggedRequest, openRequestLog } from './request-log.ts';
import type { Storage } from './storage.ts';
import { writeXml } from './xml.ts';

/** The OSS protocol on a loopback port, over a directory tree or an S3 server. `README.md` beside it says how faithfully. */

export interface OssEndpointOptions {
  storage: Storage;
  identities: Identities;
  /** 0: any free one. */
  port?: number;
  /** Default `cn-hangzhou`. */
  region?: string;
  /** Storage buckets that lie elsewhere: name → region. */
  regions?: Record<string, string>;
  /** Host names beyond loopback ones and Alibaba's. */
  allowedHosts?: string[];
  /** Called once for each request that changed something, after it did. */
  onEvent?: (event: OssEvent) => void;
  /** Opens `PUT /_faults`, `GET /_requests` and `DELETE /_requests` to who bears this token. */
  adminToken?: Secret;
  log?: Log;
  now?: () => Date;
}

export interface OssEndpoint {
  /** `http://127.0.0.1:PORT` */
  url: string;
  port: number;
  /** Replaces all faults. */
  setFaults(faults: FaultInput[]): void;
  faultHits(): number[];
  /** Newest last. */
  requests(filter?: { bucket?: string; prefix?: string; operation?: string }): LoggedRequest[];
  counts(): Record<string, number>;
  clearRequests(): void;
  setRegion(bucket: string, region: string): void;
  /** Policies on the bucket itself; they apply to every identity. */
  setBucketPolicies(bucket: string, policies: PolicyInput[]): void;
  close(): Promise<void>;
}

const handlers = { ...bucketOperations, ...objectOperations, ...multipartOperations };

export async function startOssEndpoint(options: OssEndpointOptions): Promise<OssEndpoint> {
  const { storage, identities, region = 'cn-hangzhou', allowedHosts = [], now = () => new Date() } = options;
  const regions = new Map(Object.entries(options.regions ?? {}));
  const policies = new Map<string, Policy[]>();
  const faults = openFaults();
  const requestLog = openRequestLog();
  const regionOf = (bucket: string) => regions.get(bucket) ?? region;

  const server = createServer((incoming, response) => {
    serve(incoming, response).catch((error: unknown) => {
      options.log?.error('object store request failed', { error });
      response.destroy();
    });
  });
  // Large uploads over slow links are the client's business.
  server.requestTimeout = 0;
  server.keepAliveTimeout = 65_000;

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const startedAt = performance.now();
    const requestId = randomBytes(12).toString('hex').toUpperCase();
    const target = incoming.url ?? '/';
    const at = target.indexOf('?');
    const [rawPath, rawQuery] = at < 0 ? [target, ''] : [target.slice(0, at), target.slice(at + 1)];
    const host = incoming.headers.host ?? '';
    response.setHeader('server', 'paimon-datamap-local-oss');
    response.setHeader('x-oss-request-id', requestId);
    if (!isAllowedHost(host, allowedHosts) || !isAllowedOrigin(incoming.headers.origin, allowedHosts))
      return refuseStranger(response);
    if (options.adminToken && /^\/_(faults|requests)$/.test(rawPath)) return serveAdmin(incoming, response, rawPath);

    const signed = { method: incoming.method ?? 'GET', headers: incoming.headers, rawQuery };
    const addresses = possibleAddresses(host, rawPath);
    let address = addresses[0] ?? { bucket: '', key: '', resource: '/' };
    const query = new Map(parseRawQuery(rawQuery).map(([name, value]) => [name, value ?? '']));
    const claim = claimedOss(signed);
    let operation: Operation = 'ListBuckets';
    let answer: Answer;
    let code = '';
    let fault: Fault | undefined;
    const logged = () => (isListing(operation) ? (query.get('prefix') ?? '') : address.key);
    try {
      const found = tryAuthenticate();
      if (!('problem' in found)) address = found.address;
      operation = operationOf({ ...signed, ...address, query });
      const accessKeyId = typeof claim === 'string' ? '' : claim.accessKeyId;
      fault = faults.strike({ operation, bucket: address.bucket, key: logged(), accessKeyId });
      if (fault) await suffer(fault, response);
      if (response.destroyed) return record(0, 'cut', 0);
      if ('problem' in found) throw found.problem;
      const { principal, claim: proven } = found;
      const { bucket } = address;
      if (bucket !== '' && operation !== 'PutBucket') {
        if (!(await storage.hasBucket(bucket))) throw noSuchBucket(bucket);
        requireRegion(bucket, host, proven.region);
      }
      const sourceIp = incoming.socket.remoteAddress?.replace(/^::ffff:/, '') ?? '';
      const permit = (asked: { bucket: string; key: string; action?: string }) =>
        requirePermission(principal, policies.get(asked.bucket) ?? [], { operation, query, sourceIp, ...asked });
      // Each key of a multiple delete is judged by itself.
      if (operation !== 'DeleteMultipleObjects') permit(address);
      const handler = handlers[operation];
      if (!handler) throw new OssProblem('NotImplemented', `This local endpoint does not do ${operation}.`);
      const request: OssRequest = {
        storage,
        ...address,
        query,
        headers: incoming.headers,
        incoming,
        region: regionOf(address.bucket),
        regionOf,
        accountId: identities.accountId,
        wantsEvents: options.onEvent !== undefined,
        emit: (events) => {
          if (events.length === 0 || !options.onEvent) return;
          const source = { bucket: address.bucket, region: regionOf(address.bucket), accountId: identities.accountId };
          const items = events.map(({ name, object }) =>
            newEvent(name, object, { ...source, requestId, principal: principal.arn, time: now() }),
          );
          options.onEvent({ events: items });
        },
        requireAction: (action, sourceBucket, key) => permit({ action, bucket: sourceBucket, key }),
      };
      answer = await handler(request);
      if (fault?.cut === 'after') {
        answer.body?.destroy();
        response.destroy();
        return record(0, 'cut', 0);
      }
    } catch (error) {
      const problem = error instanceof OssProblem ? error : (asForced(error) ?? asInternal(error));
      code = problem.code;
      answer = refusal(problem, incoming.method ?? 'GET', requestId, host);
    }
    let bytesSent = 0;
    try {
      bytesSent = await send(response, answer, incoming.method === 'HEAD', fault);
    } finally {
      record(answer.status ?? 200, code, bytesSent);
    }

    function tryAuthenticate() {
      try {
        return authenticate(signed, addresses, identities, now());
      } catch (error) {
        if (error instanceof OssProblem) return { problem: error };
        throw error;
      }
    }

    function record(status: number, code: string, bytesSent: number) {
      requestLog.add({
        time: now().toISOString(),
        requestId,
        operation,
        bucket: address.bucket,
        key: logged(),
        accessKeyId: typeof claim === 'string' ? '' : claim.accessKeyId,
        status,
        code,
        bytesReceived: Number(incoming.headers['content-length'] ?? 0),
        bytesSent,
        durationMs: Math.round((performance.now() - startedAt) * 10) / 10,
      });
    }

    function asInternal(error: unknown): OssProblem {
      options.log?.error('object store operation failed', { operation, bucket: address.bucket, key: address.key, error });
      return new OssProblem('InternalError', 'We encountered an internal error. Please try again.');
    }
  }

  /** A host name or a V4 signature may say a region; it must be the bucket's. */
  function requireRegion(bucket: string, host: string, signedFor: string | undefined) {
    const own = regionOf(bucket);
    const named = regionOfHost(host);
    if ((named ?? own) === own && (signedFor ?? own) === own) return;
    throw new OssProblem(
      'AccessDenied',
      'The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.',
      { Bucket: bucket, Endpoint: `oss-${own}.aliyuncs.com` },
    );
  }

  async function serveAdmin(incoming: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const answerJson = (status: number, value: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(`${JSON.stringify(value)}\n`);
    };
    const token = /^Bearer (.+)$/.exec(incoming.headers.authorization ?? '')?.[1] ?? '';
    if (!equal(token, options.adminToken?.reveal() ?? ''))
      return answerJson(401, { error: 'Send the admin token as a bearer token.' });
    const chunks: Buffer[] = [];
    for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
    try {
      if (path === '/_faults' && incoming.method === 'PUT') faults.set(JSON.parse(Buffer.concat(chunks).toString('utf8')));
      else if (path === '/_requests' && incoming.method === 'DELETE') requestLog.clear();
      else if (incoming.method !== 'GET') return answerJson(405, { error: 'Not a method of this address.' });
    } catch (error) {
      return answerJson(400, { error: error instanceof Error ? error.message : String(error) });
    }
    answerJson(
      200,
      path === '/_faults' ? { hits: faults.hits() } : { counts: requestLog.counts(), requests: requestLog.requests() },
    );
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', () => resolve());
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    setFaults: faults.set,
    faultHits: faults.hits,
    requests: requestLog.requests,
    counts: requestLog.counts,
    clearRequests: requestLog.clear,
    setRegion: (bucket, bucketRegion) => void regions.set(bucket, bucketRegion),
    setBucketPolicies: (bucket, list) =>
      void policies.set(
        bucket,
        list.map((policy) => Policy.parse(policy)),
      ),
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
      await storage.close();
    },
  };
}

function isListing(operation: Operation): boolean {
  return operation === 'ListObjects' || operation === 'ListObjectsV2' || operation === 'ListMultipartUploads';
}

function isAllowedOrigin(origin: string | undefined, allowedHosts: readonly string[]): boolean {
  return origin === undefined || isAllowedHost(origin.replace(/^https?:\/\//, ''), allowedHosts);
}

function refuseStranger(response: ServerResponse): void {
  response.writeHead(403, { 'content-type': 'text/plain' });
  response.end('This local endpoint answers under loopback names only.\n');
}

/** A refusal that a fault asks for; its code need not be one that this endpoint knows. */
class Forced extends Error {
  constructor(readonly fault: Fault) {
    super('forced');
  }
}

function asForced(error: unknown): ForcedProblem | undefined {
  if (!(error instanceof Forced)) return undefined;
  const { status, code = '', message = code, ec, headers } = error.fault;
  return { code, status: status ?? statusOf(code) ?? 500, message, elements: ec ? { EC: ec } : {}, headers };
}
interface ForcedProblem {
  code: string;
  status: number;
  message: string;
  elements: Record<string, string>;
  headers?: Record<string, string>;
}

async function suffer(fault: Fault, response: ServerResponse): Promise<void> {
  if (fault.delayMs > 0) await Promise.race([delay(fault.delayMs), new Promise((resolve) => response.once('close', resolve))]);
  if (fault.hang) await new Promise((resolve) => response.once('close', resolve));
  if (fault.cut === 'before') response.destroy();
  if (!response.destroyed && (fault.status !== undefined || fault.code !== undefined)) throw new Forced(fault);
}

function refusal(problem: ForcedProblem | OssProblem, method: string, requestId: string, host: string): Answer {
  const { code, message, elements, status } = problem;
  const headers: Record<string, string> = { ...('headers' in problem ? problem.headers : {}) };
  if (elements.EC) headers['x-oss-ec'] = elements.EC;
  if (code === '') return { status, headers, xml: '<html><body>forced</body></html>' };
  const xml = writeXml('Error', { Code: code, Message: message, RequestId: requestId, HostId: host, ...elements });
  if (method !== 'HEAD') return { status, headers, xml };
  return { status, headers: { ...headers, 'x-oss-err': Buffer.from(xml).toString('base64') } };
}

/** Bytes of the body that went out. */
async function send(response: ServerResponse, answer: Answer, isHead: boolean, fault: Fault | undefined): Promise<number> {
  const { status = 200, headers = {}, xml, body, sizeBytes } = answer;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.setHeader('x-oss-server-time', '1');
  if (isHead || !(body || xml !== undefined)) {
    body?.destroy();
    if (status !== 204 && status !== 304) response.setHeader('content-length', sizeBytes ?? 0);
    response.writeHead(status);
    response.end();
    return 0;
  }
  const bytes = xml === undefined ? undefined : Buffer.from(xml);
  if (bytes && !headers['content-type']) response.setHeader('content-type', 'application/xml');
  response.setHeader('content-length', bytes?.length ?? sizeBytes ?? 0);
  response.writeHead(status);
  let sent = 0;
  const cutAt = typeof fault?.cut === 'number' ? fault.cut : Number.POSITIVE_INFINITY;
  const bytesPerSecond = fault?.slowBodyBytesPerSecond;
  const meter = new Transform({
    async transform(chunk: Buffer, _encoding, done) {
      const slice = bytesPerSecond ? Math.max(1, Math.ceil(bytesPerSecond / 10)) : chunk.length;
      for (let i = 0; i < chunk.length && !response.destroyed; i += slice) {
        const piece = chunk.subarray(i, Math.min(i + slice, chunk.length, i + Math.max(0, cutAt - sent)));
        sent += piece.length;
        if (sent >= cutAt) {
          // What was written must leave before the connection goes; the pipeline ends with it.
          response.flushHeaders();
          response.write(piece, () => response.destroy());
          return;
        }
        this.push(piece);
        if (bytesPerSecond) await delay((1000 * piece.length) / bytesPerSecond);
      }
      done();
    },
  });
  const source = bytes
    ? (async function* () {
        yield bytes;
      })()
    : body!;
  // A client that goes away in the middle is no failure of ours.
  await pipeline(source, meter, response).catch(() => response.destroy());
  return sent;
}
