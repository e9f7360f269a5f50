// Being written by S (Parquet manifests); leave to S.
import { NotReadable } from './damage.ts';
import type { ContainerInfo, OnRow } from './rows.ts';

export function readParquet(_file: Uint8Array, _columns: readonly string[], _onRow: OnRow): ContainerInfo {
  throw new NotReadable('a Parquet manifest');
}
