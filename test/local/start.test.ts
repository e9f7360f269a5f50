import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { apiOf } from '../support/api.ts';
import { dataFolder, type Platform, removeFolder, startPlatform } from '../support/platform.ts';
import { testDatabase } from '../support/postgres.ts';

const folders: string[] = [];
function folder(): string {
  const made = dataFolder();
  folders.push(made);
  return made;
}
afterAll(() => folders.forEach(removeFolder));

/** Runs `datamap start` to its end: for starts that must fail. */
function tryStart(...args: string[]) {
  const env: NodeJS.ProcessEnv = { ...process.env };
  delete env.DATABASE_URL;
  return spawnSync(process.execPath, ['bin/datamap.mjs', 'start', ...args], { encoding: 'utf8', timeout: 60_000, env });
}

/** Living processes that belong to a platform: its children, and theirs. */
function descendants(pid: number): number[] {
  const rows = spawnSync('ps', ['-e', '-o', 'pid=,ppid='], { encoding: 'utf8' })
    .stdout.trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number) as [number, number]);
  const found = [pid];
  for (let i = 0; i < found.length; i++) found.push(...rows.filter(([, parent]) => parent === found[i]).map(([child]) => child));
  return found.slice(1);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

describe('a running platform', () => {
  const data = folder();
  let platform: Platform;
  beforeAll(async () => {
    platform = await startPlatform({ data, args: ['--no-sample'] });
  });
  afterAll(async () => {
    if (isRunning(platform.process.pid!)) await platform.kill();
  });

  it('says where everything is, in one line, as the last of the start-up', () => {
    const lines = platform.output().trim().split('\n');
    expect(JSON.parse(lines.at(-1)!)).toEqual({
      event: 'ready',
      console: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      api: `${platform.console}/api/v1`,
      oss: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      mns: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      fc: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      data,
    });
    expect(lines.slice(0, -1).map((line) => JSON.parse(line).part)).toEqual([
      'PostgreSQL',
      'STS',
      'SMQ (MNS)',
      'OSS',
      'Function Compute',
      'Console and API',
    ]);
  });

  it('keeps keys and token where only the owner reads them, and prints none', () => {
    expect(statSync(join(data, 'credentials.json')).mode & 0o777).toBe(0o600);
    const { apiToken, accessKeyId, accessKeySecret, roleArn } = platform.credentials;
    expect(apiToken).toMatch(/^dm_[\w-]{43}$/);
    expect(roleArn).toMatch(/^acs:ram::\d{16}:role\/[\w-]+$/);
    expect(accessKeyId.length).toBeGreaterThan(10);
    for (const secret of [apiToken, accessKeySecret]) expect(platform.output()).not.toContain(secret);
  });

  it('makes the two workspaces', async () => {
    for (const [workspace, kind] of [
      ['default', 'standard'],
      ['sandbox', 'basic'],
    ] as const) {
      const response = await fetch(`${platform.api}/workspaces`, {
        headers: { authorization: `Bearer ${platform.credentials.apiToken}` },
      });
      expect(((await response.json()) as { items: object[] }).items).toContainEqual(
        expect.objectContaining({ name: workspace, kind }),
      );
    }
  });

  it('listens on loopback only, on every port', () => {
    const listening = spawnSync('sh', ['-c', 'cat /proc/net/tcp /proc/net/tcp6'], { encoding: 'utf8' })
      .stdout.split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[3] === '0A')
      .map((fields) => fields[1]!.split(':') as [string, string]);
    const ports = [platform.console, platform.oss, platform.mns, platform.fc].map((url) => Number(new URL(url).port));
    ports.push(JSON.parse(readFileSync(join(data, 'postgres', 'server.json'), 'utf8')).port);
    for (const port of ports) {
      const addresses = listening.filter(([, hex]) => Number.parseInt(hex, 16) === port).map(([address]) => address);
      expect(addresses, `port ${port}`).toEqual(['0100007F']);
    }
  });

  it('refuses a second start on the same folder and says who has it', () => {
    const second = tryStart('--port', '0', '--data', data);
    expect(second.status).toBe(3);
    expect(second.stderr).toContain(`process ${platform.process.pid}`);
    expect(second.stderr).toContain('--data');
  });

  it('is found again after SIGKILL by a start on the same folder, with nothing left behind', async () => {
    const children = descendants(platform.process.pid!);
    expect(children.length).toBeGreaterThan(0);
    await platform.kill();
    const again = await startPlatform({ data, args: ['--no-sample'] });
    try {
      expect({ oss: again.oss, api: again.api, mns: again.mns }).toEqual({
        oss: platform.oss,
        api: platform.api,
        mns: platform.mns,
      });
      expect(again.credentials).toEqual(platform.credentials);
      expect(await apiOf(again).get('data-sources')).toMatchObject({ items: [] });
      // Functions watch their parent; PostgreSQL was taken over or ended.
      const kept = new Set(descendants(again.process.pid!));
      await expect.poll(() => children.filter((pid) => isRunning(pid) && !kept.has(pid)), { timeout: 15_000 }).toEqual([]);
    } finally {
      platform = again;
    }
  });

  it('ends on SIGTERM within 10 s with exit code 0 and no process left', async () => {
    const children = descendants(platform.process.pid!);
    const { code, signal, ms } = await platform.stop();
    expect({ code, signal }).toEqual({ code: 0, signal: null });
    expect(ms).toBeLessThan(10_000);
    await expect.poll(() => children.filter(isRunning), { timeout: 5_000 }).toEqual([]);
    expect(existsSync(join(data, 'lock'))).toBe(false);
  });
});

