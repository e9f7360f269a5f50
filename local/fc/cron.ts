import { InvalidInput } from '../../shared/errors.ts';

/** Moments at which a timer trigger fires. */
export interface Schedule {
  /** The first moment after `afterMs`; undefined when none comes within four years. */
  next(afterMs: number): number | undefined;
}

const UNIT_MS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const DAY_NAMES = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];
const MONTH_NAMES = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const SEARCH_LIMIT_MS = 4 * 366 * UNIT_MS.d!;

/**
 * `@every 5m`, or six fields `second minute hour day month weekday`, in UTC unless `CRON_TZ=Area/City ` stands before
 * them. Weekdays are 1 (Monday) to 7 (Sunday) or names. Source: Function Compute documentation, "Timer trigger".
 */
export function parseSchedule(expression: string): Schedule {
  const every = /^@every\s+(\d+)([smhd])$/.exec(expression.trim());
  if (every) {
    const stepMs = Number(every[1]) * UNIT_MS[every[2]!]!;
    if (stepMs <= 0) throw bad(expression, 'the interval must be positive');
    return { next: (afterMs) => (Math.floor(afterMs / stepMs) + 1) * stepMs };
  }
  const [, zone = 'UTC', rest = ''] = /^(?:CRON_TZ=(\S+)\s+)?(.*)$/.exec(expression.trim()) ?? [];
  const fields = rest.split(/\s+/);
  if (fields.length !== 6) throw bad(expression, 'expected "@every 5m" or six fields');
  const [second, minute, hour, day, month, weekday] = [
    parseField(fields[0]!, 0, 59, expression),
    parseField(fields[1]!, 0, 59, expression),
    parseField(fields[2]!, 0, 23, expression),
    parseField(fields[3]!, 1, 31, expression),
    parseField(fields[4]!, 1, 12, expression, MONTH_NAMES, 1),
    parseField(fields[5]!, 0, 7, expression, DAY_NAMES, 0),
  ] as const;
  const onWeekday = (n: number) => weekday.has(n) || (n === 0 && weekday.has(7));
  const clockOf = zoneClock(zone, expression);

  return {
    next(afterMs) {
      let at = (Math.floor(afterMs / 1000) + 1) * 1000;
      const end = at + SEARCH_LIMIT_MS;
      while (at < end) {
        const local = clockOf(at);
        // Steps over what cannot match, in the largest unit that never jumps past a match.
        if (!month.has(local.month) || !day.has(local.day) || !onWeekday(local.weekday)) at += untilNext(at, UNIT_MS.h!);
        else if (!hour.has(local.hour)) at += untilNext(at, 15 * UNIT_MS.m!);
        else if (!minute.has(local.minute)) at += untilNext(at, UNIT_MS.m!);
        else if (!second.has(local.second)) at += 1_000;
        else return at;
      }
      return undefined;
    },
  };
}

/** Zones differ from UTC by whole quarters of an hour; hours and quarters begin at these moments in all of them. */
function untilNext(at: number, unitMs: number): number {
  const step = Math.min(unitMs, 15 * UNIT_MS.m!);
  return step - (at % step);
}

function parseField(text: string, min: number, max: number, whole: string, names: string[] = [], firstName = 0): Set<number> {
  const values = new Set<number>();
  const number = (part: string) => {
    const named = names.indexOf(part.toUpperCase());
    const value = named >= 0 ? named + firstName : /^\d+$/.test(part) ? Number(part) : Number.NaN;
    if (!Number.isInteger(value) || value < min || value > max) throw bad(whole, `'${text}' is not within ${min}-${max}`);
    return value;
  };
  for (const part of text.split(',')) {
    const [range = '', step] = part.split('/');
    const stepBy = step === undefined ? 1 : Number(step);
    if (!Number.isInteger(stepBy) || stepBy < 1) throw bad(whole, `'${part}' has no usable step`);
    const [from, to] = range === '*' || range === '?' ? [min, max] : bounds(range, step === undefined, max, number);
    for (let value = from; value <= to; value += stepBy) values.add(value);
  }
  return values;
}

function bounds(range: string, single: boolean, max: number, number: (part: string) => number): [number, number] {
  const [first = '', last] = range.split('-');
  return [number(first), last === undefined ? (single ? number(first) : max) : number(last)];
}

function zoneClock(zone: string, whole: string) {
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
      weekday: 'short',
    });
  } catch (cause) {
    throw bad(whole, `'${zone}' is not a time zone`, cause);
  }
  return (at: number) => {
    const parts = Object.fromEntries(format.formatToParts(at).map((part) => [part.type, part.value]));
    return {
      month: Number(parts.month),
      day: Number(parts.day),
      hour: Number(parts.hour),
      minute: Number(parts.minute),
      second: Number(parts.second),
      weekday: DAY_NAMES.indexOf(String(parts.weekday).toUpperCase()),
    };
  };
}

function bad(expression: string, issue: string, cause?: unknown): InvalidInput {
  return InvalidInput.at(`cronExpression '${expression}'`, issue, { cause });
}
