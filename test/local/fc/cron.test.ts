import { describe, expect, it } from 'vitest';
import { parseSchedule } from '../../../local/fc/cron.ts';

const momentsAfter = (expression: string, time: string, count = 1) => {
  const schedule = parseSchedule(expression);
  const found: string[] = [];
  let at = Date.parse(time);
  for (let i = 0; i < count; i++) {
    at = schedule.next(at)!;
    found.push(new Date(at).toISOString());
  }
  return count === 1 ? found[0] : found;
};

describe('timer schedules', () => {
  it.each([
    ['@every 1m', '2026-01-15T08:30:00.000Z', '2026-01-15T08:31:00.000Z'],
    ['@every 5m', '2026-01-15T08:31:07.123Z', '2026-01-15T08:35:00.000Z'],
    ['0 0 4 * * *', '2026-01-15T08:30:00Z', '2026-01-16T04:00:00.000Z'],
    ['CRON_TZ=Asia/Shanghai 0 0 4 * * *', '2026-01-15T08:30:00Z', '2026-01-15T20:00:00.000Z'],
    ['30 */20 * * * ?', '2026-01-15T08:30:00Z', '2026-01-15T08:40:30.000Z'],
    ['0 0 12 ? * MON-FRI', '2026-01-16T13:00:00Z', '2026-01-19T12:00:00.000Z'],
    ['0 0 0 29 FEB ?', '2026-03-01T00:00:00Z', '2028-02-29T00:00:00.000Z'],
    ['0 0 0 1,15 * *', '2026-01-15T08:30:00Z', '2026-02-01T00:00:00.000Z'],
    ['0 0 0 ? * 7', '2026-01-15T08:30:00Z', '2026-01-18T00:00:00.000Z'],
    ['CRON_TZ=Asia/Kathmandu 0 0 0 * * *', '2026-01-15T00:00:00Z', '2026-01-15T18:15:00.000Z'],
  ])('%s after %s', (expression, time, expected) => {
    expect(momentsAfter(expression, time)).toBe(expected);
  });

  it('skips the hour that does not exist', () => {
    expect(momentsAfter('CRON_TZ=Europe/Berlin 0 30 2 * * *', '2026-03-28T12:00:00Z', 2)).toEqual([
      '2026-03-30T00:30:00.000Z',
      '2026-03-31T00:30:00.000Z',
    ]);
  });

  it('never comes for a day that is not', () => {
    expect(parseSchedule('0 0 0 31 2 *').next(Date.UTC(2026, 0, 1))).toBeUndefined();
  });

  it.each([
    '@every 0m',
    '@every 5x',
    '0 0 4 * *',
    '60 0 0 * * *',
    '0 0 0 * * MON-',
    '0 0/0 0 * * *',
    'CRON_TZ=Mars/Base 0 0 0 * * *',
    '',
  ])('refuses %j by name', (expression) => {
    expect(() => parseSchedule(expression)).toThrow(/cronExpression/);
  });
});
