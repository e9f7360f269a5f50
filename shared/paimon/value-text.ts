import type { Value } from './binary-row.ts';
import type { DataType } from './data-type.ts';

/** The three ways a value is written: plain JSON (ours), Java's `toString` (legacy folder names), SQL cast (newer folder names). */

const MILLIS_PER_DAY = 86_400_000n;

/**
 * JSON form: integers beyond 2^53 and DECIMAL as strings; DATE, TIME, TIMESTAMP as ISO text with as many fraction digits as the
 * precision says, zoned ones in UTC with `Z`; FLOAT and DOUBLE as numbers in the shortest form of their width; bytes as hex.
 * A value of a type that cannot be read is null.
 */
export function plainValue(value: Value, type: DataType): null | boolean | number | string {
  if (value === null || value === undefined || type.kind !== 'atomic') return null;
  switch (type.name) {
    case 'DATE':
      return isoDate(value as number);
    case 'TIME':
      return `${timeOfDay(value as number)}${fraction(((value as number) % 1000) * 1_000_000, type.precision)}`;
    case 'TIMESTAMP':
    case 'TIMESTAMP_LTZ': {
      const { date, time, nanos } = splitTimestamp(value as { millis: bigint; nanos: number });
      return `${isoDate(date)}T${timeOfDay(time)}${fraction(nanos, type.precision)}${type.name === 'TIMESTAMP_LTZ' ? 'Z' : ''}`;
    }
    case 'FLOAT':
    case 'DOUBLE': {
      const number = value as number;
      return Number.isFinite(number) ? Number(type.name === 'FLOAT' ? shortestFloat(number) : number) : String(number);
    }
    case 'BIGINT':
      return plainLong(value as bigint);
    default:
      if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
      if (typeof value === 'object') return decimalText(value as { unscaled: bigint; scale: number });
      return typeof value === 'bigint' ? plainLong(value) : value;
  }
}

/** A number where a double holds it exactly, else text. */
export function plainLong(value: bigint): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value.toString();
}

/** As in folders with `partition.legacy-name`; undefined where the name depends on the writing process. */
export function legacyText(value: Value, type: DataType): string | undefined {
  if (value === null || value === undefined || type.kind !== 'atomic') return undefined;
  switch (type.name) {
    case 'TIMESTAMP':
    case 'TIMESTAMP_LTZ':
      return localDateTime(value as { millis: bigint; nanos: number });
    case 'FLOAT':
      return javaNumber(value as number, shortestFloat);
    case 'DOUBLE':
      return javaNumber(value as number, shortestDouble);
    case 'BINARY':
    case 'VARBINARY':
      // Java printed the array object, not its content.
      return undefined;
    default:
      return typeof value === 'object' ? decimalText(value as { unscaled: bigint; scale: number }) : String(value);
  }
}

/** As in folders with `partition.legacy-name=false`. `zoneOffsetMillis` shifts zoned timestamps to the writer's wall clock. */
export function castText(value: Value, type: DataType, zoneOffsetMillis = 0): string | undefined {
  if (value === null || value === undefined || type.kind !== 'atomic') return undefined;
  switch (type.name) {
    case 'DATE':
      return isoDate(value as number);
    case 'TIME':
      return `${timeOfDay(value as number)}${castTimeFraction((value as number) % 1000, type.precision)}`;
    case 'TIMESTAMP':
    case 'TIMESTAMP_LTZ': {
      const stored = value as { millis: bigint; nanos: number };
      const shift = type.name === 'TIMESTAMP_LTZ' ? BigInt(zoneOffsetMillis) : 0n;
      const { date, time, nanos } = splitTimestamp({ millis: stored.millis + shift, nanos: stored.nanos });
      return `${isoDate(date)} ${timeOfDay(time)}${fraction(nanos, type.precision)}`;
    }
    case 'BINARY':
    case 'VARBINARY':
      return Buffer.from(value as Uint8Array).toString('utf8');
    default:
      return legacyText(value, type);
  }
}

