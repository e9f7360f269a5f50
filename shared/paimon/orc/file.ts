// Being written by S (ORC manifests); leave to S.
import { NotReadable } from '../damage.ts';
import type { ContainerInfo, OnRow } from '../rows.ts';

export function readOrc(_file: Uint8Array, _columns: readonly string[], _onRow: OnRow): ContainerInfo {
  throw new NotReadable('an ORC manifest');
}
