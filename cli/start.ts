import { Command, InvalidArgumentError, Option } from 'commander';
import { CannotStart } from '../local/cannot-start.ts';
import { DEFAULT_DATA_FOLDER } from '../local/data-folder.ts';
import { startPlatform } from '../local/main.ts';
import { parseBuckets } from '../local/served-buckets.ts';
import { Secret } from '../shared/credentials/secret.ts';
import { InvalidInput } from '../shared/errors.ts';

/** A stop that takes longer is cut off: process managers kill after 10 s. */
const STOP_LIMIT_MS = 9_000;

interface StartOptions {
  port?: number;
  data: string;
  bucket: string[];
  minio?: boolean;
  databaseUrl?: string;
  sample: boolean;
  faults?: boolean;
  json?: boolean;
}

/** `datamap start`: the whole local platform, until SIGTERM or Ctrl-C. */
export function startCommand(): Command {
  return new Command('start')
    .description('start the whole platform on this machine: database, object store, queues, functions, API')
    .option('--port <n>', 'port of console and API; the other parts take the next ones. 0: any free ports', readPort)
    .option('--data <dir>', 'where everything is kept', process.env.DATAMAP_DATA ?? DEFAULT_DATA_FOLDER)
    .option(
      '--bucket <name=dir>',
      'serve a directory as an OSS bucket; may be repeated',
      (value, all: string[]) => [...all, value],
      [],
    )
    .option('--minio', 'put MinIO behind the OSS endpoint; directories of --bucket are copied into it')
    .option(
      '--database-url <url>',
      'use this PostgreSQL instead of the embedded one (default: environment variable DATABASE_URL)',
    )
    .option('--no-sample', 'do not serve and save the sample warehouse')
    .addOption(new Option('--faults', 'let tests inject faults and count requests at the endpoints').hideHelp())
    .option('--json', 'one JSON object a line; the last one of the start-up is {"event":"ready",…}')
    .addHelpText(
      'after',
      `
Everything listens on 127.0.0.1 only. Keys and the first administrator's token lie in DIR/credentials.json, logs in DIR/logs.
A second start on the same DIR goes on where the first one stopped.

Examples:
  datamap start
  datamap start --bucket lake=/srv/warehouses
  datamap start --data /var/lib/datamap --database-url postgres://datamap@db.internal/datamap --no-sample`,
    )
    .action(start);
}

async function start(options: StartOptions): Promise<void> {
  const print = options.json
    ? (event: Record<string, unknown>) => process.stdout.write(`${JSON.stringify(event)}\n`)
    : () => true;
  const say = options.json ? () => true : (text: string) => process.stdout.write(`${text}\n`);
  const databaseUrl = options.databaseUrl ?? process.env.DATABASE_URL;
  const startedAt = performance.now();

  // A signal that comes during the start-up is kept until there is something to stop; but not for ever.
  let stopWanted: (() => void) | undefined;
  const stopped = new Promise<void>((resolve) => {
    stopWanted = resolve;
  });
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
    process.once(signal, () => {
      stopWanted?.();
      setTimeout(() => process.exit(0), STOP_LIMIT_MS);
    });

  let platform: Awaited<ReturnType<typeof startPlatform>>;
  try {
    platform = await startPlatform({
      dir: options.data,
      port: options.port,
      buckets: parseBuckets(options.bucket),
      minio: options.minio ?? false,
      databaseUrl: databaseUrl ? readUrl(databaseUrl) : undefined,
      sample: options.sample,
      faults: options.faults ?? false,
      onProgress(message) {
        print({ event: 'progress', message });
        say(`  … ${message}`);
      },
      onPart(part, url, note) {
        print({ event: 'started', part, url, ...(note && { note }) });
        say(`  ${part.padEnd(17)} ${url}${note ? `  (${note})` : ''}`);
      },
    });
  } catch (error) {
    process.stderr.write(`datamap start: ${(error as Error).message}\n`);
    if (!(error instanceof CannotStart || error instanceof InvalidInput)) process.stderr.write(`${(error as Error).stack}\n`);
    process.exit(error instanceof InvalidInput ? 2 : 3);
  }
  for (const warning of platform.warnings) process.stderr.write(`datamap start: ${warning}\n`);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  say(
    `\nReady after ${seconds} s, on this machine only. Open ${platform.console}\nToken and keys: ${platform.data}/credentials.json. Stop with Ctrl-C.`,
  );
  const { console, api, oss, mns, fc, data } = platform;
  print({ event: 'ready', console, api, oss, mns, fc, data });

  await stopped;
  say('\nStopping: what runs is finished or handed back.');
  await platform.stop();
  process.exit(0);
}

function readPort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_531) throw new InvalidArgumentError('a number from 0 to 65531.');
  return port;
}

function readUrl(text: string): Secret {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^postgres(ql)?:$/.test(url.protocol))
    throw InvalidInput.at('--database-url', 'must be postgres://user:password@host:port/database');
  return new Secret(text);
}