function decimalText({ unscaled, scale }: { unscaled: bigint; scale: number }): string {
  if (scale <= 0) return unscaled.toString();
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, '0');
  return `${unscaled < 0n ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

function splitTimestamp({ millis, nanos }: { millis: bigint; nanos: number }): { date: number; time: number; nanos: number } {
  const inDay = ((millis % MILLIS_PER_DAY) + MILLIS_PER_DAY) % MILLIS_PER_DAY;
  const time = Number(inDay);
  return { date: Number((millis - inDay) / MILLIS_PER_DAY), time, nanos: (time % 1000) * 1_000_000 + nanos };
}

/** Milliseconds since the epoch as an ISO local date-time with exactly three fraction digits. */
export function wallClock(millis: bigint): string {
  const { date, time, nanos } = splitTimestamp({ millis, nanos: 0 });
  return `${isoDate(date)}T${timeOfDay(time)}${fraction(nanos, 3)}`;
}

/** `java.time.LocalDateTime.toString`: seconds left out when zero, fraction in groups of three digits. */
function localDateTime(value: { millis: bigint; nanos: number }): string {
  const { date, time, nanos } = splitTimestamp(value);
  const text = `${isoDate(date)}T${timeOfDay(time)}`;
  if (nanos === 0) return time % 60_000 < 1000 ? text.slice(0, -3) : text;
  const digits = String(nanos).padStart(9, '0');
  return `${text}.${digits.endsWith('000000') ? digits.slice(0, 3) : digits.endsWith('000') ? digits.slice(0, 6) : digits}`;
}

/** Days since 1970-01-01 as `java.time.LocalDate` prints them (proleptic Gregorian calendar). */
export function isoDate(days: number): string {
  // Howard Hinnant's civil-from-days: exact for every 32-bit day, where Date ends at the year 275760.
  const z = days + 719_468;
  const era = Math.floor(z / 146_097);
  const dayOfEra = z - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shifted = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1;
  const month = shifted < 10 ? shifted + 3 : shifted - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  const sign = year < 0 ? '-' : year > 9999 ? '+' : '';
  return `${sign}${String(Math.abs(year)).padStart(4, '0')}-${two(month)}-${two(day)}`;
}

function timeOfDay(millis: number): string {
  const seconds = Math.floor(millis / 1000);
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}

function two(n: number): string {
  return String(n).padStart(2, '0');
}

function fraction(nanos: number, precision: number): string {
  return precision <= 0 ? '' : `.${String(nanos).padStart(9, '0').slice(0, precision)}`;
}

/** At least one digit, then digits until nothing is left: `12:00:00.0`, `12:00:00.25`. */
function castTimeFraction(millis: number, precision: number): string {
  if (precision <= 0) return '';
  let text = '.';
  for (let left = millis, digits = precision; digits > 0; digits--) {
    text += Math.floor(left / 100);
    left = (left % 100) * 10;
    if (left === 0) break;
  }
  return text;
}

/** Digits that tell a float from its neighbours, but at least two as Java prints. */
function shortestFloat(number: number): string {
  for (let digits = 2; digits < 9; digits++) {
    const text = number.toPrecision(digits);
    if (Math.fround(Number(text)) === number) return text;
  }
  return number.toPrecision(9);
}

function shortestDouble(number: number): string {
  const text = number.toExponential();
  // One digit only: Java gives the two that are nearest (4.9E-324, not 5e-324).
  return text.includes('.') ? text : number.toExponential(1);
}

/** `Float.toString` and `Double.toString`: plain between 10^-3 and 10^7, else `d.dddEn`. */
function javaNumber(number: number, shortest: (number: number) => string): string {
  if (Number.isNaN(number)) return 'NaN';
  if (!Number.isFinite(number)) return number < 0 ? '-Infinity' : 'Infinity';
  if (number === 0) return Object.is(number, -0) ? '-0.0' : '0.0';
  const sign = number < 0 ? '-' : '';
  const { digits, exponent } = exponential(shortest(Math.abs(number)));
  if (exponent >= -3 && exponent < 7) {
    if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
    const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0');
    return `${sign}${whole}.${digits.slice(exponent + 1) || '0'}`;
  }
  return `${sign}${digits[0]}.${digits.slice(1) || '0'}E${exponent}`;
}

/** Decimal digits without trailing zeros, and the exponent of the first. */
function exponential(text: string): { digits: string; exponent: number } {
  const [mantissa = '', power = '0'] = text.toLowerCase().split('e');
  const [whole = '', fractionDigits = ''] = mantissa.split('.');
  const all = whole + fractionDigits;
  const leading = all.length - all.replace(/^0+/, '').length;
  const digits = all.slice(leading).replace(/0+$/, '');
  return { digits: digits === '' ? '0' : digits, exponent: Number(power) + whole.length - 1 - leading };
}
