import type http from 'node:http';
import type { LookupFunction } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type OssClient from 'ali-oss';
import type { AccessKeys } from '../credentials/secret.ts';
import { AccessDenied, InvalidInput, NotFound, Unreachable } from '../errors.ts';
import { type Answer, type ExchangeRequest, exchange } from './http-exchange.ts';
import type { ListPage, ListRequest, ObjectInfo, ObjectStore, ReadOptions, StoredObject } from './object-store.ts';
import { nameOfBucket, type OssCall, refuseTooLarge, translateRefusal } from './oss-errors.ts';

/**
 * Alibaba Cloud OSS through its own client, which forms and signs the requests (V4). The bytes go through our own HTTP
 * exchange, since the client's follows its own clocks, keeps URLs in errors and cannot be stopped.
 */

export interface OssOptions {
  /** Host name or URL without a path; https unless it says `http://`. */
  endpoint: string;
  /** `cn-hangzhou`; the form `oss-cn-hangzhou` is taken too. */
  region: string;
  /**
   * A function is asked before every request, so that temporary keys can be renewed. When the service calls a session
   * ended or invalid, the function is asked once more with the keys that were `refused`, and the request made again.
   */
  keys: AccessKeys | ((refused?: AccessKeys) => Promise<AccessKeys>);
  /** `/bucket/key` instead of `bucket.host/key`. Default: only where the endpoint is an address or `localhost`. */
  pathStyle?: boolean;
  /** Longest silence on the connection. Default 10 s. */
  timeoutMs?: number;
  /** Longest time until a connection stands. Default 5 s. */
  connectTimeoutMs?: number;
  /** Repeats after an Unreachable. Default 2. */
  retries?: number;
  /** For tests of a connection: an agent or a name lookup that is pinned to a checked address. */
  agent?: http.Agent;
  lookup?: LookupFunction;
  /** Told of every answer, also refusals. `date` is the service's clock. */
  onAnswer?: (answer: { status: number; date: Date | undefined; requestId: string | undefined }) => void;
}

export interface BucketSummary {
  name: string;
  /** Without the prefix `oss-`. */
  region: string;
  createdAt: Date | undefined;
}

export interface BucketInfo extends BucketSummary {
  extranetEndpoint: string;
  intranetEndpoint: string;
  storageClass: string;
  versioning: boolean;
}

export interface OssStore extends ObjectStore {
  /** Needs `oss:GetBucketInfo`, which readers of a warehouse may well lack. */
  bucketInfo(options?: { signal?: AbortSignal }): Promise<BucketInfo>;
  /** Region without `oss-`. Needs `oss:GetBucketLocation`. */
  bucketLocation(options?: { signal?: AbortSignal }): Promise<string>;
}

export interface BucketPage {
  buckets: BucketSummary[];
  nextMarker?: string;
}

/** 1,000 keys of 1,023 bytes, percent-encoded, with their surroundings, is under 5 MB. */
const MAX_XML_BYTES = 16 * 1024 * 1024;
const MAX_RETRY_WAIT_MS = 30_000;

