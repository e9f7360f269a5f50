import { EXIT, Failure } from './failure.ts';
import type { Progress } from './progress.ts';

const FIRST_PAUSE_MS = 150;
const LONGEST_PAUSE_MS = 2_000;

/** Asks again, ever more slowly, until `isDone`; the answer then. Gives up after `timeoutSeconds` with exit code 1. */
export async function waitUntil<T>(
  ask: () => Promise<T>,
  isDone: (answer: T) => boolean,
  options: { timeoutSeconds: number; progress: Progress; say(answer: T): string },
): Promise<T> {
  const end = Date.now() + options.timeoutSeconds * 1000;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 1.5, LONGEST_PAUSE_MS)) {
    const answer = await ask();
    if (isDone(answer)) return answer;
    options.progress.say(options.say(answer));
    if (Date.now() + pause > end)
      throw new Failure(EXIT.problem, `gave up after ${options.timeoutSeconds} s: ${options.say(answer)}`, [
        'It goes on without this command; --timeout makes it wait longer.',
      ]);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
