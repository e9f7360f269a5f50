import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileGlob, compileScope } from '../../shared/collection-scope.ts';

describe('a glob', () => {
  it.each([
    ['*', '', true],
    ['*', 'anything', true],
    ['', '', true],
    ['', 'a', false],
    ['ods_*', 'ods_orders', true],
    ['ods_*', 'dwd_orders', false],
    ['*_tmp', 'a_tmp', true],
    ['*_tmp', 'a_tmp2', false],
    ['a*b*c', 'a-b-b-c', true],
    ['a*b*c', 'acb', false],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['o?s', 'ods', true],
    ['o?s', 'os', false],
    ['*?b', 'b', false],
    ['*?b', 'ab', true],
    ['订单?', '订单😀', true],
    ['*?', '😀', true],
    ['??', '😀', false],
    ['a.b', 'axb', false],
    ['a[bc]+$', 'a[bc]+$', true],
    ['A', 'a', false],
  ])('%s on %s is %s', (glob, text, expected) => {
    expect(compileGlob(glob)(text)).toBe(expected);
  });

  it('agrees with a matcher that tries everything', () => {
    const slow = (glob: string[], text: string[]): boolean => {
      const [first, ...rest] = glob;
      if (first === undefined) return text.length === 0;
      if (first === '*') return slow(rest, text) || (text.length > 0 && slow(glob, text.slice(1)));
      return text.length > 0 && (first === '?' || first === text[0]) && slow(rest, text.slice(1));
    };
    const letters = fc.constantFrom('a', 'b', '😀');
    const globs = fc.array(fc.oneof(letters, fc.constantFrom('*', '?')), { maxLength: 8 });
    fc.assert(
      fc.property(globs, fc.array(letters, { maxLength: 8 }), (glob, text) => {
        expect(compileGlob(glob.join(''))(text.join(''))).toBe(slow(glob, text));
      }),
      { numRuns: 3_000 },
    );
  });

  it('answers fifty evil patterns on a long name within 50 ms (T13)', () => {
    const patterns = Array.from({ length: 50 }, (_, i) => `${'*a'.repeat(60 + i)}${'?'.repeat(i % 3)}b`);
    const compiled = patterns.map(compileGlob);
    const name = 'a'.repeat(255);
    const startedAt = performance.now();
    for (const matches of compiled) expect(matches(name)).toBe(false);
    expect(performance.now() - startedAt).toBeLessThan(50);
  });
});

describe('a collection scope', () => {
  it('holds everything when it says nothing', () => {
    const scope = compileScope({ include: [], exclude: [] });
    expect(scope.mayHoldTables('ods')).toBe(true);
    expect(scope.holds('ods', 'orders')).toBe(true);
  });

  it('takes a pattern without a dot as one of databases', () => {
    const scope = compileScope({ include: ['ods*'], exclude: [] });
    expect(scope.holds('ods_cn', 'orders')).toBe(true);
    expect(scope.holds('dwd', 'ods_orders')).toBe(false);
    expect(scope.mayHoldTables('dwd')).toBe(false);
  });

  it('takes a pattern with a dot as one of tables, and still lists their database', () => {
    const scope = compileScope({ include: ['ods.order*'], exclude: ['*.*_tmp'] });
    expect(scope.mayHoldTables('ods')).toBe(true);
    expect(scope.holds('ods', 'orders')).toBe(true);
    expect(scope.holds('ods', 'orders_tmp')).toBe(false);
    expect(scope.holds('ods', 'users')).toBe(false);
  });

  it('finds databases whose names hold dots', () => {
    const scope = compileScope({ include: [], exclude: ['my.db'] });
    expect(scope.mayHoldTables('my.db')).toBe(false);
    expect(scope.holds('my.db', 't')).toBe(false);
    expect(scope.holds('my', 'db')).toBe(false);
    expect(scope.holds('my', 'dbs')).toBe(true);
  });

  it('does not list a database that is excluded as a whole', () => {
    const scope = compileScope({ include: [], exclude: ['scratch'] });
    expect(scope.mayHoldTables('scratch')).toBe(false);
  });
});
