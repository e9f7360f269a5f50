import type { Log } from '../../shared/log.ts';
import type { Clock } from '../clock.ts';
import type { AsyncInvocations } from './async-invocations.ts';
import { parseSchedule } from './cron.ts';
import type { TimerTrigger } from './deployment.ts';
import type { FunctionPool } from './function-pool.ts';

/** Invokes asynchronously at each moment of the schedule. Moments that passed while the platform was down are skipped. */
export function startTimerTrigger(options: {
  trigger: TimerTrigger;
  pool: FunctionPool;
  invocations: AsyncInvocations;
  clock: Clock;
  log: Log;
}): { stop(): void } {
  const { trigger, pool, invocations, clock, log } = options;
  const schedule = parseSchedule(trigger.triggerConfig.cronExpression);
  let cancel: (() => void) | undefined;

  function plan(): void {
    const next = schedule.next(clock.now());
    if (next === undefined) return;
    cancel = clock.after(next - clock.now(), () => {
      // A timer may fire a little early, and very long ones in steps.
      if (clock.now() >= next) fire(next);
      plan();
    });
  }

  function fire(at: number): void {
    const event = {
      triggerTime: new Date(at).toISOString().replace('.000Z', 'Z'),
      triggerName: trigger.triggerName,
      payload: trigger.triggerConfig.payload ?? '',
    };
    invocations.accept(pool, Buffer.from(JSON.stringify(event))).catch((error) => {
      log.error('timer trigger failed', { trigger: trigger.triggerName, error });
    });
  }

  if (trigger.triggerConfig.enable) plan();
  return { stop: () => cancel?.() };
}
