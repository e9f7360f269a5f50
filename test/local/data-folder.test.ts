import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { CannotStart } from '../../local/cannot-start.ts';
import { openDataFolder } from '../../local/data-folder.ts';

let parent: string;
let dir: string;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'datamap-folder-'));
  dir = join(parent, 'data');
});
afterEach(() => rmSync(parent, { recursive: true, force: true }));

it('belongs to one start at a time, and says which', () => {
  const folder = openDataFolder(dir);
  expect(() => openDataFolder(dir)).toThrow(new RegExp(`process ${process.pid}\\) is running on`));
  expect(() => openDataFolder(dir)).toThrow(CannotStart);
  folder.unlock();
  openDataFolder(dir).unlock();
  expect(readdirSync(dir)).toEqual([]);
});

it('is taken over when its owner was killed', async () => {
  const gone = spawn('sleep', ['60'], { stdio: 'ignore' });
  const folder = openDataFolder(dir);
  folder.unlock();
  const ended = new Promise((done) => gone.once('exit', done));
  writeFileSync(join(dir, 'lock'), JSON.stringify({ pid: gone.pid, startedAt: 'some other time' }));
  // Alive, but not the process that wrote the lock: its number was given again.
  openDataFolder(dir).unlock();
  gone.kill('SIGKILL');
  await ended;
  writeFileSync(join(dir, 'lock'), JSON.stringify({ pid: gone.pid, startedAt: 'running' }));
  openDataFolder(dir).unlock();
});

it('is taken over when the lock is half-written', () => {
  openDataFolder(dir).unlock();
  writeFileSync(join(dir, 'lock'), '{"pid": 1');
  openDataFolder(dir).unlock();
});

it('keeps credentials and key where only the owner reads them', () => {
  const folder = openDataFolder(dir);
  const credentials = { apiToken: 'dm_x', accessKeyId: 'LTAIx', accessKeySecret: 'y', roleArn: 'acs:ram::1:role/r' };
  folder.writeCredentials(credentials);
  const key = folder.encryptionKey();
  expect(Buffer.from(key, 'base64')).toHaveLength(32);
  expect(folder.encryptionKey()).toBe(key);
  expect(folder.readCredentials()).toEqual(credentials);
  for (const file of ['credentials.json', 'encryption.key']) expect(statSync(join(dir, file)).mode & 0o777, file).toBe(0o600);
  folder.unlock();
});

it('says which file is damaged', () => {
  const folder = openDataFolder(dir);
  writeFileSync(join(dir, 'state.json'), '{"ports": 7');
  expect(() => folder.readState()).toThrow(/state\.json is damaged/);
  expect(readFileSync(join(dir, 'state.json'), 'utf8')).toBe('{"ports": 7');
  folder.unlock();
});

it('names the folder that cannot be made', () => {
  writeFileSync(join(parent, 'file'), '');
  expect(() => openDataFolder(join(parent, 'file', 'data'))).toThrow(/file\/data cannot be made.*--data/);
});
