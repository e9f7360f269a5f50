/** Sums over some files. Exact: bigint where a double would round. */
export interface FileSums {
  files: number;
  size: number | bigint;
  records: number | bigint;
}

export function addFile(sums: FileSums, size: number | bigint, records: number | bigint): void {
  sums.files++;
  sums.size = plus(sums.size, size);
  sums.records = plus(sums.records, records);
}

/** Exact sum of two integers. */
export function plus(a: number | bigint, b: number | bigint): number | bigint {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return BigInt(a) + BigInt(b);
}
