import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import pg from 'pg';
import { afterAll, expect, it } from 'vitest';
import { startPostgres } from '../../local/embedded-postgres.ts';
import type { Secret } from '../../shared/credentials/secret.ts';

const folders: string[] = [];
async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'datamap-pg-'));
  folders.push(made);
  return join(made, 'postgres');
}
afterAll(async () => {
  for (const made of folders) await rm(made, { recursive: true, force: true });
});

async function ask<T>(url: Secret, sql: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: url.reveal() });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

it('keeps what was written, the port and the password over a restart', async () => {
  const dir = await folder();
  const first = await startPostgres({ dir, durable: false });
  await ask(first.url, "create table kept as select '订单' as word");
  await first.stop();
  const second = await startPostgres({ dir, durable: false });
  try {
    expect(second.reused).toBe(false);
    expect(second.url.reveal()).toBe(first.url.reveal());
    expect(await ask(second.url, 'select word, length(word) as chars from kept')).toEqual([{ word: '订单', chars: 2 }]);
  } finally {
    await second.stop();
  }
});

it('is UTF-8, listens on loopback only and makes no socket file, whatever LANG says', async () => {
  const server = await startPostgres({ dir: await folder(), durable: false });
  try {
    const [row] = await ask<Record<string, string>>(
      server.url,
      "select current_setting('server_encoding') as encoding, current_setting('listen_addresses') as addresses, current_setting('unix_socket_directories') as sockets, current_setting('data_checksums') as checksums",
    );
    expect(row).toEqual({ encoding: 'UTF8', addresses: '127.0.0.1', sockets: '', checksums: 'on' });
  } finally {
    await server.stop();
  }
});

it('keeps its password where only the owner reads it', async () => {
  const dir = await folder();
  const server = await startPostgres({ dir, durable: false });
  await server.stop();
  expect((await stat(join(dir, 'server.json'))).mode & 0o777).toBe(0o600);
});

it('goes on with the server that a killed process left behind', async () => {
  const dir = await folder();
  const first = await startPostgres({ dir, durable: false });
  // Second starter while the first one's server runs: what a start finds after its predecessor was killed.
  const second = await startPostgres({ dir, durable: false });
  expect(second.reused).toBe(true);
  expect(second.port).toBe(first.port);
  await second.stop();
  await expect(ask(first.url, 'select 1')).rejects.toThrow();
});

it('does not outlive a starter that is killed', async () => {
  const dir = await folder();
  // As the command line is built; below node_modules, so that the packages left out of the bundle are found.
  const starter = 'node_modules/.cache/datamap-test/starter.mjs';
  await build({
    stdin: {
      contents: `import { startPostgres } from './local/embedded-postgres.ts';
        const server = await startPostgres({ dir: process.argv[2], durable: false });
        console.log(server.port);
        setInterval(() => {}, 1000);`,
      resolveDir: '.',
    },
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    outfile: starter,
  });
  const child = spawn(process.execPath, [starter, dir], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise<void>((ready, failed) => {
    child.stdout.once('data', () => ready());
    child.once('exit', (status) => failed(new Error(`starter ended with ${status}`)));
  });
  const pidFile = join(dir, process.getuid?.() === 0 ? 'server' : '', 'cluster', 'postmaster.pid');
  const pid = Number((await readFile(pidFile, 'utf8')).split('\n')[0]);
  child.kill('SIGKILL');
  await expect.poll(() => isRunning(pid), { timeout: 15_000, interval: 50 }).toBe(false);
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
