/** Spoils files on purpose: every cut, and seeded changes of bytes. */

/** Calls with every true prefix of a file, the empty one included. */
export function truncateAll(file: Buffer, check: (part: Buffer) => void): void {
  for (let length = 0; length < file.byteLength; length++) check(file.subarray(0, length));
}

/** Numbers from 0 up to but not including `below`, the same for the same seed (mulberry32). */
export function random(seed: string): (below: number) => number {
  let state = 0;
  for (const letter of seed) state = (Math.imul(state, 31) + letter.charCodeAt(0)) | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const NASTY = [0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff];

/** Reads copies with one to six bytes changed, half of them in the last third, where footers are. */
export function mutateAll(
  file: Buffer,
  options: { runs: number; random: (below: number) => number },
  read: (spoiled: Buffer) => unknown,
): { refused: number; slowestCpuMs: number; errors: unknown[] } {
  const outcome = { refused: 0, slowestCpuMs: 0, errors: [] as unknown[] };
  const { runs, random: next } = options;
  for (let run = 0; run < runs; run++) {
    const spoiled = Buffer.from(file);
    const changes = 1 + next(6);
    for (let i = 0; i < changes; i++) {
      const third = Math.floor(file.byteLength / 3);
      const at = next(2) === 0 ? next(file.byteLength) : file.byteLength - 1 - next(third);
      spoiled[at] = next(3) === 0 ? NASTY[next(NASTY.length)]! : next(256);
    }
    // Processor time: other work on the machine must not count.
    const started = process.cpuUsage();
    try {
      read(spoiled);
    } catch (error) {
      outcome.refused++;
      outcome.errors.push(error);
    }
    const { user, system } = process.cpuUsage(started);
    outcome.slowestCpuMs = Math.max(outcome.slowestCpuMs, (user + system) / 1_000);
  }
  return outcome;
}
