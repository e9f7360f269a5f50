import { Damage } from '../damage.ts';
import type { RawText } from '../rows.ts';

/** Reads Avro's binary encoding from one block. Every read is checked against the block's end; throws Damage. */
export class Cursor {
  at = 0;
  end = 0;
  bytes: Buffer = Buffer.alloc(0);
  #view: DataView = new DataView(new ArrayBuffer(0));

  reset(block: Uint8Array): void {
    this.bytes = Buffer.from(block.buffer, block.byteOffset, block.byteLength);
    this.#view = new DataView(block.buffer, block.byteOffset, block.byteLength);
    this.at = 0;
    this.end = block.byteLength;
  }

  /** A zigzag varint; bigint only where a double would round. */
  readLong(): number | bigint {
    const bytes = this.bytes;
    let at = this.at;
    let byte = bytes[at++]!;
    let low = byte & 0x7f;
    if (byte >= 0x80) {
      byte = bytes[at++]!;
      low |= (byte & 0x7f) << 7;
      if (byte >= 0x80) {
        byte = bytes[at++]!;
        low |= (byte & 0x7f) << 14;
        if (byte >= 0x80) {
          byte = bytes[at++]!;
          low |= (byte & 0x7f) << 21;
          if (byte >= 0x80) return this.#readWide(at, low);
        }
      }
    }
    if (at > this.end) this.#ended();
    this.at = at;
    return (low >>> 1) ^ -(low & 1);
  }

  #readWide(start: number, low28: number): number | bigint {
    const bytes = this.bytes;
    let at = start;
    let middle = 0;
    let byte = 0x80;
    for (let shift = 0; shift < 28 && byte >= 0x80; shift += 7) {
      byte = bytes[at++]!;
      middle |= (byte & 0x7f) << shift;
    }
    let high = middle;
    for (let scale = 2 ** 28; byte >= 0x80; scale *= 128) {
      // Ten bytes hold 70 bits; only 64 may be used.
      if (at - start >= 6) throw new Damage('a 64-bit integer', 'a longer one', at);
      byte = bytes[at++]!;
      high += (byte & 0x7f) * scale;
    }
    if (at > this.end) this.#ended();
    this.at = at;
    if (high < 2 ** 24) {
      const raw = high * 2 ** 28 + low28;
      return low28 & 1 ? -(raw - 1) / 2 - 1 : raw / 2;
    }
    const raw = (BigInt(high) << 28n) | BigInt(low28);
    if (raw >= 2n ** 64n) throw new Damage('a 64-bit integer', 'a longer one', at);
    const value = raw & 1n ? -(raw >> 1n) - 1n : raw >> 1n;
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  /** A varint that must be a count or a length inside the block. */
  readLength(): number {
    const length = this.readLong();
    if (typeof length === 'bigint' || length < 0 || length > this.end - this.at) {
      throw new Damage('a length inside the block', String(length), this.at);
    }
    return length;
  }

  skipLong(): void {
    const bytes = this.bytes;
    let at = this.at;
    while (bytes[at++]! >= 0x80);
    if (at > this.end) this.#ended();
    this.at = at;
  }

  /** Bytes of the block that `readCount` just began, or -1 where the writer left them out. */
  blockBytes = -1;

  /** The number of items in the next block of an array or map, 0 at its end. A negative one is followed by the block's size. */
  readCount(): number {
    let count = this.readLong();
    this.blockBytes = -1;
    if (count < 0) {
      count = -count;
      this.blockBytes = this.readLength();
    }
    // Every item of the types in question takes at least a byte, so a larger count is damage, not data.
    if (typeof count === 'bigint' || count > this.end - this.at)
      throw new Damage('a count inside the block', String(count), this.at);
    return count;
  }

  readRawText(text: RawText): void {
    const length = this.readLength();
    text.bytes = this.bytes;
    text.start = this.at;
    this.at += length;
    text.end = this.at;
  }

  /** The branch of a union of so many. */
  readBranch(branches: number): number {
    const index = this.readLong();
    if (typeof index === 'bigint' || index < 0 || index >= branches)
      throw new Damage('a branch of a union', String(index), this.at);
    return index;
  }

  /** After reading `bytes` without the cursor. */
  moveTo(at: number): void {
    this.at = at;
    if (at > this.end) this.#ended();
  }

  fail(expected: string, at: number): never {
    throw new Damage(expected, at < this.end ? String(this.bytes[at]) : 'the end of the block', at);
  }

  readBytes(): Uint8Array {
    const length = this.readLength();
    const start = this.at;
    this.at = start + length;
    return this.bytes.subarray(start, this.at);
  }

  readString(): string {
    const length = this.readLength();
    const start = this.at;
    this.at = start + length;
    return this.bytes.toString('utf8', start, this.at);
  }

  skip(length: number): void {
    if (length > this.end - this.at) this.#ended();
    this.at += length;
  }

  skipBytes(): void {
    const length = this.readLength();
    this.at += length;
  }

  readBoolean(): boolean {
    if (this.at >= this.end) this.#ended();
    return this.bytes[this.at++] !== 0;
  }

  readFloat(): number {
    this.skip(4);
    return this.#view.getFloat32(this.at - 4, true);
  }

  readDouble(): number {
    this.skip(8);
    return this.#view.getFloat64(this.at - 8, true);
  }

  #ended(): never {
    throw new Damage('more bytes in the block', 'its end', this.at);
  }
}
