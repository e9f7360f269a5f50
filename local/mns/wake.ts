import type { Clock } from '../clock.ts';

/** Tells sleepers that something about a queue changed. A change between looking and sleeping is not missed. */
export interface Wake {
  /** Take before looking into the queue; pass to `sleep` when there was nothing. */
  mark(queueName: string): number;
  notify(queueName: string): void;
  /** Until the queue changes after `mark`, `ms` pass (undefined: no limit), or the signal aborts. Never rejects. */
  sleep(queueName: string, mark: number, ms: number | undefined, signal?: AbortSignal): Promise<void>;
}

export function createWake(clock: Clock): Wake {
  const changes = new Map<string, number>();
  const sleepers = new Map<string, Set<() => void>>();
  return {
    mark: (queueName) => changes.get(queueName) ?? 0,
    notify(queueName) {
      changes.set(queueName, (changes.get(queueName) ?? 0) + 1);
      for (const wakeUp of [...(sleepers.get(queueName) ?? [])]) wakeUp();
    },
    sleep(queueName, mark, ms, signal) {
      if ((changes.get(queueName) ?? 0) !== mark || signal?.aborted) return Promise.resolve();
      return new Promise((resolve) => {
        const waiting = sleepers.get(queueName) ?? new Set();
        sleepers.set(queueName, waiting);
        const cancel = ms === undefined ? undefined : clock.after(ms, wakeUp);
        function wakeUp() {
          cancel?.();
          waiting.delete(wakeUp);
          signal?.removeEventListener('abort', wakeUp);
          resolve();
        }
        waiting.add(wakeUp);
        signal?.addEventListener('abort', wakeUp);
      });
    },
  };
}
