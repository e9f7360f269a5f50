import { NotReadable } from '../damage.ts';

/** Timestamps are seconds since 2015-01-01 00:00:00 in the zone of the writer (ORC specification v1, "Timestamp Columns"). */
const BASE_SECONDS = Date.UTC(2015, 0, 1) / 1000;

const SECONDS_OF_STEP = 900;

/**
 * Turns stored seconds into the wall clock that the writer saw, as seconds as if it were UTC: what Avro manifests hold. The
 * stored value counts real seconds, so summer time between 2015 and the moment in question has to be put back. Throws
 * NotReadable for a zone that this machine does not know.
 */
export function wallClockOf(zone: string): (storedSeconds: number) => number {
  const offsetAt = offsetsOf(zone);
  // Midnight of the base in that zone as a real moment; close enough to ask for its offset.
  const offsetAtBase = offsetAt(BASE_SECONDS - offsetAt(BASE_SECONDS));
  return (stored) => {
    const moment = stored + BASE_SECONDS - offsetAtBase;
    return moment + offsetAt(moment);
  };
}

/** Seconds east of UTC at a moment. Offsets change on quarters of an hour, so one look-up serves all moments of a quarter. */
function offsetsOf(zone: string): (epochSeconds: number) => number {
  if (zone === '' || zone === 'UTC' || zone === 'GMT' || zone === 'Etc/UTC') return () => 0;
  // Java also writes fixed offsets, as `GMT+08:00`.
  const fixed = /^(?:GMT|UTC)?([+-])(\d{2}):(\d{2})$/.exec(zone);
  if (fixed) {
    const seconds = Number(fixed[2]) * 3600 + Number(fixed[3]) * 60;
    return () => (fixed[1] === '-' ? -seconds : seconds);
  }
  const format = formatOf(zone);
  const known = new Map<number, number>();
  return (epochSeconds) => {
    const step = Math.floor(epochSeconds / SECONDS_OF_STEP);
    const cached = known.get(step);
    if (cached !== undefined) return cached;
    const offset = offsetAt(format, step * SECONDS_OF_STEP);
    if (known.size > 1_000) known.clear();
    known.set(step, offset);
    return offset;
  };
}

const MAX_DATE_SECONDS = 8.64e12;

function offsetAt(format: Intl.DateTimeFormat, epochSeconds: number): number {
  const within = Math.max(-MAX_DATE_SECONDS, Math.min(MAX_DATE_SECONDS, epochSeconds));
  const parts: Record<string, number> = {};
  for (const { type, value } of format.formatToParts(within * 1000)) parts[type] = Number(value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
  return Date.UTC(year, month - 1, day, hour, minute, second) / 1000 - within;
}

function formatOf(zone: string): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  } catch {
    throw new NotReadable(`a timestamp in time zone ${JSON.stringify(zone.slice(0, 60))}`);
  }
}
