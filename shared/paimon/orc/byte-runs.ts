import { Damage } from '../damage.ts';

/** Byte run length encoding (ORC specification v1, "Byte Run Length Encoding"). `offset` is for messages. Throws Damage. */
export class ByteRuns {
  #at = 0;
  #repeats = 0;
  #literals = 0;
  #value = 0;
  readonly #bytes: Uint8Array;
  readonly #offset: number;
  constructor(bytes: Uint8Array, offset: number) {
    this.#bytes = bytes;
    this.#offset = offset;
  }

  /** 0 to 255. */
  next(): number {
    if (this.#repeats > 0) {
      this.#repeats--;
      return this.#value;
    }
    if (this.#literals > 0) {
      this.#literals--;
      return this.#byte();
    }
    const control = this.#byte();
    if (control < 0x80) {
      this.#repeats = control + 2;
      this.#value = this.#byte();
      return this.#value;
    }
    this.#literals = 0xff - control;
    return this.#byte();
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new Damage('more bytes in an ORC stream', 'its end', this.#offset);
    return byte;
  }
}

/** One bit a value, from the most significant end, in byte runs (ORC specification v1, "Boolean Run Length Encoding"). */
export class BooleanRuns {
  readonly #bytes: ByteRuns;
  #byte = 0;
  #left = 0;
  constructor(bytes: Uint8Array, offset: number) {
    this.#bytes = new ByteRuns(bytes, offset);
  }

  next(): boolean {
    if (this.#left === 0) {
      this.#byte = this.#bytes.next();
      this.#left = 8;
    }
    return ((this.#byte >> --this.#left) & 1) === 1;
  }
}
