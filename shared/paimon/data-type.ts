import { asInt, isObject, type Json } from './int64-json.ts';
import { MAX_DEPTH, MAX_FIELDS } from './limits.ts';

/** A Paimon type (docs/concepts/data-types). `text` is the SQL form; for atomic types exactly as stored. */
export type DataType = AtomicType | NestedType | OpaqueType;

export interface AtomicType {
  kind: 'atomic';
  /** Canonical name: `INT`, `DECIMAL`, `TIMESTAMP_LTZ`, … */
  name: AtomicName;
  /** Length of CHAR, VARCHAR, BINARY, VARBINARY; precision of DECIMAL, TIME, TIMESTAMP. */
  precision: number;
  scale: number;
  nullable: boolean;
  text: string;
}

export interface NestedType {
  kind: 'nested';
  name: 'ARRAY' | 'MULTISET' | 'MAP' | 'ROW' | 'VECTOR';
  element?: DataType;
  key?: DataType;
  value?: DataType;
  fields?: DataField[];
  length?: number;
  nullable: boolean;
  text: string;
}

/** A type that this version does not know: kept as its document or text, never guessed at. */
export interface OpaqueType {
  kind: 'opaque';
  nullable: boolean;
  text: string;
}

export interface DataField {
  id: number;
  name: string;
  type: DataType;
  description?: string;
  defaultValue?: string;
}

export type AtomicName =
  | 'BOOLEAN'
  | 'TINYINT'
  | 'SMALLINT'
  | 'INT'
  | 'BIGINT'
  | 'FLOAT'
  | 'DOUBLE'
  | 'DECIMAL'
  | 'CHAR'
  | 'VARCHAR'
  | 'BINARY'
  | 'VARBINARY'
  | 'DATE'
  | 'TIME'
  | 'TIMESTAMP'
  | 'TIMESTAMP_LTZ'
  | 'VARIANT'
  | 'BLOB';

const MAX_LENGTH = 2147483647;
const FIXED: Record<string, AtomicName> = {
  BOOLEAN: 'BOOLEAN',
  TINYINT: 'TINYINT',
  SMALLINT: 'SMALLINT',
  INT: 'INT',
  INTEGER: 'INT',
  BIGINT: 'BIGINT',
  FLOAT: 'FLOAT',
  DOUBLE: 'DOUBLE',
  'DOUBLE PRECISION': 'DOUBLE',
  DATE: 'DATE',
  VARIANT: 'VARIANT',
  BLOB: 'BLOB',
};

