import { Damage, OverLimit } from '../damage.ts';

/** Decompresses one raw snappy block (google/snappy format_description.txt). Throws Damage or OverLimit. */
export function decompressSnappy(source: Uint8Array, maxBytes: number): Uint8Array {
  let at = 0;
  let size = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = source[at++];
    if (byte === undefined || shift > 28) throw new Damage('a snappy length', 'something else', at);
    size += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) break;
  }
  if (size > maxBytes) throw new OverLimit('decompressed size', maxBytes);
  // A copy of 64 bytes costs at least two.
  if (size > source.byteLength * 64) throw new Damage('a snappy block', `a stated size of ${size}`, 0);
  const target = new Uint8Array(size);
  let done = 0;
  while (at < source.byteLength) {
    const tag = source[at++]!;
    let length = 0;
    let offset = 0;
    if ((tag & 3) === 0) {
      length = (tag >> 2) + 1;
      if (length > 60) {
        const bytes = length - 60;
        length = 0;
        for (let i = 0; i < bytes; i++) length += (source[at + i] ?? 0) * 2 ** (8 * i);
        length += 1;
        at += bytes;
      }
      if (at + length > source.byteLength || done + length > size) throw new Damage('a snappy literal', 'its end too early', at);
      target.set(source.subarray(at, at + length), done);
      at += length;
      done += length;
      continue;
    }
    if ((tag & 3) === 1) {
      length = ((tag >> 2) & 7) + 4;
      offset = ((tag >> 5) << 8) | (source[at] ?? 0);
      at += 1;
    } else if ((tag & 3) === 2) {
      length = (tag >> 2) + 1;
      offset = (source[at] ?? 0) | ((source[at + 1] ?? 0) << 8);
      at += 2;
    } else {
      length = (tag >> 2) + 1;
      offset =
        (source[at] ?? 0) + (source[at + 1] ?? 0) * 2 ** 8 + (source[at + 2] ?? 0) * 2 ** 16 + (source[at + 3] ?? 0) * 2 ** 24;
      at += 4;
    }
    if (offset === 0 || offset > done || done + length > size) throw new Damage('a snappy copy', 'one out of range', at);
    // May overlap: byte by byte repeats what was just written.
    for (let i = 0; i < length; i++, done++) target[done] = target[done - offset]!;
  }
  if (done !== size) throw new Damage(`${size} bytes of snappy data`, `${done}`);
  return target;
}
