import { Damage, NotReadable } from '../damage.ts';
import { type Cell, type OnRow, RawText, type RecordCell, type Slots } from '../rows.ts';
import type { Cursor } from './cursor.ts';
import type { AvroType } from './schema.ts';

type Skip = (cursor: Cursor) => void;
type Read = (cursor: Cursor) => Cell;

/**
 * What to do with one row, field by field, in numbers: an operation, then its operands. Run by one loop, since a call for each
 * of forty fields of a row costs more than the fields.
 */
const OP = {
  /** count: steps over so many integers. */
  skipLongs: 0,
  /** count: steps over so many byte strings or texts. */
  skipBytes: 1,
  /** branch of null, where to go on for null, the slot that is null then or -1: a value that may be null. */
  unlessNull: 2,
  /** slot: sets null. */
  clear: 3,
  /** slot. */
  long: 4,
  /** slot: the same object as in the row before where the bytes are the same. */
  bytes: 5,
  /** slot, number of the RawText that its rows share. */
  rawText: 6,
  /** slot, number of a function: an array, mostly an empty one. */
  array: 7,
  /** number of a function: an array, mostly an empty one. */
  skipArray: 8,
  /** number of a function: an array of integers that may be null (branch 0). */
  skipNullableLongs: 9,
  /** slot, number of a function: anything else that is wanted. */
  read: 10,
  /** number of a function: anything else that is not. */
  skip: 11,
} as const;

const NO_ITEMS: Cell[] = [];

/** How to decode the wanted columns of a record and step over the rest. Made once a file from its writer's schema. */
export class RowPlan {
  readonly #code: number[] = [];
  readonly #reads: Read[] = [];
  readonly #skips: Skip[] = [];
  readonly #wanted: Map<string, number>;
  readonly #raw: ReadonlySet<string>;
  readonly #texts: RawText[] = [];
  /** The slot of the first column of bytes: the partition, which mostly is that of the row before. */
  #repeating = -1;
  /** Of a file whose rows may be null as a whole: the branch that is null. */
  #nullRow = -1;

  /** Columns are found by name, whatever their order; those in `raw` are given as RawText. Throws Damage, NotReadable. */
  constructor(type: AvroType, columns: readonly string[], raw: ReadonlySet<string>) {
    this.#wanted = new Map(columns.map((column, slot) => [column, slot]));
    this.#raw = raw;
    let row = type;
    if (type.kind === 'union') {
      const [nullAt, other] = nullable(type);
      if (other === undefined || nullAt === undefined) throw new NotReadable('a manifest whose rows are a union');
      this.#nullRow = nullAt;
      row = other;
    }
    if (row.kind !== 'record') throw new Damage('an Avro file of records', `one of ${row.kind}`);
    this.#record(row, '');
  }

