import type { DataField, DataType } from './data-type.ts';
import type { Schema } from './schema.ts';
import type { TableView } from './table-metadata.ts';

/**
 * One difference between two schemas. Columns are matched by field id, so a rename is not a drop and an add. `path` is the
 * column's name in the newer schema (in the older one for `dropped`), nested fields after it, dotted; `element`, `key` and
 * `value` stand for the parts of arrays, multisets and maps.
 */
export type SchemaChange =
  | { kind: 'added'; path: string; id: number; type: string }
  | { kind: 'dropped'; path: string; id: number; type: string }
  | { kind: 'renamed'; path: string; id: number; from: string; to: string }
  | { kind: 'moved'; path: string; id: number; from: number; to: number }
  | { kind: 'retyped'; path: string; id: number; from: string; to: string }
  | { kind: 'nullability'; path: string; id: number; nullable: boolean }
  | { kind: 'comment' | 'default'; path: string; id: number; from?: string; to?: string }
  | { kind: 'option'; name: string; from?: string; to?: string }
  | { kind: 'primary-keys' | 'partition-keys'; from: string[]; to: string[] }
  | { kind: 'table-comment'; from?: string; to?: string }
  /** The table was created anew (REPLACE TABLE): field ids started again, so columns of before have no successors. */
  | { kind: 'replaced' };

/** A schema, what it changed, and the readable snapshots that were committed under it. */
export interface SchemaStep {
  schema: Schema;
  /** Against the readable schema before; empty for the first. */
  changes: SchemaChange[];
  /** Id of the schema compared with; not `id - 1` where one between is unreadable. */
  since?: bigint;
  /** Snapshot ids, ascending. Expired snapshots are not known any more. */
  snapshots: bigint[];
}

/** The timeline of a table or branch, oldest first, from what was already read: no requests. */
export function schemaTimeline(view: Pick<TableView, 'schemas' | 'snapshots'>): SchemaStep[] {
  const used = new Map<bigint, bigint[]>();
  for (const { snapshot } of view.snapshots) {
    const ids = used.get(snapshot.schemaId);
    if (ids) ids.push(snapshot.id);
    else used.set(snapshot.schemaId, [snapshot.id]);
  }
  const schemas = [...view.schemas].sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  return schemas.map((schema, i) => {
    const before = schemas[i - 1];
    return {
      schema,
      changes: before ? schemaChanges(before, schema) : [],
      ...(before ? { since: before.id } : {}),
      snapshots: used.get(schema.id) ?? [],
    };
  });
}

/** What leads from one schema to the next, columns first, in the newer schema's order. */
export function schemaChanges(before: Schema, after: Schema): SchemaChange[] {
  const changes: SchemaChange[] = [];
  if (isReplaced(before, after)) {
    changes.push({ kind: 'replaced' });
    for (const field of before.fields) changes.push({ kind: 'dropped', path: field.name, id: field.id, type: field.type.text });
    for (const field of after.fields) changes.push({ kind: 'added', path: field.name, id: field.id, type: field.type.text });
  } else compareFields(before.fields, after.fields, '', changes);
  for (const kind of ['primary-keys', 'partition-keys'] as const) {
    const [from, to] =
      kind === 'primary-keys' ? [before.primaryKeys, after.primaryKeys] : [before.partitionKeys, after.partitionKeys];
    if (from.length !== to.length || from.some((name, i) => name !== to[i])) changes.push({ kind, from, to });
  }
  if (before.comment !== after.comment) changes.push({ kind: 'table-comment', ...fromTo(before.comment, after.comment) });
  for (const name of new Set([...before.options.keys(), ...after.options.keys()])) {
    const [from, to] = [before.options.get(name), after.options.get(name)];
    if (from !== to) changes.push({ kind: 'option', name, ...fromTo(from, to) });
  }
  return changes;
}

/**
 * ALTER never gives out an id a second time: a new column's id is above the highest so far, which never falls. Ids that started
 * again may also cover the old ones exactly: then ids hold another name and another kind of type, and either a name that
 * stays went to another old id, or no id keeps its name. (One ALTER that renames and retypes all columns looks the same.)
 */
