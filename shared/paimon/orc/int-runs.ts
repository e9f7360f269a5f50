import { Damage } from '../damage.ts';

type Int = number | bigint;

const MAX_RUN = 512;

/** Five-bit codes of bit widths (ORC specification v1, "Integer Run Length Encoding, version 2"). */
const WIDTHS = [...Array.from({ length: 24 }, (_, code) => code + 1), 26, 28, 30, 32, 40, 48, 56, 64];

const SAFE_BITS = 53;

/**
 * Integer run length encoding, versions 1 and 2. Gives numbers, and bigints only beyond 2^53. A run is decoded when its first
 * value is asked for; runs hold 512 values at most, so nothing here grows with what the file says. Throws Damage.
 */
export class IntRuns {
  #at = 0;
  readonly #run: Int[] = [];
  #taken = 0;
  #length = 0;
  readonly #bytes: Uint8Array;
  readonly #signed: boolean;
  readonly #version: 1 | 2;
  readonly #offset: number;

  /** `offset` of the stream in the file is for messages. Lengths, dictionary positions and nanoseconds are unsigned. */
  constructor(bytes: Uint8Array, options: { signed: boolean; version: 1 | 2; offset: number }) {
    this.#bytes = bytes;
    this.#signed = options.signed;
    this.#version = options.version;
    this.#offset = options.offset;
  }

  next(): Int {
    if (this.#taken === this.#length) this.#load();
    return this.#run[this.#taken++]!;
  }

  #load(): void {
    this.#taken = 0;
    if (this.#version === 1) {
      this.#loadVersion1();
      return;
    }
    const first = this.#byte();
    switch (first >> 6) {
      case 0:
        this.#loadShortRepeat(first);
        break;
      case 1:
        this.#loadDirect(first);
        break;
      case 2:
        this.#loadPatchedBase(first);
        break;
      default:
        this.#loadDelta(first);
    }
  }

