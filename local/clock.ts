/** Time as the local platform's triggers and queues see it; tests pass one that they move by hand. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls `work` once; the returned function cancels. */
  after(delayMs: number, work: () => void): () => void;
}

/** Longer timers fire at once in Node. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  after(delayMs, work) {
    const timer = setTimeout(work, Math.min(Math.max(0, delayMs), MAX_TIMER_MS));
    return () => clearTimeout(timer);
  },
};
