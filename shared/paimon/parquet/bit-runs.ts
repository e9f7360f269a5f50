import { Damage } from '../damage.ts';

/**
 * Small integers as runs of one value or as packed bits, the least significant first (apache/parquet-format Encodings.md,
 * "RLE/Bit-Packing Hybrid"): levels and positions in dictionaries. Throws Damage.
 */
export class BitRuns {
  #at: number;
  #repeats = 0;
  #packed = 0;
  #value = 0;
  #bits = 0;
  #have = 0;
  readonly #bytes: Uint8Array;
  readonly #end: number;
  readonly #width: number;
  /** Position in the file of what holds these bytes, for messages. */
  readonly #offset: number;

  constructor(bytes: Uint8Array, start: number, end: number, width: number, offset: number) {
    if (width > 32) throw new Damage('at most 32 bits', `${width}`, offset);
    if (end > bytes.byteLength || start > end) throw new Damage('runs inside the page', 'longer ones', offset);
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.#width = width;
    this.#offset = offset;
  }

  next(): number {
    if (this.#repeats > 0) {
      this.#repeats--;
      return this.#value;
    }
    if (this.#packed > 0) {
      this.#packed--;
      return this.#unpack();
    }
    return this.#load();
  }

  #load(): number {
    for (;;) {
      let header = 0;
      let scale = 1;
      for (;;) {
        const byte = this.#byte();
        header += (byte & 0x7f) * scale;
        if (byte < 0x80) break;
        scale *= 128;
        if (scale > 2 ** 28) throw new Damage('a run of less than 2^31 values', 'a longer one', this.#offset);
      }
      const count = Math.floor(header / 2);
      if (count === 0) continue;
      if (header % 2 === 1) {
        this.#packed = count * 8 - 1;
        this.#have = 0;
        this.#bits = 0;
        return this.#unpack();
      }
      this.#value = 0;
      for (let i = 0; i < Math.ceil(this.#width / 8); i++) this.#value += this.#byte() * 2 ** (8 * i);
      this.#repeats = count - 1;
      return this.#value;
    }
  }

  #unpack(): number {
    let value = 0;
    let done = 0;
    while (done < this.#width) {
      if (this.#have === 0) {
        this.#bits = this.#byte();
        this.#have = 8;
      }
      const take = Math.min(this.#have, this.#width - done);
      value += (this.#bits & ((1 << take) - 1)) * 2 ** done;
      this.#bits >>= take;
      this.#have -= take;
      done += take;
    }
    return value;
  }

  #byte(): number {
    if (this.#at >= this.#end) throw new Damage('more runs in the page', 'its end', this.#offset);
    return this.#bytes[this.#at++]!;
  }
}

/** Bits needed for levels up to `max`. */
export function widthOf(max: number): number {
  return 32 - Math.clz32(max);
}
