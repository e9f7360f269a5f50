import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { runProgram } from '../../cli/program.ts';
import { run } from '../../functions/console-api/handler.ts';
import { createLog } from '../../shared/log.ts';
import type { Harness } from '../functions/console-api/harness.ts';

export interface Ran {
  code: number;
  out: string;
  err: string;
}

/** Runs the command line in this process with its output caught; the environment holds what is given and nothing of ours. */
export async function datamap(args: string[], env: Record<string, string> = {}): Promise<Ran> {
  const ran: Ran = { code: 0, out: '', err: '' };
  const { write: writeOut } = process.stdout;
  const { write: writeErr } = process.stderr;
  const before = { ...process.env };
  process.stdout.write = ((text: string) => {
    ran.out += text;
    return true;
  }) as typeof process.stdout.write;
  process.stderr.write = ((text: string) => {
    ran.err += text;
    return true;
  }) as typeof process.stderr.write;
  for (const name of ['DATAMAP_URL', 'DATAMAP_TOKEN', 'DATAMAP_DATA', 'DATABASE_URL']) delete process.env[name];
  Object.assign(process.env, env);
  try {
    ran.code = await runProgram(args);
  } finally {
    process.stdout.write = writeOut;
    process.stderr.write = writeErr;
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
    Object.assign(process.env, before);
    process.exitCode = 0;
  }
  return ran;
}

/** The API on a port of 127.0.0.1, as an HTTP trigger would serve it. */
export async function serve(api: Harness): Promise<{ url: string; close(): Promise<void> }> {
  const answer = async (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const request = new Request(`http://${incoming.headers.host}${incoming.url}`, {
      method: incoming.method!,
      headers: incoming.headers as Record<string, string>,
      ...(body.length > 0 && { body }),
    });
    const response = await run(request, api.deps, {
      requestId: 'r',
      log: createLog({ write: () => {} }),
      remainingMs: () => 60_000,
    });
    outgoing.writeHead(response.status, Object.fromEntries(response.headers));
    outgoing.end(Buffer.from(await response.arrayBuffer()));
  };
  const server = createServer((incoming, outgoing) => {
    answer(incoming, outgoing).catch((error: Error) => outgoing.writeHead(500).end(error.stack));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((done) => {
        server.closeAllConnections();
        server.close(() => done());
      }),
  };
}