/** Decodes the `type` of a field in a schema file: a string, or an object for nested types. Never throws: unknown is opaque. */
export function parseDataType(json: Json | undefined, depth = 0): DataType {
  if (typeof json === 'string') return parseAtomic(json);
  if (isObject(json) && typeof json.type === 'string' && depth < MAX_DEPTH) {
    const nested = parseNested(json, json.type, depth);
    if (nested) return nested;
  }
  const text =
    json === undefined ? '' : JSON.stringify(json, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
  return { kind: 'opaque', nullable: !/NOT NULL/i.test(text), text };
}

function parseAtomic(stored: string): DataType {
  const notNull = /\s+NOT\s+NULL\s*$/i.exec(stored);
  const nullable = notNull === null;
  const body = (notNull ? stored.slice(0, notNull.index) : stored).trim().replace(/\s+/g, ' ').toUpperCase();
  const atomic = (name: AtomicName, precision = 0, scale = 0): AtomicType => ({
    kind: 'atomic',
    name,
    precision,
    scale,
    nullable,
    text: stored,
  });
  const fixed = FIXED[body];
  if (fixed !== undefined && Object.hasOwn(FIXED, body)) return atomic(fixed);
  if (body === 'STRING') return atomic('VARCHAR', MAX_LENGTH);
  if (body === 'BYTES') return atomic('VARBINARY', MAX_LENGTH);
  const match = /^([A-Z_]+) ?(?:\( ?(\d{1,10}) ?(?:, ?(\d{1,10}) ?)?\))?( WITH LOCAL TIME ZONE| WITHOUT TIME ZONE)?$/.exec(body);
  if (match) {
    const [, word, first, second, zone] = match;
    const p = first === undefined ? undefined : Number(first);
    if (word === 'TIMESTAMP' && second === undefined)
      return atomic(zone === ' WITH LOCAL TIME ZONE' ? 'TIMESTAMP_LTZ' : 'TIMESTAMP', p ?? 6);
    if (word === 'TIME' && second === undefined && zone !== ' WITH LOCAL TIME ZONE') return atomic('TIME', p ?? 0);
    if (zone === undefined) {
      if (word === 'TIMESTAMP_LTZ' && second === undefined) return atomic('TIMESTAMP_LTZ', p ?? 6);
      if (word === 'DECIMAL' || word === 'NUMERIC' || word === 'DEC')
        return atomic('DECIMAL', p ?? 10, second === undefined ? 0 : Number(second));
      if ((word === 'CHAR' || word === 'VARCHAR' || word === 'BINARY' || word === 'VARBINARY') && second === undefined)
        return atomic(word, p ?? 1);
    }
  }
  return { kind: 'opaque', nullable, text: stored };
}

function parseNested(json: { [name: string]: Json }, type: string, depth: number): NestedType | undefined {
  const nullable = !/NOT\s+NULL/i.test(type);
  const word = type.trim().toUpperCase();
  const suffix = nullable ? '' : ' NOT NULL';
  const child = (name: string): DataType => parseDataType(json[name], depth + 1);
  if (word.startsWith('ARRAY') || word.startsWith('MULTISET')) {
    const name = word.startsWith('ARRAY') ? 'ARRAY' : 'MULTISET';
    const element = child('element');
    return { kind: 'nested', name, element, nullable, text: `${name}<${element.text}>${suffix}` };
  }
  if (word.startsWith('VECTOR')) {
    const element = child('element');
    const length = asInt(json.length) ?? 0;
    return { kind: 'nested', name: 'VECTOR', element, length, nullable, text: `VECTOR<${element.text}, ${length}>${suffix}` };
  }
  if (word.startsWith('MAP')) {
    const key = child('key');
    const value = child('value');
    return { kind: 'nested', name: 'MAP', key, value, nullable, text: `MAP<${key.text}, ${value.text}>${suffix}` };
  }
  if (word.startsWith('ROW') && Array.isArray(json.fields)) {
    const fields = parseFields(json.fields, depth + 1);
    if (fields === undefined) return undefined;
    const inner = fields.map((field) => `${field.name} ${field.type.text}`).join(', ');
    return { kind: 'nested', name: 'ROW', fields, nullable, text: `ROW<${inner}>${suffix}` };
  }
  return undefined;
}

/** Fields of a schema or a ROW; undefined when one is not a field at all. */
export function parseFields(json: Json[], depth = 0): DataField[] | undefined {
  if (json.length > MAX_FIELDS) return undefined;
  const fields: DataField[] = [];
  for (const item of json) {
    if (!isObject(item) || typeof item.name !== 'string') return undefined;
    const id = asInt(item.id);
    if (id === undefined) return undefined;
    const field: DataField = { id, name: item.name, type: parseDataType(item.type, depth) };
    if (typeof item.description === 'string') field.description = item.description;
    if (typeof item.defaultValue === 'string') field.defaultValue = item.defaultValue;
    fields.push(field);
  }
  return fields;
}

/** Whether a type, or one inside it, is opaque. */
export function hasOpaque(type: DataType): boolean {
  if (type.kind === 'opaque') return true;
  if (type.kind === 'atomic') return false;
  return [type.element, type.key, type.value, ...(type.fields ?? []).map((field) => field.type)].some(
    (inner) => inner !== undefined && hasOpaque(inner),
  );
}