  #loadVersion1(): void {
    const control = this.#byte();
    if (control >= 0x80) {
      this.#length = 0x100 - control;
      for (let i = 0; i < this.#length; i++) this.#run[i] = this.#varint(this.#signed);
      return;
    }
    this.#length = control + 3;
    const delta = (this.#byte() << 24) >> 24;
    const base = this.#varint(this.#signed);
    for (let i = 0; i < this.#length; i++) this.#run[i] = add(base, i * delta);
  }

  #loadShortRepeat(first: number): void {
    const width = (((first >> 3) & 7) + 1) * 8;
    this.#length = (first & 7) + 3;
    this.#unpack(1, width, this.#run);
    const value = this.#signed ? unzigzag(this.#run[0]!) : this.#run[0]!;
    for (let i = 0; i < this.#length; i++) this.#run[i] = value;
  }

  #loadDirect(first: number): void {
    const width = WIDTHS[(first >> 1) & 31]!;
    this.#length = this.#runLength(first);
    this.#unpack(this.#length, width, this.#run);
    if (this.#signed) for (let i = 0; i < this.#length; i++) this.#run[i] = unzigzag(this.#run[i]!);
  }

  #loadPatchedBase(first: number): void {
    const width = WIDTHS[(first >> 1) & 31]!;
    this.#length = this.#runLength(first);
    const third = this.#byte();
    const fourth = this.#byte();
    const baseWidth = ((third >> 5) + 1) * 8;
    const patchWidth = WIDTHS[third & 31]!;
    const gapWidth = (fourth >> 5) + 1;
    const patches = fourth & 31;
    if (patchWidth + gapWidth > 64) this.#fail('a patch of at most 64 bits', `${patchWidth + gapWidth}`);
    const one: Int[] = [];
    this.#unpack(1, baseWidth, one);
    // Sign and magnitude, unlike everything else.
    const sign = 1n << BigInt(baseWidth - 1);
    const raw = BigInt(one[0]!);
    const base = narrow((raw & sign) === 0n ? raw : -(raw & ~sign));
    this.#unpack(this.#length, width, this.#run);
    const list: Int[] = [];
    this.#unpack(patches, WIDTHS.find((w) => w >= patchWidth + gapWidth)!, list);
    let position = 0;
    for (let i = 0; i < patches; i++) {
      const entry = BigInt(list[i]!);
      const patch = entry & ((1n << BigInt(patchWidth)) - 1n);
      position += Number(entry >> BigInt(patchWidth));
      // A gap of more than 255 is written as steps without a patch.
      if (patch === 0n) continue;
      if (position >= this.#length) this.#fail('a patch inside the run', `one at ${position}`);
      this.#run[position] = narrow(BigInt(this.#run[position]!) | (patch << BigInt(width)));
    }
    for (let i = 0; i < this.#length; i++) this.#run[i] = add(base, this.#run[i]!);
  }

  #loadDelta(first: number): void {
    const code = (first >> 1) & 31;
    this.#length = this.#runLength(first);
    const base = this.#varint(this.#signed);
    const step = this.#varint(true);
    const run = this.#run;
    if (code === 0) {
      run[0] = base;
      for (let i = 1; i < this.#length; i++) run[i] = add(run[i - 1]!, step);
      return;
    }
    if (this.#length < 2) this.#fail('a run of two values or more', '1');
    const deltas: Int[] = [];
    this.#unpack(this.#length - 2, WIDTHS[code]!, deltas);
    run[0] = base;
    run[1] = add(base, step);
    const down = step < 0;
    for (let i = 2; i < this.#length; i++) run[i] = add(run[i - 1]!, down ? -deltas[i - 2]! : deltas[i - 2]!);
  }

  /** One to 512: nine bits over two bytes. */
  #runLength(first: number): number {
    return Math.min(((first & 1) << 8) + this.#byte() + 1, MAX_RUN);
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) this.#fail('more numbers in an ORC stream', 'its end');
    return byte;
  }

  /** Base 128, least significant group first; signed ones are zigzag. */
  #varint(signed: boolean): Int {
    let value = 0;
    let scale = 1;
    const start = this.#at;
    for (;;) {
      const byte = this.#byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
      if (this.#at - start > 9) this.#fail('a 64-bit integer', 'a longer one');
      scale *= 128;
    }
    if (this.#at - start <= 7) return signed ? unzigzag(value) : value;
    let wide = 0n;
    for (let i = this.#at - 1; i >= start; i--) wide = (wide << 7n) | BigInt(this.#bytes[i]! & 0x7f);
    wide = BigInt.asUintN(64, wide);
    return signed ? unzigzag(wide) : narrow(BigInt.asIntN(64, wide));
  }

  /** `count` unsigned values of `width` bits each, most significant first, that end on a whole byte. */
  #unpack(count: number, width: number, into: Int[]): void {
    const bytes = this.#bytes;
    const end = this.#at + Math.ceil((count * width) / 8);
    if (end > bytes.byteLength) this.#fail('more numbers in an ORC stream', 'its end');
    let at = this.#at;
    this.#at = end;
    if (width === 8) {
      for (let i = 0; i < count; i++) into[i] = bytes[at++]!;
      return;
    }
    if (width === 16) {
      for (let i = 0; i < count; i++, at += 2) into[i] = (bytes[at]! << 8) | bytes[at + 1]!;
      return;
    }
    if (width > SAFE_BITS) {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      // Only 56 and 64 are left: whole bytes.
      for (let i = 0; i < count; i++, at += width / 8) {
        const low = view.getUint32(at + width / 8 - 4);
        const high = width === 64 ? view.getUint32(at) : bytes[at]! * 2 ** 16 + view.getUint16(at + 1);
        into[i] = high < 2 ** (SAFE_BITS - 32) ? high * 2 ** 32 + low : (BigInt(high) << 32n) | BigInt(low);
      }
      return;
    }
    let byte = 0;
    let left = 0;
    for (let i = 0; i < count; i++) {
      let value = 0;
      let need = width;
      while (need > left) {
        value = value * 2 ** left + (byte & ((1 << left) - 1));
        need -= left;
        byte = bytes[at++]!;
        left = 8;
      }
      left -= need;
      into[i] = value * 2 ** need + ((byte >> left) & ((1 << need) - 1));
    }
  }

  #fail(expected: string, found: string): never {
    throw new Damage(expected, found, this.#offset);
  }
}

function unzigzag(value: Int): Int {
  if (typeof value === 'bigint') return narrow(value & 1n ? -(value >> 1n) - 1n : value >> 1n);
  return value % 2 === 1 ? -(value - 1) / 2 - 1 : value / 2;
}

/** Wraps at 64 bits, as writers in Java and C++ do. */
function add(left: Int, right: Int): Int {
  if (typeof left === 'number' && typeof right === 'number') {
    const sum = left + right;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return narrow(BigInt.asIntN(64, BigInt(left) + BigInt(right)));
}

function narrow(value: bigint): Int {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
