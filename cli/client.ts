import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';
import { EXIT, Failure, wrongUse } from './failure.ts';

/** Options that every command with a server takes. */
export interface ClientOptions {
  workspace: string;
  data?: string;
  json?: boolean;
}

const DEFAULT_DATA_FOLDER = '.data';
const REQUEST_TIMEOUT_MS = 60_000;
/** A server that says 'not so fast' is asked again after the pause that it names, so often. */
const MAX_PAUSES = 20;
const MAX_PAUSE_SECONDS = 5;

export function withClientOptions(command: Command): Command {
  return command
    .option('--workspace <name>', 'workspace', 'default')
    .option('--data <dir>', 'folder of a local platform; else DATAMAP_URL and DATAMAP_TOKEN, else ./.data')
    .option('--json', 'JSON instead of text: one document, or one object a line for lists');
}

/** Without `fallback` the option may be left out, and the command decides. */
export function withEnvironment(command: Command, fallback: string | null = 'production'): Command {
  const says = 'development or production';
  return fallback === null ? command.option('--env <name>', says) : command.option('--env <name>', says, fallback);
}

export interface Server {
  url: string;
  token: string;
}

const State = z.looseObject({ ports: z.record(z.string(), z.int()) });
const Credentials = z.looseObject({ apiToken: z.string() });

/** Where the API is and who we are there: `--data`, else the environment, else a `.data` folder here. Throws Failure. */
export function findServer(options: { data?: string }, env: NodeJS.ProcessEnv = process.env): Server {
  if (options.data === undefined && env.DATAMAP_URL) {
    if (!URL.canParse(env.DATAMAP_URL)) throw wrongUse(`DATAMAP_URL is not a URL: ${env.DATAMAP_URL}`);
    if (!env.DATAMAP_TOKEN) throw wrongUse('DATAMAP_URL is set, but DATAMAP_TOKEN is not: set it to a token of that server');
    return { url: env.DATAMAP_URL.replace(/\/+$/, '').replace(/\/api\/v1$/, ''), token: env.DATAMAP_TOKEN };
  }
  const folder = folderOf(options.data, env);
  if (options.data === undefined && !existsSync(folder))
    throw new Failure(EXIT.unreachable, 'no server is known', [
      'Start a local platform here with `datamap start`, name its folder with --data,',
      'or set DATAMAP_URL and DATAMAP_TOKEN.',
    ]);
  const port = readFile(join(folder, 'state.json'), State).ports.console;
  if (port === undefined) throw notStarted(folder);
  const { apiToken } = readFile(join(folder, 'credentials.json'), Credentials);
  return { url: `http://127.0.0.1:${port}`, token: apiToken };
}

/** Ports of the local platform that has started in this folder, by part. */
export function portsOf(data: string | undefined): Record<string, number> {
  return readFile(join(folderOf(data), 'state.json'), State).ports;
}

/** The folder of the local platform that is meant: the one given, else the one that `datamap start` takes by default. */
export function folderOf(data: string | undefined, env: NodeJS.ProcessEnv = process.env): string {
  return resolve(data ?? env.DATAMAP_DATA ?? DEFAULT_DATA_FOLDER);
}

function readFile<T>(file: string, schema: z.ZodType<T>): T {
  if (!existsSync(file)) throw notStarted(resolve(file, '..'));
  try {
    return schema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (cause) {
    throw new Failure(EXIT.unreachable, `${file} cannot be read`, [], {}, { cause });
  }
}

function notStarted(folder: string): Failure {
  return new Failure(EXIT.unreachable, `no platform has started in ${folder} yet`, [
    `Start one with: datamap start --data ${folder}`,
  ]);
}

interface ProblemDocument {
  status: number;
  code?: string;
  detail?: string;
  errors?: { path: string; message: string; remedy?: string }[];
}

/** The API of one workspace. Answers are trusted to be as the API describes them; problems become Failures. */
export class Client {
  constructor(
    readonly server: Server,
    readonly workspace: string,
  ) {}

  static of(options: ClientOptions): Client {
    return new Client(findServer(options), options.workspace);
  }

  get<T>(path: string, query: Record<string, string | number | undefined> = {}): Promise<T> {
    return this.request<T>('GET', path, { query });
  }

  async request<T>(
    method: string,
    path: string,
    options: { query?: Record<string, string | number | undefined>; body?: unknown; global?: boolean } = {},
  ): Promise<T> {
    const base = options.global ? '/api/v1' : `/api/v1/workspaces/${encodeURIComponent(this.workspace)}`;
    const url = new URL(`${this.server.url}${base}${path}`);
    for (const [name, value] of Object.entries(options.query ?? {}))
      if (value !== undefined) url.searchParams.set(name, String(value));
    let response: Response;
    let text: string;
    try {
      response = await fetchPatiently(url, {
        method,
        headers: {
          authorization: `Bearer ${this.server.token}`,
          ...(options.body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(options.body !== undefined && { body: JSON.stringify(options.body) }),
        redirect: 'error',
      });
      text = await response.text();
    } catch (cause) {
      throw new Failure(
        EXIT.unreachable,
        `cannot reach ${this.server.url}: ${reasonOf(cause)}`,
        ['Is it running? `datamap start` starts a local platform.'],
        {},
        { cause },
      );
    }
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    if (!response.ok)
      throw failureOf(response.status, isJson ? (JSON.parse(text) as ProblemDocument) : undefined, this.server.url);
    if (text === '') return undefined as T;
    if (!isJson) throw new Failure(EXIT.unreachable, `${this.server.url} does not answer as a data map does`);
    return JSON.parse(text) as T;
  }

  /** Every item of a list, page by page. */
  async *list<T>(path: string, query: Record<string, string | number | undefined> = {}): AsyncGenerator<T> {
    let cursor: string | undefined;
    do {
      const page = await this.get<{ items: T[]; nextCursor: string | null }>(path, { limit: 500, ...query, cursor });
      yield* page.items;
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
  }
}

async function fetchPatiently(url: URL, init: Omit<RequestInit, 'signal'>): Promise<Response> {
  for (let pauses = 0; ; pauses++) {
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
    const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
    if (response.status !== 429 || !(seconds <= MAX_PAUSE_SECONDS) || pauses === MAX_PAUSES) return response;
    await response.body?.cancel();
    await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  }
}

function failureOf(status: number, problem: ProblemDocument | undefined, url: string): Failure {
  const details = (problem?.errors ?? []).map(
    (error) => `${error.path === '' ? '' : `${error.path}: `}${error.message}${error.remedy ? ` — ${error.remedy}` : ''}`,
  );
  const message = details.length > 0 ? 'the server refused the request' : (problem?.detail ?? `${url} answered HTTP ${status}`);
  const exit = status >= 500 ? EXIT.unreachable : status === 409 || status === 422 ? EXIT.problem : EXIT.usage;
  return new Failure(exit, message, details, problem ? { problem } : {});
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return 'no answer in time';
  const { cause } = error;
  return cause instanceof Error ? ((cause as { code?: string }).code ?? cause.message) : error.message;
}
