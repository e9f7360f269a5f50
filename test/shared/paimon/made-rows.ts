/** The rows of `test/fixtures/manifests/made-*`, by the formulas of `make.py` there. */
export const MADE_ROWS = 800;

export function madeRow(i: number): Record<string, unknown> {
  const upTo = <T>(count: number, item: (k: number) => T): T[] => Array.from({ length: count }, (_, k) => item(k));
  return {
    steady: 7,
    climbing: 1000 + 3 * i,
    falling: 5_000_000_000 - 11 * i,
    uneven: 7 * i * i + (i % 5),
    small: ((i * 7919) % 251) - 125,
    outlier: ((i * 31) % 64) + (i % 97 === 0 ? 2 ** 45 : 0),
    huge: [String(-(2n ** 63n) + BigInt(i)), String(2n ** 63n - 1n - BigInt(i)), i - 1][i % 3],
    maybe: i % 4 === 1 || (i > 300 && i < 500) ? null : i,
    tiny: (i % 256) - 128,
    flag: i % 11 === 5 ? null : i % 3 === 0,
    word: `w${i % 17}`,
    line: `line ${i} ${'x'.repeat(i % 13)} é`,
    blob: i % 6 === 4 ? null : `hex:${Buffer.from(upTo(i % 5, (k) => (i + k) % 256)).toString('hex')}`,
    texts: i % 10 === 9 ? null : upTo(i % 4, (k) => `t${k}`),
    pairs: upTo(i % 3, (k) => ({ f0: `f${i}`, n: (i + k) % 4 === 0 ? null : i * k })),
    attributes: i % 7 === 3 ? null : Object.fromEntries(upTo(i % 3, (k) => [`k${k}`, i * k])),
    record: i % 5 === 2 ? null : { a: i, deep: { b: `b${i % 3}` }, items: upTo(i % 3, (k) => i + k) },
    at: 1_700_000_000_000 + i * 86_399_999,
  };
}