describe('a start that cannot be', () => {
  it('names a taken port that was asked for, and leaves nothing running', async () => {
    const taken = createServer();
    await new Promise<void>((ready) => taken.listen(0, '127.0.0.1', ready));
    const { port } = taken.address() as { port: number };
    const data = folder();
    const refused = tryStart('--port', String(port), '--data', data);
    taken.close();
    expect(refused).toMatchObject({ status: 3, stderr: expect.stringContaining(`port ${port} is taken`) });
    expect(existsSync(join(data, 'lock'))).toBe(false);
  });

  it.each([
    [['--bucket', 'nonsense'], 2, /NAME=DIR/],
    [['--bucket', 'lake=/no/such/folder'], 2, /no directory \/no\/such\/folder/],
    [['--port', 'seventy'], 2, /65531/],
    [['--database-url', 'mysql://localhost/x'], 2, /postgres:\/\//],
    [['--database-url', 'postgres://nobody:pw@127.0.0.1:1/x'], 3, /database cannot be used.*ECONNREFUSED/],
    [['--no-such-option'], 2, /unknown option/],
  ])('says what is wrong with %j', (args, status, message) => {
    const refused = tryStart('--port', '0', '--data', folder(), ...args);
    expect(refused.stderr).toMatch(message);
    expect(refused.stderr).not.toContain('    at ');
    expect(refused.stderr).not.toContain('pw@');
    expect(refused.status).toBe(status);
  });

  it('stops cleanly when asked to while it starts', async () => {
    const data = folder();
    const child = spawn(process.execPath, ['bin/datamap.mjs', 'start', '--json', '--port', '0', '--data', data, '--no-sample'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((first) => child.stdout.once('data', first));
    const ended = new Promise<number | null>((done) => child.once('exit', done));
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
    expect(existsSync(join(data, 'lock'))).toBe(false);
  });
});

it('runs with its data below a folder that nobody else may enter', async () => {
  const closed = mkdtempSync(join(tmpdir(), 'datamap-closed-'));
  folders.push(closed);
  const platform = await startPlatform({ data: join(closed, 'deep', 'data'), args: ['--no-sample'] });
  try {
    expect(await apiOf(platform, 'sandbox').get('data-sources')).toMatchObject({ items: [] });
  } finally {
    await platform.stop();
    const moved = join(closed, 'deep', 'data', 'postgres', 'MOVED');
    if (existsSync(moved)) rmSync(/lies in (\S+):/.exec(readFileSync(moved, 'utf8'))![1]!, { recursive: true, force: true });
  }
});

it('runs on a database that is given, twice over', async () => {
  const given = await testDatabase();
  const data = folder();
  try {
    for (let round = 0; round < 2; round++) {
      const platform = await startPlatform({ data, args: ['--no-sample', '--database-url', given.url.reveal()] });
      expect(await apiOf(platform).get('data-sources')).toMatchObject({ items: [] });
      expect(platform.output()).not.toContain(new URL(given.url.reveal()).password);
      expect((await platform.stop()).code).toBe(0);
    }
    expect(existsSync(join(data, 'postgres'))).toBe(false);
    expect((await given.query<{ n: number }>('select count(*)::int as n from api_token'))[0]!.n).toBe(1);
  } finally {
    await given.close();
  }
});
