import type { Value } from '../../../shared/paimon/binary-row.ts';
import type { DataType } from '../../../shared/paimon/data-type.ts';

/** Serializes a BinaryRow as Paimon does: arity, header and null bits, slots, variable part in whole words. */
export function encodeRow(values: readonly Value[], types: readonly DataType[]): Uint8Array {
  const width = Math.floor((values.length + 71) / 64) * 8;
  const fixed = Buffer.alloc(width + values.length * 8);
  const parts: Buffer[] = [];
  let end = fixed.length;
  const append = (bytes: Uint8Array): number => {
    const padded = Buffer.alloc(Math.ceil(bytes.length / 8) * 8);
    padded.set(bytes);
    parts.push(padded);
    end += padded.length;
    return end - padded.length;
  };
  for (const [i, value] of values.entries()) {
    const at = width + i * 8;
    const type = types[i]!;
    if (value === null || value === undefined || type.kind !== 'atomic') {
      fixed[(i + 8) >> 3]! |= 1 << ((i + 8) & 7);
      continue;
    }
    const variable = (bytes: Uint8Array): void => {
      fixed.writeUInt32LE(bytes.length, at);
      fixed.writeUInt32LE(append(bytes), at + 4);
    };
    if (typeof value === 'boolean') fixed[at] = value ? 1 : 0;
    else if (typeof value === 'bigint') fixed.writeBigInt64LE(value, at);
    else if (typeof value === 'number') {
      if (type.name === 'TINYINT') fixed.writeInt8(value, at);
      else if (type.name === 'SMALLINT') fixed.writeInt16LE(value, at);
      else if (type.name === 'FLOAT') fixed.writeFloatLE(value, at);
      else if (type.name === 'DOUBLE') fixed.writeDoubleLE(value, at);
      else fixed.writeInt32LE(value, at);
    } else if (typeof value === 'string' || value instanceof Uint8Array) {
      const bytes = Buffer.from(value as Uint8Array);
      if (bytes.length <= 7) {
        fixed.set(bytes, at);
        fixed[at + 7] = 0x80 | bytes.length;
      } else variable(bytes);
    } else if ('unscaled' in value) {
      if (type.precision <= 18) fixed.writeBigInt64LE(value.unscaled, at);
      else {
        const bytes = twosComplement(value.unscaled);
        const area = Buffer.alloc(16);
        area.set(bytes);
        fixed.writeUInt32LE(bytes.length, at);
        fixed.writeUInt32LE(append(area), at + 4);
      }
    } else if (type.precision <= 3) fixed.writeBigInt64LE(value.millis, at);
    else {
      const millis = Buffer.alloc(8);
      millis.writeBigInt64LE(value.millis);
      fixed.writeUInt32LE(value.nanos, at);
      fixed.writeUInt32LE(append(millis), at + 4);
    }
  }
  const arity = Buffer.alloc(4);
  arity.writeInt32BE(values.length);
  return Buffer.concat([arity, fixed, ...parts]);
}

function twosComplement(value: bigint): Uint8Array {
  for (let bytes = 1; ; bytes++) {
    if (BigInt.asIntN(bytes * 8, value) !== value) continue;
    const unsigned = BigInt.asUintN(bytes * 8, value);
    return Buffer.from(unsigned.toString(16).padStart(bytes * 2, '0'), 'hex');
  }
}
