import { randomBytes, randomUUID } from 'node:crypto';
import { chmodSync, existsSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { CannotStart } from './cannot-start.ts';

/** Where the platform keeps everything when `--data` is not given: below the folder that it is started in. */
export const DEFAULT_DATA_FOLDER = '.data';

/** What programs need to work with the local platform; lies in `DIR/credentials.json`, mode 0600, and nowhere else. */
export const Credentials = z.looseObject({
  apiToken: z.string(),
  accessKeyId: z.string(),
  accessKeySecret: z.string(),
  /** A role that the local token endpoint lets these keys assume. */
  roleArn: z.string(),
});
export type Credentials = z.infer<typeof Credentials>;

/** What must stay the same over restarts: saved data sources hold the object store's address. */
const State = z.looseObject({
  ports: z.record(z.string(), z.int()).default({}),
  /** The sample is saved once: who removes it does not want it back. */
  sampleSaved: z.boolean().default(false),
  bucketsOfSample: z.array(z.string()).default([]),
});
export type State = z.infer<typeof State>;

export interface DataFolder {
  dir: string;
  readCredentials(): Credentials | undefined;
  writeCredentials(credentials: Credentials): void;
  /** 32 bytes in base64 that seal stored secrets; made at the first start. */
  encryptionKey(): string;
  readState(): State;
  writeState(state: State): void;
  /** Gives the folder free for another start. */
  unlock(): void;
}

/** Opens the folder for this process alone. Throws CannotStart when another start is alive on it or it cannot be written. */
export function openDataFolder(path: string): DataFolder {
  const dir = resolve(path);
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new CannotStart(`the data folder ${dir} cannot be made: ${(cause as Error).message}. Choose another with --data`, {
      cause,
    });
  }
  const unlock = lock(join(dir, 'lock'), dir);
  const credentialsFile = join(dir, 'credentials.json');
  const stateFile = join(dir, 'state.json');
  const keyFile = join(dir, 'encryption.key');
  return {
    dir,
    readCredentials: () => readJson(credentialsFile, Credentials),
    writeCredentials: (credentials) => writeAtomically(credentialsFile, `${JSON.stringify(credentials, null, 2)}\n`),
    encryptionKey() {
      if (!existsSync(keyFile)) writeAtomically(keyFile, `${randomBytes(32).toString('base64')}\n`);
      return readFileSync(keyFile, 'utf8').trim();
    },
    readState: () => readJson(stateFile, State) ?? State.parse({}),
    writeState: (state) => writeAtomically(stateFile, `${JSON.stringify(state, null, 2)}\n`),
    unlock,
  };
}

function readJson<T>(file: string, schema: z.ZodType<T>): T | undefined {
  if (!existsSync(file)) return undefined;
  try {
    return schema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (cause) {
    throw new CannotStart(`${file} is damaged. Move it away and start again; it is then made anew`, { cause });
  }
}

/** Whole or not at all, readable by the owner only. */
function writeAtomically(file: string, text: string): void {
  const unfinished = `${file}.${randomUUID()}`;
  writeFileSync(unfinished, text, { mode: 0o600, flush: true });
  renameSync(unfinished, file);
  chmodSync(file, 0o600);
}

const Holder = z.object({ pid: z.int(), startedAt: z.string() });

/** A file that names the living owner. One that names a dead process, or one whose number was given again, is taken over. */
function lock(file: string, dir: string): () => void {
  const mine = JSON.stringify({ pid: process.pid, startedAt: startOf(process.pid) ?? '' });
  const own = `${file}.${randomUUID()}`;
  try {
    writeFileSync(own, mine, { mode: 0o600 });
  } catch (cause) {
    throw new CannotStart(`the data folder ${dir} cannot be written: ${(cause as Error).message}`, { cause });
  }
  try {
    for (let attempt = 0; attempt < 20; attempt++) {
      try {
        // Fails when the name exists: of many starters one wins.
        linkSync(own, file);
        return () => {
          if (existsSync(file) && readFileSync(file, 'utf8') === mine) rmSync(file);
        };
      } catch (error) {
        if ((error as { code?: string }).code !== 'EEXIST') throw error;
      }
      const found = readLock(file);
      if (found === undefined) continue;
      const holder = Holder.safeParse(safeJson(found));
      if (holder.success && startOf(holder.data.pid) === holder.data.startedAt)
        throw new CannotStart(
          `another start (process ${holder.data.pid}) is running on ${dir}. Stop it first, or give another folder with --data`,
        );
      takeAway(file, found);
    }
  } finally {
    rmSync(own, { force: true });
  }
  throw new CannotStart(`the data folder ${dir} is being taken by other starts at this moment; try again`);
}

function readLock(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** Removes the stale lock, but puts a new one back that another starter made in between. */
function takeAway(file: string, stale: string): void {
  const aside = `${file}.${randomUUID()}`;
  try {
    renameSync(file, aside);
  } catch {
    return;
  }
  try {
    if (readFileSync(aside, 'utf8') !== stale) linkSync(aside, file);
  } finally {
    rmSync(aside, { force: true });
  }
}

/** Tells a process from a later one of the same number; undefined when there is none. */
function startOf(pid: number): string | undefined {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as { code?: string }).code !== 'EPERM') return undefined;
  }
  if (process.platform !== 'linux') return 'running';
  try {
    // Field 22 of /proc/PID/stat, counted behind the name, which may hold blanks: start in clock ticks since boot.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').pop()!.split(' ');
    return fields[0] === 'Z' ? undefined : `${fields[19]} ${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}`;
  } catch {
    return undefined;
  }
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
