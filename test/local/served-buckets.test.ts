import { describe, expect, it } from 'vitest';
import { parseBuckets } from '../../local/served-buckets.ts';
import { InvalidInput } from '../../shared/errors.ts';

describe('--bucket NAME=DIR', () => {
  it('serves directories by name; the path may hold an equals sign', () => {
    expect([...parseBuckets(['lake=test', 'other-1=./shared'])]).toEqual([
      ['lake', `${process.cwd()}/test`],
      ['other-1', `${process.cwd()}/shared`],
    ]);
    expect(() => parseBuckets(['lake=a=b'])).toThrow(/no directory .*a=b/);
  });

  it.each([
    ['lake', /must be NAME=DIR/],
    ['lake=', /must be NAME=DIR/],
    ['Lake=test', /not a bucket name/],
    ['-lake=test', /not a bucket name/],
    ['ab=test', /not a bucket name/],
    ['lake=package.json', /not a directory/],
    ['sample=test', /bucket of the sample/],
  ])('refuses %s and says why', (arg, reason) => {
    expect(() => parseBuckets([arg])).toThrow(InvalidInput);
    expect(() => parseBuckets([arg])).toThrow(reason);
  });

  it('refuses a name given twice', () => {
    expect(() => parseBuckets(['lake=test', 'lake=shared'])).toThrow(/twice/);
  });
});
