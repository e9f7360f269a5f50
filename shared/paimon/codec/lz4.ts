import { Damage, OverLimit } from '../damage.ts';

/** Decompresses one raw LZ4 block (lz4_Block_format.md) of at most `maxBytes`. Throws Damage or OverLimit. */
export function decompressLz4(source: Uint8Array, maxBytes: number): Uint8Array {
  let target = new Uint8Array(Math.min(maxBytes, Math.max(1024, source.byteLength * 4)));
  let at = 0;
  let done = 0;
  const room = (bytes: number): void => {
    if (done + bytes > maxBytes) throw new OverLimit('decompressed size', maxBytes);
    if (done + bytes <= target.byteLength) return;
    const larger = new Uint8Array(Math.min(maxBytes, Math.max(target.byteLength * 2, done + bytes)));
    larger.set(target.subarray(0, done));
    target = larger;
  };
  const extended = (nibble: number): number => {
    if (nibble < 15) return nibble;
    let length = 15;
    for (;;) {
      const byte = source[at++];
      if (byte === undefined) throw new Damage('an lz4 length', 'the end', at);
      length += byte;
      if (byte < 255) return length;
    }
  };
  while (at < source.byteLength) {
    const token = source[at++]!;
    const literals = extended(token >> 4);
    if (at + literals > source.byteLength) throw new Damage('lz4 literals', 'their end too early', at);
    room(literals);
    target.set(source.subarray(at, at + literals), done);
    at += literals;
    done += literals;
    if (at === source.byteLength) return target.subarray(0, done);
    const offset = (source[at] ?? 0) | ((source[at + 1] ?? 0) << 8);
    at += 2;
    const length = extended(token & 15) + 4;
    if (offset === 0 || offset > done || at > source.byteLength) throw new Damage('an lz4 match', 'one out of range', at);
    room(length);
    for (let i = 0; i < length; i++, done++) target[done] = target[done - offset]!;
  }
  throw new Damage('lz4 literals at the end', 'a match');
}
