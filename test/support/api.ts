import { expect } from 'vitest';
import type { Platform } from './platform.ts';

/** A JSON answer of the API as tests look at it. */
// biome-ignore lint/suspicious/noExplicitAny: answers are data under test, their shapes are what is asserted
export type Answer = any;

export interface Api {
  get(path: string): Promise<Answer>;
  post(path: string, body?: unknown): Promise<Answer>;
  /** Status and body, whatever they are. */
  send(method: string, path: string, body?: unknown): Promise<{ status: number; body: Answer }>;
  /** All items of a cursor-paged list. */
  all(path: string): Promise<Answer[]>;
}

/** The API of one workspace, as its first administrator. */
export function apiOf(platform: Platform, workspace = 'default'): Api {
  async function send(method: string, path: string, body?: unknown): Promise<{ status: number; body: Answer }> {
    const response = await fetch(`${platform.api}/workspaces/${workspace}/${path}`, {
      method,
      headers: { authorization: `Bearer ${platform.credentials.apiToken}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(60_000),
    });
    const text = await response.text();
    if (response.status === 429 && text.includes('"rate-limited"')) {
      // As any client should; tests ask faster than people.
      await new Promise((later) => setTimeout(later, Number(response.headers.get('retry-after')) * 1_000));
      return send(method, path, body);
    }
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
  }
  async function good(method: string, path: string, body?: unknown): Promise<Answer> {
    const answer = await send(method, path, body);
    if (answer.status >= 300) throw new Error(`${method} ${path}: HTTP ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }
  return {
    send,
    get: (path) => good('GET', path),
    post: (path, body) => good('POST', path, body),
    async all(path) {
      const items: Answer[] = [];
      let cursor: string | null = null;
      do {
        const next: string = cursor === null ? '' : `${path.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(cursor)}`;
        const page = await good('GET', `${path}${next}`);
        items.push(...page.items);
        cursor = page.nextCursor;
      } while (cursor !== null);
      return items;
    },
  };
}

/** Both environments at `warehouse`, by the role that the local platform lets be assumed. */
export function dataSource(platform: Platform, name: string, warehouse: string, change: object = {}): object {
  const environment = {
    accessMode: 'ramRole',
    roleArn: platform.credentials.roleArn,
    region: 'cn-hangzhou',
    endpoint: platform.oss,
    warehouse,
    ...change,
  };
  return { name, catalog: 'paimon', environments: { development: environment, production: environment } };
}

const ENDED = new Set(['done', 'failed', 'cancelled', 'needs-approval']);

/** The newest run of the source's environment that is not `before`, when it has ended. */
export async function endedRun(
  api: Api,
  source: string,
  options: { environment?: string; notBefore?: readonly string[]; timeoutMs?: number } = {},
): Promise<Answer> {
  const { environment = 'production', notBefore = [], timeoutMs = 150_000 } = options;
  let seen: Answer;
  await expect
    .poll(
      async () => {
        const runs = await api.all('collection-runs');
        seen = runs.find((run) => run.dataSource === source && run.environment === environment && !notBefore.includes(run.id));
        return seen && ENDED.has(seen.phase) ? 'ended' : `${seen?.phase ?? 'no run'}`;
      },
      { timeout: timeoutMs, interval: 200, message: `run of ${source} ${environment}` },
    )
    .toBe('ended');
  return seen;
}
