import type { Clock } from '../../local/clock.ts';

export interface ManualClock extends Clock {
  /** Moves time on; what falls due runs in order of its time. */
  advance(ms: number): void;
  /** How many timers wait. */
  waiting(): number;
}

/** A clock that stands still until it is moved. */
export function manualClock(startMs = Date.UTC(2026, 0, 15, 8, 30, 0)): ManualClock {
  let now = startMs;
  let timers: { at: number; work: () => void }[] = [];
  return {
    now: () => now,
    after(delayMs, work) {
      const timer = { at: now + Math.max(0, delayMs), work };
      timers.push(timer);
      return () => {
        timers = timers.filter((one) => one !== timer);
      };
    },
    advance(ms) {
      const end = now + ms;
      for (;;) {
        const next = timers.filter((one) => one.at <= end).sort((a, b) => a.at - b.at)[0];
        if (!next) break;
        timers = timers.filter((one) => one !== next);
        now = next.at;
        next.work();
      }
      now = end;
    },
    waiting: () => timers.length,
  };
}
