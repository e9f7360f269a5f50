import { closeSync, existsSync, mkdirSync, openSync, renameSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** Twice this is the most that logs take: the file and the one before it. */
const MAX_BYTES = 20_000_000;

/** Appends lines to a file of bounded size. The line is in the operating system's hands when `write` returns. */
export function openLogFile(file: string): { write(line: string): void; close(): void } {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  let fd: number | undefined = openSync(file, 'a', 0o600);
  let bytes = existsSync(file) ? statSync(file).size : 0;
  return {
    write(line) {
      if (fd === undefined) return;
      const text = `${line}\n`;
      if (bytes > MAX_BYTES) {
        closeSync(fd);
        renameSync(file, `${file}.1`);
        fd = openSync(file, 'a', 0o600);
        bytes = 0;
      }
      bytes += writeSync(fd, text);
    },
    close() {
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
    },
  };
}
