import { randomBytes } from 'node:crypto';
import type { Deps } from '../../../functions/console-api/app.ts';
import { run } from '../../../functions/console-api/handler.ts';
import { parseKeyRing } from '../../../shared/credentials/envelope.ts';
import { permittedEndpoints } from '../../../shared/data-source-rules/endpoint.ts';
import type { Call } from '../../../shared/fc/context.ts';
import { createLog } from '../../../shared/log.ts';
import type { Message } from '../../../shared/messages.ts';
import { createToken, type Role } from '../../../shared/store/tokens.ts';
import { type TestDatabase, testDatabase, testWorkspace } from '../../support/postgres.ts';

/** The API in this process on a real database: what a request goes through, but for the trigger. */
export interface Harness {
  db: TestDatabase;
  deps: Deps;
  /** Sent after commit, in order. */
  sent: { queueName: string; message: Message }[];
  logs: string[];
  workspaces: Record<'default' | 'other' | 'lab', number>;
  /** Tokens of workspace `default`, of `other`, and of every workspace. */
  tokens: Record<Role | 'stranger' | 'everywhere', string>;
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  close(): Promise<void>;
}

export interface CallOptions {
  /** Name of a token, a token's text, or null for none; default: administrator. */
  as?: keyof Harness['tokens'] | { token: string } | null;
  body?: unknown;
  headers?: Record<string, string>;
  /** The path is whole, not below the workspace `default`. */
  whole?: boolean;
  /** The caller's address, as the platform sees it. */
  from?: string;
}

export interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: answers are data under test
  body: any;
  text: string;
}

export async function startHarness(): Promise<Harness> {
  const db = await testDatabase();
  const workspaces = {
    default: await testWorkspace(db, 'default', 'standard'),
    other: await testWorkspace(db, 'other', 'standard'),
    lab: await testWorkspace(db, 'lab', 'basic'),
  };
  const token = (name: string, workspaceId: number | null, role: Role) =>
    db.database
      .system((tx) => createToken(tx, { name, createdBy: 'test', grants: [{ workspaceId, role }] }))
      .then((made) => made.token.reveal());
  const tokens = {
    viewer: await token('viewer', workspaces.default, 'viewer'),
    operator: await token('operator', workspaces.default, 'operator'),
    administrator: await token('administrator', workspaces.default, 'administrator'),
    stranger: await token('stranger', workspaces.other, 'administrator'),
    everywhere: await token('everywhere', null, 'administrator'),
  };
  const sent: Harness['sent'] = [];
  const logs: string[] = [];
  const keyRing = parseKeyRing(randomBytes(32).toString('base64'));
  const deps: Deps = {
    database: db.database,
    queue: {
      async send(queueName, messages) {
        for (const message of messages) sent.push({ queueName, message });
      },
    },
    accountId: '1234567890123456',
    settings: {
      keyRing: async () => keyRing,
      permitted: permittedEndpoints('http://127.0.0.1:7072'),
      stsEndpoint: 'sts.cn-hangzhou.aliyuncs.com',
      ownRegion: '',
    },
  };
  const call: Call = {
    requestId: 'request-1',
    log: createLog({ level: 'debug', write: (line) => logs.push(line) }),
    remainingMs: () => 60_000,
  };
  return {
    db,
    deps,
    sent,
    logs,
    workspaces,
    tokens,
    async call(method, path, options = {}) {
      const as = options.as === undefined ? 'administrator' : options.as;
      const bearer = as === null ? undefined : typeof as === 'object' ? as.token : tokens[as];
      const isText = typeof options.body === 'string';
      const request = new Request(`http://localhost${options.whole ? '' : '/api/v1/workspaces/default'}${path}`, {
        method,
        headers: {
          ...(bearer && { authorization: `Bearer ${bearer}` }),
          ...(options.body !== undefined && { 'content-type': 'application/json' }),
          ...options.headers,
        },
        ...(options.body !== undefined && { body: isText ? (options.body as string) : JSON.stringify(options.body) }),
      });
      const response = await run(request, deps, { ...call, ...(options.from && { sourceIp: options.from }) });
      const text = await response.text();
      const isJson = /json/.test(response.headers.get('content-type') ?? '');
      return {
        status: response.status,
        headers: response.headers,
        text,
        body: isJson && text !== '' ? JSON.parse(text) : undefined,
      };
    },
    close: () => db.close(),
  };
}

/** A complete data source for a standard workspace; change only what matters. */
export function dataSource(name: string, change: Record<string, unknown> = {}) {
  return {
    name,
    catalog: 'paimon',
    environments: {
      development: environment({ warehouse: `oss://${name.replaceAll('_', '-')}-dev/warehouse` }),
      production: environment({ warehouse: `oss://${name.replaceAll('_', '-')}/warehouse` }),
    },
    ...change,
  };
}

export function environment(change: Record<string, unknown> = {}) {
  return {
    accessMode: 'ramRole',
    roleArn: 'acs:ram::1234567890123456:role/datamap-reader',
    region: 'cn-hangzhou',
    endpoint: 'oss-cn-hangzhou-internal.aliyuncs.com',
    warehouse: 'oss://finance/lake/warehouse',
    ...change,
  };
}

export function withKeys(change: Record<string, unknown> = {}) {
  const { roleArn: _, ...rest } = environment();
  return {
    ...rest,
    accessMode: 'accessKey',
    accessKeyId: 'LTAI5tTestTestTestTest',
    accessKeySecret: 'marker-secret-3f9c',
    ...change,
  };
}
