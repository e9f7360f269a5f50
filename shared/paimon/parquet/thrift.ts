import { Damage, OverLimit } from '../damage.ts';
import { MAX_DEPTH } from '../limits.ts';

export type Thrift = boolean | number | bigint | Uint8Array | Thrift[] | ThriftStruct;
/** Fields by their id. */
export type ThriftStruct = Map<number, Thrift>;

const TRUE = 1;
const FALSE = 2;

/**
 * Reads structs in Thrift's compact protocol (apache/thrift doc/specs/thrift-compact-protocol.md), by field id. Everything
 * read takes bytes of the input, so memory stays in proportion to it. Throws Damage or OverLimit.
 */
export class ThriftReader {
  at: number;
  readonly #bytes: Uint8Array;
  readonly #end: number;
  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes;
    this.at = start;
    this.#end = end;
  }

  struct(depth = 0): ThriftStruct {
    if (depth > MAX_DEPTH) throw new OverLimit('depth of the Parquet footer', MAX_DEPTH);
    const fields: ThriftStruct = new Map();
    let id = 0;
    for (;;) {
      const header = this.#byte();
      const type = header & 15;
      if (type === 0) return fields;
      id = header >> 4 === 0 ? this.#int() : id + (header >> 4);
      fields.set(id, type === TRUE ? true : type === FALSE ? false : this.#value(type, depth));
    }
  }

  #value(type: number, depth: number): Thrift {
    switch (type) {
      case TRUE:
      case FALSE:
        return this.#byte() === TRUE;
      case 3:
        return (this.#byte() << 24) >> 24;
      case 4:
      case 5:
      case 6:
        return this.#zigzag();
      case 7:
        return this.#take(8);
      case 8:
        return this.#take(this.#count());
      case 9:
      case 10: {
        const header = this.#byte();
        const size = header >> 4 === 15 ? this.#count() : header >> 4;
        const items: Thrift[] = [];
        for (let i = 0; i < size; i++) items.push(this.#value(header & 15, depth + 1));
        return items;
      }
      case 11: {
        const size = this.#count();
        const types = size === 0 ? 0 : this.#byte();
        const items: Thrift[] = [];
        for (let i = 0; i < size; i++) items.push(this.#value(types >> 4, depth + 1), this.#value(types & 15, depth + 1));
        return items;
      }
      case 12:
        return this.struct(depth + 1);
      default:
        throw new Damage('a Thrift type', `${type}`, this.at);
    }
  }

  #byte(): number {
    if (this.at >= this.#end) throw new Damage('more bytes of a Thrift struct', 'its end', this.at);
    return this.#bytes[this.at++]!;
  }

  #take(length: number): Uint8Array {
    if (length > this.#end - this.at) throw new Damage('a Thrift length inside the struct', `${length}`, this.at);
    this.at += length;
    return this.#bytes.subarray(this.at - length, this.at);
  }

  /** A length; every item takes a byte or more. */
  #count(): number {
    const count = Number(this.#varint());
    if (count > this.#end - this.at) throw new Damage('a Thrift length inside the struct', `${count}`, this.at);
    return count;
  }

  #int(): number {
    return Number(this.#zigzag());
  }

  #zigzag(): number | bigint {
    const raw = this.#varint();
    if (raw <= 0x7fffffffn) {
      const low = Number(raw);
      return (low >>> 1) ^ -(low & 1);
    }
    const value = raw & 1n ? -(raw >> 1n) - 1n : raw >> 1n;
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  #varint(): bigint {
    let low = 0;
    let high = 0n;
    for (let i = 0; i < 10; i++) {
      const byte = this.#byte();
      if (i < 4) low |= (byte & 0x7f) << (7 * i);
      else high |= BigInt(byte & 0x7f) << BigInt(7 * i);
      if (byte < 0x80) return BigInt.asUintN(64, high | BigInt(low));
    }
    throw new Damage('a 64-bit integer', 'a longer one', this.at);
  }
}

export function numberOf(struct: ThriftStruct, id: number, what: string): number {
  const value = struct.get(id);
  if (typeof value !== 'number') throw new Damage(`a number as ${what}`, value === undefined ? 'none' : 'something else');
  return value;
}

/** Like `numberOf`, for sizes, offsets and counts: not negative. */
export function countOf(struct: ThriftStruct, id: number, what: string): number {
  const value = numberOf(struct, id, what);
  if (value < 0) throw new Damage(`a count as ${what}`, `${value}`);
  return value;
}

export function structOf(struct: ThriftStruct, id: number, what: string): ThriftStruct {
  return asStruct(struct.get(id), what);
}

export function asStruct(value: Thrift | undefined, what: string): ThriftStruct {
  if (!(value instanceof Map)) throw new Damage(`a struct as ${what}`, value === undefined ? 'none' : 'something else');
  return value;
}

export function listOf(struct: ThriftStruct, id: number, what: string): Thrift[] {
  const value = struct.get(id);
  if (!Array.isArray(value)) throw new Damage(`a list as ${what}`, value === undefined ? 'none' : 'something else');
  return value;
}

export function textOf(value: Thrift | undefined, what: string): string {
  if (!(value instanceof Uint8Array)) throw new Damage(`a text as ${what}`, value === undefined ? 'none' : 'something else');
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8');
}
