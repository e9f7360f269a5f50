import { readAvro } from './avro/container.ts';
import { loadZstd } from './codec/zstd.ts';
import { Damage } from './damage.ts';
import { readOrc } from './orc/file.ts';
import { readParquet } from './parquet.ts';
import type { ContainerInfo, OnRow } from './rows.ts';

/**
 * Reads the rows of a manifest, manifest list or index manifest. The format is told by the first bytes: names have no
 * extension, and the `manifest.format` option may be missing or changed since. Throws Damage, NotReadable or OverLimit.
 */
export async function readContainer(
  file: Uint8Array,
  columns: readonly string[],
  onRow: OnRow,
  /** Text columns that may come as RawText instead of as strings. */
  raw?: ReadonlySet<string>,
): Promise<ContainerInfo> {
  await loadZstd();
  const magic = Buffer.from(file.buffer, file.byteOffset, Math.min(4, file.byteLength)).toString('latin1');
  if (magic === 'Obj\x01') return readAvro(file, columns, onRow, raw);
  if (magic.startsWith('ORC')) return readOrc(file, columns, onRow);
  if (magic === 'PAR1') return readParquet(file, columns, onRow);
  throw new Damage(
    'an Avro, ORC or Parquet file',
    file.byteLength === 0 ? 'an empty one' : `one that starts with ${hex(file)}`,
    0,
  );
}

function hex(file: Uint8Array): string {
  return Buffer.from(file.buffer, file.byteOffset, Math.min(8, file.byteLength)).toString('hex');
}
