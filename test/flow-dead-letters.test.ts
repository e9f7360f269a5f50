import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { Secret } from '../shared/credentials/secret.ts';
import { QUEUES } from '../shared/messages.ts';
import { type MnsQueue, openMnsQueue } from '../shared/queue/mns.ts';
import { datamap, type Ran } from './cli/command-line.ts';
import { apiOf } from './support/api.ts';
import { dataFolder, type Platform, removeFolder, startPlatform } from './support/platform.ts';

// Functions in processes of their own: slow where the machine is busy.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const data = dataFolder();
let platform: Platform;
let queue: MnsQueue;
beforeAll(async () => {
  platform = await startPlatform({ data, args: ['--no-sample'] });
  const { accessKeyId, accessKeySecret, roleArn } = platform.credentials;
  queue = openMnsQueue({
    endpoint: platform.mns,
    accountId: /^acs:ram::(\d+):/.exec(roleArn)![1]!,
    keys: { accessKeyId, accessKeySecret: new Secret(accessKeySecret) },
  });
});
afterAll(async () => {
  await platform?.stop();
  removeFolder(data);
});

interface Letter {
  id: string;
  queue: string;
  type: string | null;
  reason: string;
  function: string;
}
const run = (...args: string[]): Promise<Ran> => datamap(['dead-letters', ...args, '--data', data]);
async function letters(): Promise<Letter[]> {
  const { code, out, err } = await run('list', '--json');
  expect(code, err).toBe(0);
  return out === ''
    ? []
    : out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
}
async function only(not?: string): Promise<Letter> {
  let found: Letter[] = [];
  await expect
    .poll(
      async () => {
        found = await letters();
        return found.filter(({ id }) => id !== not).length;
      },
      { timeout: 90_000, interval: 300 },
    )
    .toBe(1);
  expect(found).toHaveLength(1);
  return found[0]!;
}
async function figure(name: string): Promise<number> {
  const response = await fetch(new URL('/metrics', platform.api), {
    headers: { authorization: `Bearer ${platform.credentials.apiToken}` },
  });
  const line = (await response.text()).split('\n').find((each) => each.startsWith(`${name} `));
  return Number(line?.slice(name.length));
}

it('a message that no function can read is set aside, listed, sent again, set aside again and discarded', async () => {
  const poison = 'neither JSON nor a message: 毒';
  await queue.sendText(QUEUES.connectivityTest, poison);
  const first = await only();
  expect(first).toMatchObject({ queue: QUEUES.connectivityTest, type: null, function: 'datamap-test-connectivity' });
  expect(first.reason).toBe('InvalidInput: message: is not JSON');
  const shown = JSON.parse((await run('show', first.id, '--json')).out);
  expect(shown).toMatchObject({ id: first.id, body: poison, message: null });
  expect(await figure(`datamap_dead_letters{queue="${QUEUES.connectivityTest}"}`)).toBe(1);

  const redriven = await run('redrive', first.id);
  expect(redriven.code, redriven.err).toBe(0);
  // Refused by the function once more: another letter with the same message.
  const second = await only(first.id);
  expect(second).toMatchObject({ type: null, reason: first.reason });
  expect(JSON.parse((await run('show', second.id, '--json')).out).body).toBe(poison);

  expect((await run('discard', second.id)).code).toBe(2);
  const discarded = await run('discard', second.id, '--yes');
  expect(discarded.code, discarded.err).toBe(0);
  expect(await letters()).toEqual([]);
  expect(await figure(`datamap_dead_letters{queue="${QUEUES.connectivityTest}"}`)).toBe(0);
});

it('leaves the names of those who did so', async () => {
  const { items } = await apiOf(platform).get('audit');
  expect(items.map(({ action, outcome }: Record<string, string>) => [action, outcome])).toEqual([
    ['DELETE /dead-letters/{id}', 'done'],
    ['POST /dead-letters/{id}/redrive', 'done'],
  ]);
  for (const { address } of items) expect(address).toMatch(/^(::ffff:)?127\.0\.0\.1$/);
  expect((await datamap(['audit', 'verify', '--data', data])).out).toContain('is whole: 2 rows');
});
