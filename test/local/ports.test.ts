import { createServer, type Server } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { CannotStart } from '../../local/cannot-start.ts';
import { choosePorts, freePort, LISTENERS } from '../../local/ports.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});
async function occupied(): Promise<number> {
  const server = createServer();
  servers.push(server);
  return new Promise((ready) => {
    server.listen(0, '127.0.0.1', () => ready((server.address() as { port: number }).port));
  });
}

it('gives each part a port of its own, and the same ones to a restart', async () => {
  const first = await choosePorts(0, {});
  expect(new Set(Object.values(first)).size).toBe(LISTENERS.length);
  expect(await choosePorts(0, first)).toEqual(first);
  expect(await choosePorts(undefined, first)).toEqual(first);
});

it('starts the row at the port that was asked for, stepping over taken ones', async () => {
  const taken = await occupied();
  const asked = (await freePort(taken - 1)) ?? 0;
  const ports = await choosePorts(asked, {});
  if (asked) expect(ports.console).toBe(asked);
  expect(Object.values(ports)).not.toContain(taken);
});

it('refuses a taken port that was asked for', async () => {
  const taken = await occupied();
  await expect(choosePorts(taken, {})).rejects.toThrow(CannotStart);
  await expect(choosePorts(taken, {})).rejects.toThrow(`port ${taken} is taken`);
});

it('refuses to move the object store, which saved data sources name; moves the others', async () => {
  const taken = await occupied();
  await expect(choosePorts(0, { oss: taken })).rejects.toThrow(/saved data sources/);
  expect((await choosePorts(0, { mns: taken })).mns).not.toBe(taken);
});
