import { createServer } from 'node:net';

/** `wanted` when it is free on 127.0.0.1, else undefined; without `wanted` any free port. */
export function freePort(): Promise<number>;
export function freePort(wanted: number): Promise<number | undefined>;
export function freePort(wanted = 0): Promise<number | undefined> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(undefined));
    probe.listen(wanted, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}
