import { Damage, NotReadable } from '../damage.ts';
import type { Cell, RecordCell, Slots } from '../rows.ts';
import type { Cursor } from './cursor.ts';
import type { AvroType } from './schema.ts';

type Step = (cursor: Cursor, slots: Slots) => void;
type Skip = (cursor: Cursor) => void;
type Read = (cursor: Cursor) => Cell;

/**
 * One function that decodes the wanted columns of a record into slots and steps over the rest. Made once per file from its
 * writer schema, so that columns are found by name whatever their order, and unwanted ones (statistics are most of a
 * manifest's bytes) cost no objects. A top-level union with null gives false for a null row.
 */
export function planRow(type: AvroType, columns: readonly string[]): (cursor: Cursor, slots: Slots) => boolean {
  const wanted = new Map(columns.map((column, slot) => [column, slot]));
  if (type.kind === 'union') {
    const [nullAt, other] = nullable(type);
    if (other === undefined || nullAt === undefined) throw new NotReadable('a manifest whose rows are a union');
    const row = planRow(other, columns);
    return (cursor, slots) => (cursor.readLong() === nullAt ? false : row(cursor, slots));
  }
  if (type.kind !== 'record') throw new Damage('an Avro file of records', `one of ${type.kind}`);
  const step = planRecord(type, '', wanted);
  const blank = columns.map(() => null);
  return (cursor, slots) => {
    for (let i = 0; i < blank.length; i++) slots[i] = null;
    step(cursor, slots);
    return true;
  };
}

function planRecord(type: AvroType & { kind: 'record' }, prefix: string, wanted: Map<string, number>): Step {
  const steps: Step[] = [];
  let skips: Skip[] = [];
  const flush = (): void => {
    const run = skips;
    skips = [];
    if (run.length === 1) steps.push(run[0]!);
    else if (run.length > 1) {
      steps.push((cursor) => {
        for (let i = 0; i < run.length; i++) run[i]!(cursor);
      });
    }
  };
  for (const field of type.fields) {
    const step = planField(field.type, prefix + field.name, wanted);
    if (step === undefined) skips.push(skipOf(field.type));
    else {
      flush();
      steps.push(step);
    }
  }
  flush();
  return (cursor, slots) => {
    for (let i = 0; i < steps.length; i++) steps[i]!(cursor, slots);
  };
}

/** undefined: nothing of this field is wanted. */
function planField(type: AvroType, path: string, wanted: Map<string, number>): Step | undefined {
  const slot = wanted.get(path);
  if (slot !== undefined) {
    const read = readOf(type);
    return (cursor, slots) => {
      slots[slot] = read(cursor);
    };
  }
  const below = `${path}.`;
  if (![...wanted.keys()].some((column) => column.startsWith(below))) return undefined;
  if (type.kind === 'record') return planRecord(type, below, wanted);
  if (type.kind === 'union') {
    const [nullAt, other] = nullable(type);
    if (other?.kind === 'record') {
      const record = planRecord(other, below, wanted);
      return (cursor, slots) => {
        if (branchOf(cursor, type) !== nullAt) record(cursor, slots);
      };
    }
  }
  throw new Damage(`a record at ${path}`, type.kind);
}

function nullable(type: AvroType & { kind: 'union' }): [nullAt: number | undefined, other: AvroType | undefined] {
  const nullAt = type.branches.findIndex((branch) => branch.kind === 'null');
  if (type.branches.length !== 2 || nullAt < 0) return [undefined, undefined];
  return [nullAt, type.branches[1 - nullAt]];
}

function branchOf(cursor: Cursor, type: AvroType & { kind: 'union' }): number {
  const index = cursor.readLong();
  if (typeof index === 'bigint' || index < 0 || index >= type.branches.length) {
    throw new Damage('a branch of a union', String(index), cursor.at);
  }
  return index;
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
      return (cursor) => skips[branchOf(cursor, type)]!(cursor);
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
    case 'bytes': {
      // Rows of one partition follow each other: the same bytes come as the same object, which makes the next steps cheap.
      let previous: Uint8Array = new Uint8Array(0);
      return (cursor) => {
        previous = cursor.readBytesLike(previous);
        return previous;
      };
    }
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
      return (cursor) => reads[branchOf(cursor, type)]!(cursor);
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