  /**
   * Decodes the rows of a block, one after the other, into the same slots; columns that the file lacks stay as they are. Small
   * numbers, which are nearly all, are decoded here and not by the cursor: that makes half of the speed.
   */
  readRows(cursor: Cursor, count: number, slots: Slots, onRow: OnRow): void {
    const code = Int32Array.from(this.#code);
    const { bytes } = cursor;
    const texts = this.#texts;
    const repeating = new Repeating(bytes);
    for (let row = 0; row < count; row++) {
      if (this.#nullRow >= 0 && cursor.readLong() === this.#nullRow) continue;
      let at = cursor.at;
      for (let pc = 0; pc < code.length; ) {
        const operand = code[pc + 1]!;
        switch (code[pc]) {
          case OP.skipLongs:
            for (let left = operand; left > 0; at++) if (bytes[at]! < 0x80 || at >= bytes.length) left--;
            pc += 2;
            break;
          case OP.skipBytes:
            for (let left = operand; left > 0; left--) {
              const size = bytes[at]!;
              const more = bytes[at + 1]!;
              if (size < 0x80 && (size & 1) === 0) at += 1 + (size >> 1);
              else if (more < 0x80 && (size & 1) === 0) at += 2 + (((more << 7) | (size & 0x7f)) >> 1);
              else {
                cursor.at = at;
                cursor.skipBytes();
                at = cursor.at;
              }
            }
            pc += 2;
            break;
          case OP.unlessNull: {
            const branch = bytes[at]! >> 1;
            if (bytes[at] !== 0 && bytes[at] !== 2) cursor.fail('branch 0 or 1 of a union', at);
            at++;
            if (branch !== operand) pc += 4;
            else {
              if (code[pc + 3]! >= 0) slots[code[pc + 3]!] = null;
              pc = code[pc + 2]!;
            }
            break;
          }
          case OP.clear:
            slots[operand] = null;
            pc += 2;
            break;
          case OP.long: {
            const byte = bytes[at]!;
            if (byte < 0x80) {
              slots[operand] = (byte >>> 1) ^ -(byte & 1);
              at++;
            } else {
              cursor.at = at;
              slots[operand] = cursor.readLong();
              at = cursor.at;
            }
            pc += 2;
            break;
          }
          case OP.bytes:
            cursor.at = at;
            slots[operand] = repeating.next(cursor);
            at = cursor.at;
            pc += 2;
            break;
          case OP.rawText:
            cursor.at = at;
            cursor.readRawText(texts[code[pc + 2]!]!);
            at = cursor.at;
            slots[operand] = texts[code[pc + 2]!]!;
            pc += 3;
            break;
          case OP.array:
            if (bytes[at] === 0) {
              slots[operand] = NO_ITEMS;
              at++;
            } else {
              cursor.at = at;
              slots[operand] = this.#reads[code[pc + 2]!]!(cursor);
              at = cursor.at;
            }
            pc += 3;
            break;
          case OP.skipArray:
            if (bytes[at] === 0) at++;
            else {
              cursor.at = at;
              this.#skips[operand]!(cursor);
              at = cursor.at;
            }
            pc += 2;
            break;
          case OP.skipNullableLongs: {
            // One block of null counts, each a branch and a number of one byte: as statistics nearly always are.
            const first = bytes[at]!;
            const end = (first & 0x81) === 0 ? at + 1 + first : -1;
            let next = at + 1;
            while (next < end && bytes[next] === 2 && bytes[next + 1]! < 0x80) next += 2;
            if (first === 0) at++;
            else if (next === end && bytes[end] === 0) at = end + 1;
            else {
              cursor.at = at;
              this.#skips[operand]!(cursor);
              at = cursor.at;
            }
            pc += 2;
            break;
          }
          case OP.read:
            cursor.at = at;
            slots[operand] = this.#reads[code[pc + 2]!]!(cursor);
            at = cursor.at;
            pc += 3;
            break;
          default:
            cursor.at = at;
            this.#skips[operand]!(cursor);
            at = cursor.at;
            pc += 2;
        }
      }
      cursor.moveTo(at);
      onRow(slots);
    }
  }

  #record(type: AvroType & { kind: 'record' }, prefix: string): void {
    for (const field of type.fields) {
      const path = prefix + field.name;
      if (this.#isWanted(path)) this.#field(field.type, path);
      else this.#skip(field.type);
    }
  }

  #isWanted(path: string): boolean {
    return this.#wanted.has(path) || this.#wantedBelow(path).length > 0;
  }

  #wantedBelow(path: string): number[] {
    return [...this.#wanted].flatMap(([column, slot]) => (column.startsWith(`${path}.`) ? [slot] : []));
  }

  #field(type: AvroType, path: string): void {
    if (type.kind === 'union') {
      const [nullAt, other] = nullable(type);
      if (nullAt !== undefined && other !== undefined) {
        const own = this.#wanted.get(path);
        if (own === undefined) for (const slot of this.#wantedBelow(path)) this.#code.push(OP.clear, slot);
        this.#unlessNull(nullAt, own ?? -1, () => this.#field(other, path));
        return;
      }
    }
    const slot = this.#wanted.get(path);
    if (slot !== undefined) this.#value(type, slot, this.#raw.has(path));
    else if (type.kind === 'record') this.#record(type, `${path}.`);
    else throw new Damage(`a record at ${path}`, type.kind);
  }

  #value(type: AvroType, slot: number, raw: boolean): void {
    const code = this.#code;
    if (type.kind === 'int' || type.kind === 'long') code.push(OP.long, slot);
    else if (type.kind === 'bytes' && this.#repeating < 0) {
      this.#repeating = slot;
      code.push(OP.bytes, slot);
    } else if (type.kind === 'string' && raw) code.push(OP.rawText, slot, this.#texts.push(new RawText()) - 1);
    else if (type.kind === 'array') code.push(OP.array, slot, this.#reads.push(readOf(type)) - 1);
    else code.push(OP.read, slot, this.#reads.push(readOf(type)) - 1);
  }

  #skip(type: AvroType): void {
    switch (type.kind) {
      case 'null':
        return;
      case 'int':
      case 'long':
      case 'enum':
        this.#skipMore(OP.skipLongs);
        return;
      case 'bytes':
      case 'string':
        this.#skipMore(OP.skipBytes);
        return;
      case 'record':
        for (const field of type.fields) this.#skip(field.type);
        return;
      case 'union': {
        const [nullAt, other] = nullable(type);
        if (nullAt === undefined || other === undefined) break;
        this.#unlessNull(nullAt, -1, () => this.#skip(other));
        return;
      }
    }
    const { items } = type as { items?: AvroType };
    const nullableLongs = items?.kind === 'union' && nullable(items)[0] === 0 && isLong(items.branches[1]!);
    const op = type.kind !== 'array' ? OP.skip : nullableLongs ? OP.skipNullableLongs : OP.skipArray;
    this.#code.push(op, this.#skips.push(skipOf(type)) - 1);
    this.#mergeable = -1;
  }

  /** Where the last operation began, if it can take more of its kind: not across the place that a null goes on at. */
  #mergeable = -1;

  #skipMore(op: number): void {
    const code = this.#code;
    if (this.#mergeable === code.length - 2 && code[this.#mergeable] === op) {
      code[this.#mergeable + 1]!++;
      return;
    }
    this.#mergeable = code.length;
    code.push(op, 1);
  }

  #unlessNull(nullAt: number, slot: number, value: () => void): void {
    const at = this.#code.push(OP.unlessNull, nullAt, 0, slot) - 2;
    this.#mergeable = -1;
    value();
    this.#code[at] = this.#code.length;
    this.#mergeable = -1;
  }
}

/** Byte strings of one column: the same object as long as the bytes are the same, so that the next steps need not compare. */
class Repeating {
  readonly #block: Buffer;
  #last: Uint8Array = new Uint8Array(0);
  #start = 0;

