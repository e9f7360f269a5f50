import { Damage, OverLimit } from '../damage.ts';

type Int = number | bigint;

/** Values between checks of the block header; writers use 128 in four miniblocks. */
const MAX_BLOCK_VALUES = 1 << 16;

/**
 * Integers as differences (apache/parquet-format Encodings.md, "DELTA_BINARY_PACKED"), at most `maxCount`; `at` is where the
 * next thing in the page begins. Arithmetic wraps at `bits`. Throws Damage or OverLimit.
 */
export function readDeltas(
  page: Uint8Array,
  start: number,
  maxCount: number,
  bits: 32 | 64,
  offset: number,
): { values: Int[]; at: number } {
  let at = start;
  const blockValues = Number(varint());
  const miniblocks = Number(varint());
  const count = Number(varint());
  if (blockValues > MAX_BLOCK_VALUES) throw new OverLimit('values of a delta block', MAX_BLOCK_VALUES);
  const perMiniblock = blockValues / miniblocks;
  if (miniblocks === 0 || perMiniblock === 0 || perMiniblock % 8 !== 0)
    throw new Damage('miniblocks of whole bytes', `${blockValues} / ${miniblocks}`, offset);
  if (count > maxCount) throw new Damage(`at most ${maxCount} values`, `${count}`, offset);
  let last = wrap(narrow(zigzag()), 0, bits);
  const values: Int[] = [];
  if (count > 0) values.push(last);
  while (values.length < count) {
    const least = narrow(zigzag());
    const widths = take(miniblocks);
    for (let i = 0; i < miniblocks && values.length < count; i++) {
      const width = widths[i]!;
      if (width > 64) throw new Damage('at most 64 bits', `${width}`, offset);
      const packed = take((perMiniblock * width) / 8);
      for (let j = 0; j < perMiniblock && values.length < count; j++) {
        last = wrap(wrap(last, least, bits), bitsAt(packed, j * width, width), bits);
        values.push(last);
      }
    }
  }
  return { values, at };

  function take(length: number): Uint8Array {
    if (length > page.byteLength - at) throw new Damage('more deltas in the page', 'its end', offset);
    at += length;
    return page.subarray(at - length, at);
  }

  function varint(): bigint {
    let value = 0n;
    for (let i = 0; i < 10; i++) {
      const byte = take(1)[0]!;
      value |= BigInt(byte & 0x7f) << BigInt(7 * i);
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new Damage('a 64-bit integer', 'a longer one', offset);
  }

  function zigzag(): bigint {
    const raw = varint();
    return raw & 1n ? -(raw >> 1n) - 1n : raw >> 1n;
  }
}

function bitsAt(packed: Uint8Array, bit: number, width: number): Int {
  let low = 0;
  let high = 0;
  for (let done = 0; done < width; ) {
    const within = (bit + done) % 8;
    const size = Math.min(8 - within, width - done);
    const part = (packed[Math.floor((bit + done) / 8)]! >> within) & ((1 << size) - 1);
    if (done < 32) low += part * 2 ** done;
    else high += part * 2 ** (done - 32);
    done += size;
  }
  const value = low + high * 2 ** 32;
  return Number.isSafeInteger(value) ? value : BigInt(low) + (BigInt(high) << 32n);
}

/** The sum in two's complement, as writers in Java and C++ count. */
function wrap(left: Int, right: Int, bits: 32 | 64): Int {
  if (typeof left === 'number' && typeof right === 'number') {
    const sum = left + right;
    if (Number.isSafeInteger(sum)) return bits === 64 ? sum : sum | 0;
  }
  return narrow(BigInt.asIntN(bits, BigInt(left) + BigInt(right)));
}

function narrow(value: bigint): Int {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
