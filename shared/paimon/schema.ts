import { Damage } from './damage.ts';
import { type DataField, hasOpaque, parseFields } from './data-type.ts';
import { asInt, asLong, isObject, type Json, parseJson } from './int64-json.ts';
import { describeObjectTable } from './object-table.ts';

/** A schema version (`schema/schema-<id>`, `org.apache.paimon.schema.TableSchema`). */
export interface Schema {
  /** 1 where the file has none (Paimon 0.7 and older). */
  version: number;
  /** As stored; undefined where the file has none. */
  storedVersion?: number;
  id: bigint;
  fields: DataField[];
  highestFieldId: number;
  partitionKeys: string[];
  primaryKeys: string[];
  /** As stored, other values than text turned into text, in the file's order. */
  options: Map<string, string>;
  comment?: string;
  /** Writer's clock; undefined before 0.5. */
  timeMillis?: bigint;
}

/** Newest schema version whose rules this reader knows. */
export const KNOWN_SCHEMA_VERSION = 3;

/** Something about a readable schema that a person should know. */
export interface SchemaRemark {
  code: 'newer-version' | 'duplicate-field-id' | 'partition-key-unknown' | 'primary-key-unknown' | 'unknown-type' | 'id-differs';
  message: string;
}

/** Decodes a schema file. Throws Damage when it is not a schema; oddities that leave it readable come as remarks. */
export function decodeSchema(text: string, id: bigint): { schema: Schema; remarks: SchemaRemark[] } {
  const json = parseJson(text);
  if (!isObject(json)) throw new Damage('a JSON object', Array.isArray(json) ? 'an array' : String(json));
  if (!Array.isArray(json.fields)) throw new Damage('fields', 'none');
  const fields = parseFields(json.fields);
  if (fields === undefined) throw new Damage('fields with id, name and type', 'something else');
  const storedVersion = asInt(json.version);
  const timeMillis = asLong(json.timeMillis);
  const schema: Schema = {
    version: storedVersion ?? 1,
    ...(storedVersion === undefined ? {} : { storedVersion }),
    id: asLong(json.id) ?? id,
    fields,
    highestFieldId: asInt(json.highestFieldId) ?? fields.reduce((highest, field) => Math.max(highest, field.id), -1),
    partitionKeys: texts(json.partitionKeys, 'partitionKeys'),
    primaryKeys: texts(json.primaryKeys, 'primaryKeys'),
    options: optionsOf(json.options),
    ...(typeof json.comment === 'string' ? { comment: json.comment } : {}),
    ...(timeMillis === undefined || timeMillis === 0n ? {} : { timeMillis }),
  };
  if (tableTypeOf(schema) === 'object-table') schema.fields = describeObjectTable(schema.fields);
  return { schema, remarks: remarksOn(schema, id) };
}

function remarksOn(schema: Schema, id: bigint): SchemaRemark[] {
  const remarks: SchemaRemark[] = [];
  if (schema.version > KNOWN_SCHEMA_VERSION) {
    remarks.push({
      code: 'newer-version',
      message: `expected version ${KNOWN_SCHEMA_VERSION} or older, found ${schema.version}: shown as far as it is understood`,
    });
  }
  if (schema.id !== id)
    remarks.push({ code: 'id-differs', message: `expected id ${id} as the file name says, found ${schema.id}` });
  const names = new Set(schema.fields.map((field) => field.name));
  const seen = new Set<number>();
  for (const field of schema.fields) {
    if (seen.has(field.id))
      remarks.push({ code: 'duplicate-field-id', message: `expected unique field ids, found ${field.id} again (${field.name})` });
    seen.add(field.id);
    if (hasOpaque(field.type))
      remarks.push({
        code: 'unknown-type',
        message: `type ${field.type.text.slice(0, 200)} of field ${field.id} (${field.name}) is not known: kept as it is`,
      });
  }
  for (const key of schema.partitionKeys) {
    if (!names.has(key))
      remarks.push({ code: 'partition-key-unknown', message: `expected a column for each partition key, found none for ${key}` });
  }
  for (const key of schema.primaryKeys) {
    if (!names.has(key))
      remarks.push({ code: 'primary-key-unknown', message: `expected a column for each primary key, found none for ${key}` });
  }
  return remarks;
}

function texts(json: Json | undefined, name: string): string[] {
  if (json === undefined || json === null) return [];
  if (!Array.isArray(json) || !json.every((item) => typeof item === 'string'))
    throw new Damage(`a list of names in ${name}`, 'something else');
  return json;
}

/** Java writes text only; other writers put numbers, booleans and null, which are read as Java would print them. */
function optionsOf(json: Json | undefined): Map<string, string> {
  const options = new Map<string, string>();
  if (isObject(json)) for (const [name, value] of Object.entries(json)) options.set(name, optionText(value));
  return options;
}

function optionText(value: Json): string {
  if (typeof value === 'string') return value;
  if (value === null) return '';
  return typeof value === 'object'
    ? JSON.stringify(value, (_, v: unknown) => (typeof v === 'bigint' ? String(v) : v))
    : String(value);
}

/** The table's `type` option; before 1.0 all are tables. */
export function tableTypeOf(schema: Schema): string {
  return schema.options.get('type')?.toLowerCase() ?? 'table';
}