  constructor(block: Buffer) {
    this.#block = block;
  }

  next(cursor: Cursor): Uint8Array {
    const length = cursor.readLength();
    const block = this.#block;
    const start = cursor.at;
    cursor.at = start + length;
    if (length === this.#last.length) {
      let last = this.#start;
      let next = start;
      while (next < cursor.at && block[last] === block[next]) {
        last++;
        next++;
      }
      if (next === cursor.at) return this.#last;
    }
    this.#start = start;
    this.#last = new Uint8Array(block.buffer, block.byteOffset + start, length);
    return this.#last;
  }
}

function isLong(type: AvroType): boolean {
  return type.kind === 'int' || type.kind === 'long';
}

function nullable(type: AvroType & { kind: 'union' }): [nullAt: number | undefined, other: AvroType | undefined] {
  const nullAt = type.branches.findIndex((branch) => branch.kind === 'null');
  if (type.branches.length !== 2 || nullAt < 0) return [undefined, undefined];
  return [nullAt, type.branches[1 - nullAt]];
}

function skipOf(type: AvroType): Skip {
  switch (type.kind) {
    case 'null':
      return () => {};
    case 'boolean':
      return (cursor) => cursor.skip(1);
    case 'int':
    case 'long':
    case 'enum':
      return (cursor) => cursor.skipLong();
    case 'float':
      return (cursor) => cursor.skip(4);
    case 'double':
      return (cursor) => cursor.skip(8);
    case 'bytes':
    case 'string':
      return (cursor) => cursor.skipBytes();
    case 'fixed':
      return (cursor) => cursor.skip(type.size);
    case 'record': {
      const skips = type.fields.map((field) => skipOf(field.type));
      return (cursor) => {
        for (let i = 0; i < skips.length; i++) skips[i]!(cursor);
      };
    }
    case 'union': {
      const skips = type.branches.map(skipOf);
      return (cursor) => skips[cursor.readBranch(skips.length)]!(cursor);
    }
    case 'array':
    case 'map': {
      const skipItem = skipOf(type.items);
      const isMap = type.kind === 'map';
      return (cursor) => {
        for (let count = cursor.readCount(); count !== 0; count = cursor.readCount()) {
          if (cursor.blockBytes >= 0) {
            cursor.skip(cursor.blockBytes);
            continue;
          }
          for (let i = 0; i < count; i++) {
            if (isMap) cursor.skipBytes();
            skipItem(cursor);
          }
        }
      };
    }
  }
}

function readOf(type: AvroType): Read {
  switch (type.kind) {
    case 'null':
      return () => null;
    case 'boolean':
      return (cursor) => cursor.readBoolean();
    case 'int':
    case 'long':
      return (cursor) => cursor.readLong();
    case 'float':
      return (cursor) => cursor.readFloat();
    case 'double':
      return (cursor) => cursor.readDouble();
    case 'bytes':
      return (cursor) => Uint8Array.prototype.slice.call(cursor.readBytes());
    case 'string':
      return (cursor) => cursor.readString();
    case 'fixed':
      return (cursor) => {
        cursor.skip(type.size);
        return cursor.bytes.subarray(cursor.at - type.size, cursor.at);
      };
    case 'enum':
      return (cursor) => type.symbols[Number(cursor.readLong())] ?? null;
    case 'record': {
      const fields = type.fields.map((field) => [field.name, readOf(field.type)] as const);
      return (cursor) => {
        const record: RecordCell = new Map();
        for (const [name, read] of fields) record.set(name, read(cursor));
        return record;
      };
    }
    case 'union': {
      const reads = type.branches.map(readOf);
      return (cursor) => reads[cursor.readBranch(reads.length)]!(cursor);
    }
    case 'array': {
      const read = readOf(type.items);
      return (cursor) => {
        const items: Cell[] = [];
        for (let count = cursor.readCount(); count !== 0; count = cursor.readCount()) {
          for (let i = 0; i < count; i++) items.push(read(cursor));
        }
        return items;
      };
    }
    case 'map': {
      const read = readOf(type.items);
      return (cursor) => {
        const map: RecordCell = new Map();
        for (let count = cursor.readCount(); count !== 0; count = cursor.readCount()) {
          for (let i = 0; i < count; i++) map.set(cursor.readString(), read(cursor));
        }
        return map;
      };
    }
  }
}
