import { Damage, OverLimit } from './damage.ts';
import type { DataType } from './data-type.ts';
import { MAX_ROW_FIELDS } from './limits.ts';

/**
 * A decoded value, typed: DECIMAL keeps its unscaled integer; timestamps are milliseconds and nanoseconds within the
 * millisecond, local ones as if UTC; DATE days, TIME milliseconds of the day. `undefined` is a type that has no readable form here.
 */
export type Value =
  | null
  | undefined
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | { unscaled: bigint; scale: number }
  | { millis: bigint; nanos: number };

/** Arity of a serialized row: its first four bytes, big endian. */
export function arityOf(bytes: Uint8Array): number {
  if (bytes.byteLength < 4) throw new Damage('a serialized row', `${bytes.byteLength} bytes`);
  const arity = new DataView(bytes.buffer, bytes.byteOffset, 4).getInt32(0);
  if (arity < 0 || arity > MAX_ROW_FIELDS) throw new OverLimit('fields of a row', MAX_ROW_FIELDS);
  return arity;
}

/** Decodes a serialized BinaryRow (`org.apache.paimon.data.BinaryRow`) with the types that wrote it. Throws Damage. */
export function decodeRow(bytes: Uint8Array, types: readonly DataType[]): Value[] {
  const arity = arityOf(bytes);
  if (arity !== types.length) throw new Damage(`a row of ${types.length} fields`, `one of ${arity}`);
  const row = new RowView(bytes.subarray(4), arity);
  return types.map((type, i) => (row.isNull(i) ? null : row.value(i, type)));
}

class RowView {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** Header and null bits, in whole 8-byte words. */
  readonly #width: number;

  constructor(bytes: Uint8Array, arity: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#width = Math.floor((arity + 71) / 64) * 8;
    if (bytes.byteLength < this.#width + arity * 8) throw new Damage(`a row of ${arity} fields`, `${bytes.byteLength} bytes`);
  }

  isNull(i: number): boolean {
    return ((this.#bytes[(i + 8) >> 3]! >> ((i + 8) & 7)) & 1) === 1;
  }

  value(i: number, type: DataType): Value {
    if (type.kind !== 'atomic') return undefined;
    const at = this.#width + i * 8;
    const view = this.#view;
    switch (type.name) {
      case 'BOOLEAN':
        return view.getUint8(at) !== 0;
      case 'TINYINT':
        return view.getInt8(at);
      case 'SMALLINT':
        return view.getInt16(at, true);
      case 'INT':
      case 'DATE':
      case 'TIME':
        return view.getInt32(at, true);
      case 'BIGINT':
        return view.getBigInt64(at, true);
      case 'FLOAT':
        return view.getFloat32(at, true);
      case 'DOUBLE':
        return view.getFloat64(at, true);
      case 'DECIMAL':
        if (type.precision <= 18) return { unscaled: view.getBigInt64(at, true), scale: type.scale };
        return { unscaled: bigEndian(this.#variable(at)), scale: type.scale };
      case 'TIMESTAMP':
      case 'TIMESTAMP_LTZ': {
        if (type.precision <= 3) return { millis: view.getBigInt64(at, true), nanos: 0 };
        // The low half is no length here but the nanoseconds.
        const nanos = view.getUint32(at, true);
        const offset = view.getUint32(at + 4, true);
        if (nanos > 999_999 || offset + 8 > this.#bytes.byteLength)
          throw new Damage('a timestamp', `offset ${offset}, nanoseconds ${nanos}`);
        return { millis: view.getBigInt64(offset, true), nanos };
      }
      case 'CHAR':
      case 'VARCHAR':
        return Buffer.from(this.#inline(at)).toString('utf8');
      case 'BINARY':
      case 'VARBINARY':
        return Uint8Array.from(this.#inline(at));
      default:
        return undefined;
    }
  }

  /** Up to seven bytes lie in the slot itself, marked in its last byte. */
  #inline(at: number): Uint8Array {
    const mark = this.#bytes[at + 7]!;
    if ((mark & 0x80) === 0) return this.#variable(at);
    const length = mark & 0x7f;
    if (length > 7) throw new Damage('at most 7 bytes in a slot', `${length}`);
    return this.#bytes.subarray(at, at + length);
  }

  #variable(at: number): Uint8Array {
    const length = this.#view.getUint32(at, true);
    const offset = this.#view.getUint32(at + 4, true);
    if (offset + length > this.#bytes.byteLength)
      throw new Damage('a value inside the row', `offset ${offset}, length ${length}`);
    return this.#bytes.subarray(offset, offset + length);
  }
}

function bigEndian(bytes: Uint8Array): bigint {
  if (bytes.byteLength === 0 || bytes.byteLength > 16) throw new Damage('a decimal of 1 to 16 bytes', `${bytes.byteLength}`);
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return BigInt.asIntN(bytes.byteLength * 8, value);
}
