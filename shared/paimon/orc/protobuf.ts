import { Damage } from '../damage.ts';

/** Walks the fields of a Protocol Buffers message: a varint as number, length-delimited bytes as such; fixed-width fields are stepped over. */
export function eachField(message: Uint8Array, at: number, onField: (field: number, value: number | Uint8Array) => void): void {
  const input = { bytes: message, next: 0 };
  while (input.next < message.byteLength) {
    const tag = varint(input, at);
    const field = Math.floor(tag / 8);
    switch (tag % 8) {
      case 0:
        onField(field, varint(input, at));
        break;
      case 1:
        input.next += 8;
        break;
      case 2: {
        const length = varint(input, at);
        if (length > message.byteLength - input.next)
          throw new Damage('a field inside its message', `${length} bytes`, at + input.next);
        input.next += length;
        onField(field, message.subarray(input.next - length, input.next));
        break;
      }
      case 5:
        input.next += 4;
        break;
      default:
        throw new Damage('a known wire type', String(tag % 8), at + input.next);
    }
  }
}

function varint(input: { bytes: Uint8Array; next: number }, at: number): number {
  let value = 0;
  for (let scale = 1; ; scale *= 128) {
    const byte = input.bytes[input.next++];
    if (byte === undefined || scale > 2 ** 63) throw new Damage('a varint', 'its end too early', at + input.next);
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
  }
}

export function asNumber(value: number | Uint8Array, what: string, at: number): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value))
    throw new Damage(`a number for ${what}`, typeof value === 'number' ? 'a larger one' : 'bytes', at);
  return value;
}

export function asBytes(value: number | Uint8Array, what: string, at: number): Uint8Array {
  if (typeof value === 'number') throw new Damage(`bytes for ${what}`, 'a number', at);
  return value;
}

export function asText(value: number | Uint8Array, what: string, at: number): string {
  const bytes = asBytes(value, what, at);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

/** Appends the values of a repeated integer, packed or not. */
export function addNumbers(list: number[], value: number | Uint8Array, at: number): void {
  if (typeof value === 'number') {
    list.push(value);
    return;
  }
  const input = { bytes: value, next: 0 };
  while (input.next < value.byteLength) list.push(varint(input, at));
}
