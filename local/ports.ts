import { createServer } from 'node:net';
import { CannotStart } from './cannot-start.ts';

/** The parts that listen, in the order of their ports. The console's is the one that `--port` names. */
export const LISTENERS = ['console', 'fc', 'oss', 'mns', 'sts'] as const;
export type Listener = (typeof LISTENERS)[number];
export type Ports = Record<Listener, number>;

const FIRST_PORT = 7070;

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

/**
 * A port for each part. `asked` (0: any free one) is the console's, the others follow it. Ports of an earlier start (`kept`)
 * are used again: saved data sources hold the object store's address, so that one must be had; the others may move.
 * Throws CannotStart when a port that was asked for, or that data sources rely on, is taken.
 */
export async function choosePorts(asked: number | undefined, kept: Readonly<Record<string, number>>): Promise<Ports> {
  const ports: Partial<Ports> = {};
  const used = new Set<number>();
  const first = asked || FIRST_PORT;
  for (const [i, part] of LISTENERS.entries()) {
    const mustHave = part === 'console' && asked ? asked : part === 'oss' ? kept.oss : undefined;
    const candidates = mustHave ? [mustHave] : [kept[part], ...(asked === 0 ? [] : [first + i])];
    let port: number | undefined;
    for (const candidate of candidates) {
      if (candidate && !used.has(candidate)) port = await freePort(candidate);
      if (port) break;
    }
    if (!port && mustHave)
      throw new CannotStart(
        part === 'console'
          ? `port ${mustHave} is taken by another program: free it, or give another with --port (--port 0 picks one)`
          : `port ${mustHave} is taken by another program, and the saved data sources of this folder name it as their endpoint: free it, or start with another --data folder`,
      );
    while (!port || used.has(port)) port = await freePort();
    ports[part] = port;
    used.add(port);
  }
  return ports as Ports;
}