/** One storage bucket. Makes no request; throws InvalidInput for a name or an endpoint that cannot be. */
export function openOssStore(options: OssOptions & { bucket: string }): OssStore {
  const account = openAccount(options);
  const { bucket } = options;
  if (!/^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/.test(bucket)) throw InvalidInput.at('bucket', `"${bucket}" is not a bucket name`);
  const call = (permission: string, key?: string) => ({ bucket, permission, ...(key !== undefined && { key }) });

  async function readHead(key: string, signal?: AbortSignal): Promise<ObjectInfo | undefined> {
    const answer = await account.ask(call('oss:GetObject', key), { signal }, (client) => client.head(key));
    return answer && { key, ...describe(answer, account.host) };
  }

  return {
    async get(key, { signal, maxBytes } = {}) {
      const answer = await account.ask(call('oss:GetObject', key), { signal, maxBytes }, (client) => client.get(key));
      return answer && { ...describe(answer, account.host), bytes: answer.bytes };
    },

    async getRange(key, offset, length, { signal, maxBytes }: ReadOptions = {}): Promise<StoredObject | undefined> {
      const nothing = async () => {
        const info = await readHead(key, signal);
        return info && { sizeBytes: info.sizeBytes, etag: info.etag, lastModified: info.lastModified, bytes: new Uint8Array() };
      };
      if (length <= 0) return nothing();
      // Without `standard`, OSS answers a range past the end with the whole object.
      const headers = { Range: `bytes=${offset}-${offset + length - 1}`, 'x-oss-range-behavior': 'standard' };
      const limit = Math.min(maxBytes ?? length, length);
      const asked = { signal, maxBytes: limit, passes: 416 };
      const answer = await account.ask(call('oss:GetObject', key), asked, (client) => client.get(key, { headers }));
      if (!answer) return undefined;
      if (answer.status === 416) return nothing();
      const range = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(String(answer.headers['content-range'] ?? ''));
      const info = describe(answer, account.host);
      if (answer.status === 206 && range && Number(range[1]) === offset)
        return { ...info, sizeBytes: Number(range[3]), bytes: answer.bytes };
      if (answer.status === 200 && offset === 0) return { ...info, bytes: answer.bytes };
      throw new Unreachable(account.host, 'bad-answer', { evidence: { status: answer.status, code: 'another range' } });
    },

    head: (key, { signal } = {}) => readHead(key, signal),

    async list(request) {
      const page = await account.askFor(call('oss:ListObjects'), { signal: request.signal, maxBytes: MAX_XML_BYTES }, (client) =>
        // Fresh objects on every page: the client keeps the first page's token in what it was given.
        client.listV2(listQuery(request), {}),
      );
      return readListPage(page as unknown as RawListPage, request, account.host);
    },

    async bucketInfo({ signal } = {}) {
      const found = await account.askFor(call('oss:GetBucketInfo'), { signal, maxBytes: MAX_XML_BYTES }, (client) =>
        client.getBucketInfo(bucket),
      );
      const raw = found.bucket as Record<string, unknown> | undefined;
      if (typeof raw?.Name !== 'string' || typeof raw.Location !== 'string') throw strangeAnswer(account.host);
      return {
        name: raw.Name,
        region: plainRegion(raw.Location),
        createdAt: typeof raw.CreationDate === 'string' ? new Date(raw.CreationDate) : undefined,
        extranetEndpoint: String(raw.ExtranetEndpoint ?? ''),
        intranetEndpoint: String(raw.IntranetEndpoint ?? ''),
        storageClass: String(raw.StorageClass ?? ''),
        versioning: raw.Versioning === 'Enabled',
      };
    },

    async bucketLocation({ signal } = {}) {
      const found = await account.askFor(call('oss:GetBucketLocation'), { signal, maxBytes: MAX_XML_BYTES }, (client) =>
        client.getBucketLocation(bucket),
      );
      const location: unknown = found.location;
      if (typeof location !== 'string' || location === '') throw strangeAnswer(account.host);
      return plainRegion(location);
    },
  };
}

/** One page of the storage buckets that the keys' account owns, in name order. Needs `oss:ListBuckets`. */
export async function listOssBuckets(
  options: OssOptions,
  request: { prefix?: string; marker?: string; maxKeys?: number; signal?: AbortSignal } = {},
): Promise<BucketPage> {
  const account = openAccount(options);
  const query = {
    'max-keys': request.maxKeys ?? 100,
    ...(request.prefix && { prefix: request.prefix }),
    ...(request.marker && { marker: request.marker }),
  };
  const page = (await account.askFor(
    { bucket: '', permission: 'oss:ListBuckets' },
    { signal: request.signal, maxBytes: MAX_XML_BYTES },
    (client) => client.listBuckets(query),
  )) as unknown as { buckets: Record<string, unknown>[] | null; isTruncated: boolean; nextMarker: string | null };
  // An empty list comes as one nameless bucket.
  const buckets = (page.buckets ?? []).filter((bucket) => typeof bucket.name === 'string');
  return {
    buckets: buckets.map((bucket) => ({
      name: String(bucket.name),
      region: plainRegion(String(bucket.region ?? '')),
      createdAt: typeof bucket.creationDate === 'string' ? new Date(bucket.creationDate) : undefined,
    })),
    ...(page.isTruncated && page.nextMarker && { nextMarker: page.nextMarker }),
  };
}

type Call = Omit<OssCall, 'host'>;
interface AskOptions {
  signal?: AbortSignal | undefined;
  maxBytes?: number | undefined;
  /** A status that is an answer here although it is none elsewhere. */
  passes?: number;
}

