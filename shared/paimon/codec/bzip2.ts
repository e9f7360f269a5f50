import { Damage, OverLimit } from '../damage.ts';

/** Reads bits from the most significant end, as bzip2 packs them. */
class BitReader {
  #at = 0;
  #bit = 0;
  readonly #bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }
  bit(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw new Damage('bzip2 data', 'its end too early', this.#at);
    const value = (byte >> (7 - this.#bit)) & 1;
    if (++this.#bit === 8) {
      this.#bit = 0;
      this.#at++;
    }
    return value;
  }
  bits(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i++) value = value * 2 + this.bit();
    return value;
  }
  toByte(): void {
    if (this.#bit !== 0) {
      this.#bit = 0;
      this.#at++;
    }
  }
  get atEnd(): boolean {
    return this.#at >= this.#bytes.byteLength;
  }
}

interface Code {
  /** Per length: first code, first position in `symbols`, number of codes. */
  first: number[];
  start: number[];
  count: number[];
  symbols: number[];
}

const BLOCK = 0x314159265359;
const END = 0x177245385090;
const RUN_A = 0;
const RUN_B = 1;
const GROUP = 50;

/** Decompresses one or more bzip2 streams. Slow and small: only old manifests have it. Throws Damage or OverLimit. */
export function decompressBzip2(source: Uint8Array, maxBytes: number): Uint8Array {
  const input = new BitReader(source);
  const parts: Uint8Array[] = [];
  let total = 0;
  do {
    if (input.bits(24) !== 0x425a68) throw new Damage("'BZh'", 'something else', 0);
    const level = input.bits(8) - 0x30;
    if (level < 1 || level > 9) throw new Damage('a bzip2 block size', `${level}`);
    for (;;) {
      const magic = input.bits(48);
      if (magic === END) break;
      if (magic !== BLOCK) throw new Damage('a bzip2 block', 'something else');
      const block = readBlock(input, level * 100_000, maxBytes - total);
      parts.push(block);
      total += block.byteLength;
    }
    input.bits(32);
    input.toByte();
  } while (!input.atEnd);
  const whole = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}

function readBlock(input: BitReader, blockSize: number, maxBytes: number): Uint8Array {
  const crc = input.bits(32);
  if (input.bit() === 1) throw new Damage('a bzip2 block that is not randomised', 'one that is');
  const origin = input.bits(24);
  const symbols = readSymbols(input);
  const codeCount = input.bits(3);
  const selectorCount = input.bits(15);
  if (codeCount < 2 || codeCount > 6 || selectorCount === 0) throw new Damage('bzip2 codes', 'a wrong number of them');
  const selectors = readSelectors(input, codeCount, selectorCount);
  const codes = Array.from({ length: codeCount }, () => readCode(input, symbols.length + 2));
  const last = readTransformed(input, symbols, selectors, codes, blockSize);
  if (origin >= last.byteLength) throw new Damage('a bzip2 origin inside the block', `${origin}`);
  const bytes = unrepeat(untransform(last, origin), maxBytes);
  if (crc32(bytes) !== crc) throw new Damage('the checksum of a bzip2 block', 'another');
  return bytes;
}

/** The byte values that occur, in order. */
function readSymbols(input: BitReader): number[] {
  const used = input.bits(16);
  const symbols: number[] = [];
  for (let i = 0; i < 16; i++) {
    if (((used >> (15 - i)) & 1) === 0) continue;
    const row = input.bits(16);
    for (let j = 0; j < 16; j++) if (((row >> (15 - j)) & 1) === 1) symbols.push(i * 16 + j);
  }
  if (symbols.length === 0) throw new Damage('symbols of a bzip2 block', 'none');
  return symbols;
}

function readSelectors(input: BitReader, codeCount: number, selectorCount: number): number[] {
  const order = Array.from({ length: codeCount }, (_, i) => i);
  return Array.from({ length: selectorCount }, () => {
    let position = 0;
    while (input.bit() === 1) if (++position >= codeCount) throw new Damage('a bzip2 selector', 'one out of range');
    const [code] = order.splice(position, 1);
    order.unshift(code!);
    return code!;
  });
}

function readCode(input: BitReader, alphabet: number): Code {
  let length = input.bits(5);
  const lengths: number[] = [];
  for (let i = 0; i < alphabet; i++) {
    for (;;) {
      if (length < 1 || length > 20) throw new Damage('a bzip2 code length', `${length}`);
      if (input.bit() === 0) break;
      length += input.bit() === 0 ? 1 : -1;
    }
    lengths.push(length);
  }
  const code: Code = { first: [], start: [], count: [], symbols: [] };
  let next = 0;
  for (let bits = 1; bits <= 20; bits++) {
    code.first[bits] = next;
    code.start[bits] = code.symbols.length;
    lengths.forEach((l, symbol) => {
      if (l === bits) code.symbols.push(symbol);
    });
    code.count[bits] = code.symbols.length - code.start[bits]!;
    next = (next + code.count[bits]!) * 2;
  }
  return code;
}

function readSymbol(input: BitReader, code: Code): number {
  let value = 0;
  for (let bits = 1; bits <= 20; bits++) {
    value = value * 2 + input.bit();
    const index = value - code.first[bits]!;
    if (index >= 0 && index < code.count[bits]!) return code.symbols[code.start[bits]! + index]!;
  }
  throw new Damage('a bzip2 code', 'an unknown one');
}

/** Undoes Huffman codes, run lengths and move-to-front: the last column of the sorted rotations. */
function readTransformed(input: BitReader, symbols: number[], selectors: number[], codes: Code[], blockSize: number): Uint8Array {
  const column = new Uint8Array(blockSize);
  const order = symbols.slice();
  const endOfBlock = symbols.length + 1;
  let done = 0;
  let run = 0;
  let weight = 1;
  for (let read = 0; ; read++) {
    const code = codes[selectors[Math.floor(read / GROUP)] ?? -1];
    if (code === undefined) throw new Damage('more bzip2 selectors', 'none');
    const symbol = readSymbol(input, code);
    if (symbol === RUN_A || symbol === RUN_B) {
      run += weight * (symbol + 1);
      weight *= 2;
      if (run > blockSize) throw new Damage('a bzip2 run inside the block', `one of ${run}`);
      continue;
    }
    if (run > 0) {
      if (done + run > blockSize) throw new Damage('a bzip2 run inside the block', `one of ${run}`);
      column.fill(order[0]!, done, done + run);
      done += run;
      run = 0;
      weight = 1;
    }
    if (symbol === endOfBlock) return column.subarray(0, done);
    if (done >= blockSize) throw new Damage('the end of a bzip2 block', 'more data');
    const [byte] = order.splice(symbol - 1, 1);
    if (byte === undefined) throw new Damage('a bzip2 symbol', 'one out of range');
    order.unshift(byte);
    column[done++] = byte;
  }
}

/** Inverse Burrows-Wheeler transform. */
function untransform(column: Uint8Array, origin: number): Uint8Array {
  const starts = new Uint32Array(257);
  for (const byte of column) starts[byte + 1]!++;
  for (let i = 0; i < 256; i++) starts[i + 1]! += starts[i]!;
  const next = new Uint32Array(column.byteLength);
  for (let i = 0; i < column.byteLength; i++) next[starts[column[i]!]!++] = i;
  const bytes = new Uint8Array(column.byteLength);
  let at = next[origin]!;
  for (let i = 0; i < bytes.byteLength; i++) {
    bytes[i] = column[at]!;
    at = next[at]!;
  }
  return bytes;
}

/** The first stage of bzip2: four equal bytes are followed by a count of more. */
function unrepeat(bytes: Uint8Array, maxBytes: number): Uint8Array {
  const parts: number[] = [];
  let equal = 0;
  let previous = -1;
  for (const byte of bytes) {
    if (equal === 4) {
      for (let i = 0; i < byte; i++) parts.push(previous);
      equal = 0;
      previous = -1;
    } else {
      equal = byte === previous ? equal + 1 : 1;
      previous = byte;
      parts.push(byte);
    }
    if (parts.length > maxBytes) throw new OverLimit('decompressed size', maxBytes);
  }
  return Uint8Array.from(parts);
}

const crcTable = Uint32Array.from({ length: 256 }, (_, i) => {
  let value = i << 24;
  for (let bit = 0; bit < 8; bit++) value = value & 0x80000000 ? (value << 1) ^ 0x04c11db7 : value << 1;
  return value >>> 0;
});

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = ((crc << 8) ^ crcTable[((crc >>> 24) ^ byte) & 0xff]!) >>> 0;
  return ~crc >>> 0;
}