function isReplaced(before: Schema, after: Schema): boolean {
  if (after.highestFieldId < before.highestFieldId) return true;
  const known = new Map(before.fields.map((field) => [field.id, field]));
  if (after.fields.some((field) => !known.has(field.id) && field.id <= before.highestFieldId)) return true;
  const shared = after.fields.filter((field) => known.has(field.id));
  const others = shared.filter((field) => {
    const old = known.get(field.id)!;
    return old.name !== field.name && kindOf(old.type) !== kindOf(field.type);
  });
  if (others.length === 0) return false;
  const names = new Set(before.fields.map((field) => field.name));
  return others.some((field) => names.has(field.name)) || shared.every((field) => known.get(field.id)!.name !== field.name);
}

function kindOf(type: DataType): string {
  return type.kind === 'opaque' ? type.text : type.name;
}

function compareFields(before: readonly DataField[], after: readonly DataField[], prefix: string, changes: SchemaChange[]): void {
  const known = new Map(before.map((field) => [field.id, field]));
  const kept = new Set(after.map((field) => field.id));
  for (const field of before)
    if (!kept.has(field.id)) changes.push({ kind: 'dropped', path: prefix + field.name, id: field.id, type: field.type.text });
  const moved = movedIds(before, after);
  for (const [position, field] of after.entries()) {
    const path = prefix + field.name;
    const old = known.get(field.id);
    if (old === undefined) {
      changes.push({ kind: 'added', path, id: field.id, type: field.type.text });
      continue;
    }
    if (old.name !== field.name) changes.push({ kind: 'renamed', path, id: field.id, from: old.name, to: field.name });
    if (moved.has(field.id)) changes.push({ kind: 'moved', path, id: field.id, from: before.indexOf(old), to: position });
    compareTypes(old.type, field.type, path, field.id, changes);
    if (old.description !== field.description)
      changes.push({ kind: 'comment', path, id: field.id, ...fromTo(old.description, field.description) });
    if (old.defaultValue !== field.defaultValue)
      changes.push({ kind: 'default', path, id: field.id, ...fromTo(old.defaultValue, field.defaultValue) });
  }
}

function compareTypes(from: DataType, to: DataType, path: string, id: number, changes: SchemaChange[]): void {
  if (from.nullable !== to.nullable) changes.push({ kind: 'nullability', path, id, nullable: to.nullable });
  if (from.kind === 'nested' && to.kind === 'nested' && from.name === to.name && from.length === to.length) {
    if (from.fields && to.fields) compareFields(from.fields, to.fields, `${path}.`, changes);
    for (const part of ['element', 'key', 'value'] as const) {
      const [a, b] = [from[part], to[part]];
      if (a && b) compareTypes(a, b, `${path}.${part}`, id, changes);
    }
  } else if (withoutNull(from) !== withoutNull(to)) {
    changes.push({ kind: 'retyped', path, id, from: from.text, to: to.text });
  }
}

function withoutNull(type: DataType): string {
  return type.kind === 'atomic' ? `${type.name} ${type.precision} ${type.scale}` : type.text;
}

/** Ids of columns that changed places: those outside a longest run of kept columns in the old order, so one move names one column. */
function movedIds(before: readonly DataField[], after: readonly DataField[]): Set<number> {
  const place = new Map(before.map((field, i) => [field.id, i]));
  const kept = after.filter((field) => place.has(field.id));
  // Patience: tails[n] is the index in `kept` that ends the best ascending run of n + 1 places.
  const tails: number[] = [];
  const previous: number[] = [];
  for (let i = 0; i < kept.length; i++) {
    const at = place.get(kept[i]!.id)!;
    let low = 0;
    let high = tails.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (place.get(kept[tails[middle]!]!.id)! < at) low = middle + 1;
      else high = middle;
    }
    previous[i] = low > 0 ? tails[low - 1]! : -1;
    tails[low] = i;
  }
  const moved = new Set(kept.map((field) => field.id));
  for (let i = tails.at(-1) ?? -1; i >= 0; i = previous[i]!) moved.delete(kept[i]!.id);
  return moved;
}

function fromTo(from: string | undefined, to: string | undefined): { from?: string; to?: string } {
  return { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
}