function openAccount(options: OssOptions) {
  const { timeoutMs = 10_000, connectTimeoutMs = 5_000, retries = 2 } = options;
  const endpoint = parseEndpoint(options.endpoint);
  const { host, hostname } = endpoint;
  const isLocal = /^\[|^[\d.]+$|^localhost$/.test(hostname);
  const pathStyle = options.pathStyle ?? isLocal;
  const clientOptions = {
    endpoint: endpoint.origin,
    region: `oss-${plainRegion(options.region)}`,
    authorizationV4: true,
    sldEnable: pathStyle,
    // A name outside Alibaba's own domains is bound to one bucket.
    cname: !pathStyle && !/(\.aliyuncs\.com|\.aliyun-inc\.com|\.aliyun\.com|^localhost|\.localhost)$/.test(hostname),
    // Only there to keep the client from advising on standard output.
    refreshSTSTokenInterval: 300_000,
  };
  let loading: Promise<typeof OssClient> | undefined;

  async function once<T>(call: OssCall, asked: AskOptions, keys: AccessKeys, run: (client: OssClient) => Promise<T>) {
    loading ??= import('ali-oss').then((module) => module.default);
    const Client = await loading;
    let answer: Answer | undefined;
    let failure: unknown;
    const transport = {
      async request(url: string, parameters: { method: string; headers: Record<string, string>; content?: Uint8Array }) {
        // The client forces a Host header upon addresses; the exchange sets the right one.
        const { host: _forced, ...headers } = parameters.headers;
        const request: ExchangeRequest = { method: parameters.method, url, headers, body: parameters.content };
        try {
          answer = await exchange(request, {
            silenceMs: timeoutMs,
            connectMs: connectTimeoutMs,
            maxBytes: asked.maxBytes ?? Number.MAX_SAFE_INTEGER,
            agent: options.agent,
            lookup: options.lookup,
            signal: asked.signal,
          });
        } catch (error) {
          failure = error;
          throw Object.assign(new Error('no answer'), { status: -1 });
        }
        report(answer);
        return { status: answer.status, headers: answer.headers, data: answer.bytes, res: answer };
      },
    };
    const client = new Client({
      ...clientOptions,
      ...(call.bucket && { bucket: call.bucket }),
      accessKeyId: keys.accessKeyId,
      accessKeySecret: keys.accessKeySecret.reveal(),
      ...(keys.securityToken && { stsToken: keys.securityToken.reveal() }),
      urllib: transport,
    } as unknown as OssClient.Options);
    let value: T | undefined;
    let clientError: unknown;
    try {
      value = await run(client);
    } catch (error) {
      clientError = error;
    }
    if (failure) throw failure;
    if (!answer) throw clientError;
    if (answer.status >= 300 && answer.status !== asked.passes) throw translateRefusal(answer, call);
    if (answer.tooLarge !== undefined && answer.status < 300)
      throw refuseTooLarge(call.key ?? nameOfBucket(call.bucket), answer.tooLarge, asked.maxBytes ?? 0);
    // The client did not understand an answer that says it is a success.
    if (clientError && answer.status !== asked.passes) throw strangeAnswer(host, clientError);
    return { value: value as T, answer };
  }

  function report(answer: Answer) {
    const date = new Date(answer.headers.date ?? '');
    const requestId = answer.headers['x-oss-request-id'];
    options.onAnswer?.({
      status: answer.status,
      date: Number.isNaN(date.getTime()) ? undefined : date,
      requestId: typeof requestId === 'string' ? requestId : undefined,
    });
  }

  async function repeated<T>(call: Call, asked: AskOptions, run: (client: OssClient) => Promise<T>) {
    let refused: AccessKeys | undefined;
    for (let attempt = 0; ; attempt++) {
      let keys: AccessKeys | undefined;
      try {
        keys = typeof options.keys === 'function' ? await options.keys(refused) : options.keys;
        return await once({ ...call, host }, asked, keys, run);
      } catch (error) {
        // Sessions can end before their time, such as when the role is changed. Another one is worth one try.
        if (keys && !refused && typeof options.keys === 'function' && isEndedSession(error)) {
          refused = keys;
          attempt--;
          continue;
        }
        if (!(error instanceof Unreachable) || error.reason === 'tls' || attempt >= retries) throw error;
        const backoffMs = 200 * 2 ** attempt * (0.5 + Math.random());
        const waitMs = Math.min(MAX_RETRY_WAIT_MS, Math.max(backoffMs, error.detail.retryAfterMs ?? 0));
        await delay(waitMs, undefined, { ...(asked.signal && { signal: asked.signal }) }).catch(() => {
          throw asked.signal?.reason;
        });
      }
    }
  }

  return {
    host,
    /** The raw answer, or `undefined` where the object is not there. */
    async ask(call: Call, asked: AskOptions, run: (client: OssClient) => Promise<unknown>): Promise<Answer | undefined> {
      try {
        return (await repeated(call, asked, run)).answer;
      } catch (error) {
        if (error instanceof NotFound && error.evidence?.code !== 'NoSuchBucket') return undefined;
        throw error;
      }
    },
    /** What the client read out of the answer. */
    async askFor<T>(call: Call, asked: AskOptions, run: (client: OssClient) => Promise<T>): Promise<T> {
      return (await repeated(call, asked, run)).value;
    },
  };
}

function isEndedSession(error: unknown): boolean {
  return error instanceof AccessDenied && (error.reason === 'token-expired' || error.reason === 'token-invalid');
}

function parseEndpoint(endpoint: string): URL {
  try {
    const url = new URL(/^https?:\/\//i.test(endpoint) ? endpoint : `https://${endpoint}`);
    if (url.pathname === '/' && !url.search && !url.username && !url.password) return url;
  } catch {
    // Said below.
  }
  throw InvalidInput.at('endpoint', 'must be a host name, or http(s):// and a host name, without a path');
}

function plainRegion(region: string): string {
  return region.replace(/^oss-/, '');
}

function strangeAnswer(host: string, cause?: unknown): Unreachable {
  return new Unreachable(host, 'bad-answer', {}, cause === undefined ? undefined : { cause });
}

function describe(answer: Answer, host: string): Omit<ObjectInfo, 'key'> {
  const etag = bareEtag(answer.headers.etag);
  const lastModified = new Date(answer.headers['last-modified'] ?? '');
  const sizeBytes = Number(answer.headers['content-length'] ?? answer.bytes.byteLength);
  if (!etag || Number.isNaN(lastModified.getTime()) || !Number.isSafeInteger(sizeBytes)) throw strangeAnswer(host);
  return { sizeBytes, etag, lastModified };
}

function bareEtag(etag: string | undefined): string {
  return etag?.replace(/^"|"$/g, '') ?? '';
}

/** Never an empty or undefined value: the client signs those in another form than it sends. */
function listQuery(request: ListRequest): OssClient.ListV2ObjectsQuery {
  return {
    'encoding-type': 'url',
    'max-keys': String(request.maxKeys ?? 1000),
    ...(request.prefix && { prefix: request.prefix }),
    ...(request.delimiter && { delimiter: request.delimiter }),
    ...(request.startAfter && { 'start-after': request.startAfter }),
    ...(request.token && { 'continuation-token': request.token }),
  } as unknown as OssClient.ListV2ObjectsQuery;
}

interface RawListPage {
  objects: { name: string; size: number; etag: string; lastModified: string }[];
  prefixes: string[] | null;
  isTruncated: boolean;
  keyCount: number;
  nextContinuationToken: string | null;
}

/** A page that is not certainly whole throws: what stands in a listing decides what is taken for gone. */
function readListPage(page: RawListPage, request: ListRequest, host: string): ListPage {
  const prefixes = page.prefixes ?? [];
  const complete = page.keyCount === page.objects.length + prefixes.length;
  const goesOn = page.nextContinuationToken !== null && page.nextContinuationToken !== request.token;
  if (!complete || (page.isTruncated && !goesOn)) throw strangeAnswer(host);
  try {
    return {
      objects: page.objects.map((object) => {
        const lastModified = new Date(object.lastModified);
        const etag = bareEtag(object.etag);
        if (!etag || !Number.isSafeInteger(object.size) || Number.isNaN(lastModified.getTime())) throw strangeAnswer(host);
        return { key: decodeURIComponent(object.name), sizeBytes: object.size, etag, lastModified };
      }),
      prefixes: prefixes.map((prefix) => decodeURIComponent(prefix)),
      ...(page.isTruncated && { nextToken: page.nextContinuationToken as string }),
    };
  } catch (error) {
    throw error instanceof Unreachable ? error : strangeAnswer(host, error);
  }
}
