import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Secret } from '../../shared/credentials/secret.ts';
import type { Log } from '../../shared/log.ts';
import { type Clock, systemClock } from '../clock.ts';
import { changeMessageVisibility } from './actions/change-message-visibility.ts';
import { createQueue } from './actions/create-queue.ts';
import { deleteMessage } from './actions/delete-message.ts';
import { deleteQueue } from './actions/delete-queue.ts';
import { getQueueAttributes } from './actions/get-queue-attributes.ts';
import { listQueues } from './actions/list-queues.ts';
import { receiveMessage } from './actions/receive-message.ts';
import { sendMessage } from './actions/send-message.ts';
import { setQueueAttributes } from './actions/set-queue-attributes.ts';
import { MnsError } from './error.ts';
import { REQUEST_BYTES } from './limits.ts';
import { openQueueStore, type QueueStore } from './queue-store.ts';
import type { Action, MnsAnswer } from './request.ts';
import { type FindSecret, verifyMns } from './signature.ts';
import { writeXml } from './xml.ts';

export interface QueueEndpoint {
  /** `http://127.0.0.1:{port}`; what clients take as `endpoint`. */
  url: string;
  port: number;
  /** The queues themselves, for parts of the same process. */
  store: QueueStore;
  /** Ends waiting receives, then the connections. */
  close(): Promise<void>;
}

export interface QueueEndpointOptions {
  databaseUrl: Secret | string;
  /** 0 or absent takes a free one. Always on loopback. */
  port?: number;
  findSecret: FindSecret;
  clock?: Clock;
  log?: Log;
}

/** The queue service's HTTP protocol (version 2015-06-06) on PostgreSQL tables of their own. Topics are not served. */
export async function startQueueEndpoint(options: QueueEndpointOptions): Promise<QueueEndpoint> {
  const { databaseUrl, findSecret, clock = systemClock, log } = options;
  const store = await openQueueStore(typeof databaseUrl === 'string' ? databaseUrl : databaseUrl.reveal(), clock);
  const closing = new AbortController();
  let url = '';

  const server = createServer((request, response) => {
    const requestId = randomUUID().replaceAll('-', '').toUpperCase().slice(0, 24);
    answer(request, response)
      .catch((error: unknown): MnsAnswer => {
        const known = error instanceof MnsError ? error : new MnsError('InternalError', 'The queue endpoint failed.');
        if (known !== error && !closing.signal.aborted) log?.error('queue request failed', { requestId, error });
        return { status: known.status, body: errorXml(known, requestId, url) };
      })
      .then((result) => write(response, result, requestId));
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<MnsAnswer> {
    const target = request.url ?? '/';
    const method = request.method ?? 'GET';
    const body = await readBody(request);
    await verifyMns({ method, target, headers: request.headers }, findSecret, clock.now());
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const { action, queueName, query } = route(method, target);
    return action({
      queueName,
      query,
      headers: request.headers,
      body,
      store,
      url,
      signal: AbortSignal.any([gone.signal, closing.signal]),
    });
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  url = `http://127.0.0.1:${port}`;
  // Longer than clients keep unused connections, so that none is cut under a request.
  server.keepAliveTimeout = 75_000;

  return {
    url,
    port,
    store,
    async close() {
      closing.abort();
      server.closeIdleConnections();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        setTimeout(() => server.closeAllConnections(), 1_000).unref();
      });
      await store.close();
    },
  };
}

/** What follows the queue's name, per method. */
const QUEUE_ACTIONS: Record<string, Action> = { PUT: createQueue, GET: getQueueAttributes, DELETE: deleteQueue };
const MESSAGE_ACTIONS: Record<string, Action> = {
  POST: sendMessage,
  GET: receiveMessage,
  DELETE: deleteMessage,
  PUT: changeMessageVisibility,
};

function route(method: string, target: string): { action: Action; queueName: string; query: URLSearchParams } {
  const [path = '/', ...rest] = target.split('?');
  const query = new URLSearchParams(rest.join('?'));
  const [, first, queueName = '', messages, ...more] = path.split('/');
  const unknown = () => new MnsError('InvalidRequestURL', `${method} ${path} is not served here.`);
  if (first !== 'queues' || more.length > 0) throw unknown();
  if (queueName === '') {
    if (method !== 'GET' || messages !== undefined) throw unknown();
    return { action: listQueues, queueName, query };
  }
  if (messages === undefined || messages === '') {
    const action = method === 'PUT' && query.get('metaoverride') === 'true' ? setQueueAttributes : QUEUE_ACTIONS[method];
    if (!action) throw unknown();
    return { action, queueName, query };
  }
  const action = messages === 'messages' ? MESSAGE_ACTIONS[method] : undefined;
  if (!action) throw unknown();
  return { action, queueName, query };
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > REQUEST_BYTES) throw new MnsError('InvalidArgument', `A request has at most ${REQUEST_BYTES} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The Node.js client fails itself when one of the four elements is missing. */
function errorXml(error: MnsError, requestId: string, url: string): string {
  return writeXml('Error', { Code: error.code, Message: error.message, RequestId: requestId, HostId: url });
}

function write(response: ServerResponse, answer: MnsAnswer, requestId: string): void {
  if (response.destroyed) return;
  response.writeHead(answer.status, {
    'x-mns-request-id': requestId,
    'x-mns-version': '2015-06-06',
    ...(answer.body !== undefined && { 'content-type': 'text/xml;charset=utf-8' }),
    ...answer.headers,
  });
  response.end(answer.body);
}
