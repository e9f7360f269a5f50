import { Damage, OverLimit } from '../damage.ts';
import { MAX_DEPTH, MAX_RATIO } from '../limits.ts';
import type { ContainerInfo, OnRow, Slots } from '../rows.ts';
import { KIND, presentOf, type Read, readerOf, type StripeColumns } from './columns.ts';
import { type OrcType, readStripeFooter, readTail, type Stripe, type Tail } from './tail.ts';

type Step = (slots: Slots) => void;

/**
 * Reads an ORC file row by row (ORC specification v1): as much of the format as Paimon's manifests use. Streams of columns that
 * are not asked for are never decompressed; memory is that of the wanted streams of one stripe. Timestamps come as
 * milliseconds of the writer's wall clock, as in Avro manifests. Throws Damage, NotReadable or OverLimit.
 */
export function readOrc(file: Uint8Array, columns: readonly string[], onRow: OnRow): ContainerInfo {
  const tail = readTail(file);
  if (tail.rows > file.byteLength * MAX_RATIO) throw new OverLimit('rows of a file of its size', file.byteLength * MAX_RATIO);
  checkDepth(tail.types);
  const slots: Slots = columns.map(() => null);
  for (const stripe of tail.stripes) {
    const row = planRow(openStripe(file, tail, stripe), columns);
    for (let i = 0; i < stripe.rows; i++) if (row(slots)) onRow(slots);
  }
  return { format: 'orc', codec: tail.chunks.codec, rows: tail.rows };
}

function openStripe(file: Uint8Array, tail: Tail, stripe: Stripe): StripeColumns {
  const footer = readStripeFooter(file, stripe, tail.chunks);
  const places = new Map(footer.streams.map((place) => [`${place.column}/${place.kind}`, place]));
  const joined = new Map<string, Uint8Array>();
  return {
    types: tail.types,
    zone: footer.zone,
    has: (column, kind) => places.has(`${column}/${kind}`),
    stream(column, kind) {
      const name = `${column}/${kind}`;
      const place = places.get(name);
      if (place === undefined) return { bytes: new Uint8Array(0), offset: stripe.offset };
      let bytes = joined.get(name);
      if (bytes === undefined) {
        bytes = tail.chunks.join(file.subarray(place.offset, place.offset + place.bytes), place.offset);
        joined.set(name, bytes);
      }
      return { bytes, offset: place.offset };
    },
    encoding(column) {
      const encoding = footer.encodings[column];
      if (encoding === undefined) throw new Damage('an encoding of every column', `none of column ${column}`, stripe.offset);
      if (encoding.kind > 3) throw new Damage('an encoding of a column', `${encoding.kind}`, stripe.offset);
      return encoding;
    },
  };
}

/** One function that fills the slots from the next row; false for a row that is null as a whole. */
function planRow(stripe: StripeColumns, columns: readonly string[]): (slots: Slots) => boolean {
  const root = stripe.types[0];
  if (root?.kind !== KIND.struct) throw new Damage('an ORC file of records', 'something else');
  const wanted = new Map(columns.map((column, slot) => [column, slot]));
  const step = planStruct(stripe, 0, '', wanted);
  const present = presentOf(stripe, 0);
  const width = columns.length;
  return (slots) => {
    for (let i = 0; i < width; i++) slots[i] = null;
    if (present !== undefined && !present.next()) return false;
    step(slots);
    return true;
  };
}

function planStruct(stripe: StripeColumns, column: number, prefix: string, wanted: Map<string, number>): Step {
  const type = stripe.types[column]!;
  const steps: Step[] = [];
  type.children.forEach((child, i) => {
    const step = planField(stripe, child, prefix + (type.names[i] ?? ''), wanted);
    if (step !== undefined) steps.push(step);
  });
  return (slots) => {
    for (let i = 0; i < steps.length; i++) steps[i]!(slots);
  };
}

/** undefined: nothing of this field is wanted. */
function planField(stripe: StripeColumns, column: number, path: string, wanted: Map<string, number>): Step | undefined {
  const slot = wanted.get(path);
  if (slot !== undefined) {
    const read: Read = readerOf(stripe, column);
    return (slots) => {
      slots[slot] = read();
    };
  }
  const below = `${path}.`;
  if (![...wanted.keys()].some((name) => name.startsWith(below))) return undefined;
  if (stripe.types[column]!.kind !== KIND.struct) throw new Damage(`a record at ${path}`, 'something else');
  const step = planStruct(stripe, column, below, wanted);
  const present = presentOf(stripe, column);
  if (present === undefined) return step;
  return (slots) => {
    if (present.next()) step(slots);
  };
}

/** Types are read by recursion, so their nesting is checked first. Children have larger numbers than their parent. */
function checkDepth(types: readonly OrcType[]): void {
  const depths = types.map(() => 0);
  types.forEach((type, id) => {
    for (const child of type.children) depths[child] = Math.max(depths[child]!, depths[id]! + 1);
  });
  if (depths.some((depth) => depth > MAX_DEPTH)) throw new OverLimit('depth of the ORC schema', MAX_DEPTH);
}
