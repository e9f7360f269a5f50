import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Problems } from '../../../shared/paimon/problem.ts';

it('lists problems in one order, worst first, in whatever order objects were read', () => {
  const found = [
    ['schema-unknown-type', 'warning', 't/schema/schema-1', 'a'],
    ['schema-unknown-type', 'warning', 't/schema/schema-0', 'a'],
    ['schema-future-version', 'warning', 't/schema/schema-0', 'b'],
    ['manifest-missing', 'degraded', 't/manifest/manifest-1', 'c'],
    ['schema-missing', 'broken', 't', 'd'],
  ] as const;
  fc.assert(
    fc.property(fc.shuffledSubarray([...found], { minLength: found.length }), (order) => {
      const problems = new Problems();
      for (const [code, severity, object, message] of order) problems.add(code, severity, object, message);
      expect(problems.finish().map(({ code, object }) => `${code} ${object}`)).toEqual([
        'schema-missing t',
        'manifest-missing t/manifest/manifest-1',
        'schema-future-version t/schema/schema-0',
        'schema-unknown-type t/schema/schema-0',
        'schema-unknown-type t/schema/schema-1',
      ]);
    }),
  );
});
