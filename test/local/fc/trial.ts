import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readDeployment } from '../../../local/fc/deployment.ts';
import { type FunctionEndpoint, startFunctionEndpoint } from '../../../local/fc/function-endpoint.ts';
import { openQueueStore, type QueueStore } from '../../../local/mns/queue-store.ts';
import { createLog } from '../../../shared/log.ts';
import { type ManualClock, manualClock } from '../../support/clock.ts';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';

const root = fileURLToPath(new URL('./project', import.meta.url));
export const ACCOUNT = '1234567890';

export interface Trial {
  endpoint: FunctionEndpoint;
  store: QueueStore;
  clock: ManualClock;
  db: TestDatabase;
  /** What the probe received from triggers, oldest first. */
  seen(): { request: unknown; requestId: string; retryCount: number; pid: number }[];
  lines: string[];
  logged: { level: string; message: string }[];
  close(): Promise<void>;
}

/** The endpoint over small functions of the test's own, on a clock that stands still. */
export async function startTrial(
  options: { triggers?: boolean; db?: TestDatabase; maxInstances?: number; idleMs?: number } = {},
): Promise<Trial> {
  const db = options.db ?? (await testDatabase());
  const clock = manualClock();
  const store = await openQueueStore(db.url.reveal(), clock);
  const folder = mkdtempSync(join(tmpdir(), 'datamap-fc-'));
  const file = join(folder, 'seen');
  const lines: string[] = [];
  const logged: Trial['logged'] = [];
  const endpoint = await startFunctionEndpoint({
    deployment: readDeployment(join(root, 's.yaml'), { env: {}, accountId: ACCOUNT }),
    root,
    store,
    accountId: ACCOUNT,
    environment: { PROBE_FILE: file },
    findSecret: async (id, token) => (id === 'AK' && !token ? 'SK' : id === 'STS.AK' && token === 'TOKEN' ? 'STS-SK' : undefined),
    keysOf: async (role) => ({
      accessKeyId: `STS.${role.split('/')[1]}`,
      accessKeySecret: 'role-secret',
      securityToken: 'role-token',
    }),
    objectEventQueue: 'trial-work',
    maxInstances: options.maxInstances ?? 2,
    idleMs: options.idleMs ?? 60_000,
    clock,
    log: createLog({ write: (line) => logged.push(JSON.parse(line)) }),
    onFunctionLine: (_, line) => lines.push(line),
  });
  if (options.triggers) await endpoint.startTriggers();
  return {
    endpoint,
    store,
    clock,
    db,
    lines,
    logged,
    seen() {
      try {
        return readFileSync(file, 'utf8')
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => JSON.parse(line));
      } catch {
        return [];
      }
    },
    async close() {
      await endpoint.stop(0);
      await store.close();
      if (!options.db) await db.close();
      rmSync(folder, { recursive: true });
    },
  };
}
