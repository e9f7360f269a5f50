import { Cursor } from '../../shared/paimon/avro/cursor.ts';

const MAGIC_BYTES = 4;
const SYNC_BYTES = 16;

/**
 * An Avro file of `entries` rows or a few more, made of the blocks of a real one over and over: compressed by the real writer,
 * with its schema, where one of that size would weigh megabytes in the repository.
 */
export function repeatBlocks(file: Uint8Array, entries: number): { file: Buffer; entries: number } {
  const cursor = new Cursor();
  cursor.reset(file);
  cursor.skip(MAGIC_BYTES);
  for (let count = cursor.readLong(); count !== 0; count = cursor.readLong()) {
    if (typeof count === 'bigint' || count < 0) throw new Error('an Avro header with sized blocks');
    for (let i = 0; i < count * 2; i++) cursor.skipBytes();
  }
  cursor.skip(SYNC_BYTES);
  const header = file.subarray(0, cursor.at);
  const blocks: { bytes: Uint8Array; entries: number }[] = [];
  while (cursor.at < cursor.end) {
    const start = cursor.at;
    const count = Number(cursor.readLong());
    cursor.skipBytes();
    cursor.skip(SYNC_BYTES);
    blocks.push({ bytes: file.subarray(start, cursor.at), entries: count });
  }
  if (!blocks.some((block) => block.entries > 0)) throw new Error('an Avro file without rows');
  const parts: Uint8Array[] = [header];
  let made = 0;
  for (let i = 0; made < entries; i++) {
    const block = blocks[i % blocks.length]!;
    parts.push(block.bytes);
    made += block.entries;
  }
  return { file: Buffer.concat(parts), entries: made };
}
