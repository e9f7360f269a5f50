import { Damage, NotReadable, OverLimit } from '../damage.ts';
import { isObject, type Json, parseJson } from '../int64-json.ts';
import { MAX_DEPTH, MAX_SCHEMA_NODES } from '../limits.ts';

/** An Avro schema with names resolved. Logical types are left out: Paimon's manifests need the stored value. */
export type AvroType =
  | { kind: 'null' | 'boolean' | 'int' | 'long' | 'float' | 'double' | 'bytes' | 'string' }
  | { kind: 'record'; fields: { name: string; type: AvroType }[] }
  | { kind: 'enum'; symbols: string[] }
  | { kind: 'array' | 'map'; items: AvroType }
  | { kind: 'union'; branches: AvroType[] }
  | { kind: 'fixed'; size: number };

const PRIMITIVES = new Set(['null', 'boolean', 'int', 'long', 'float', 'double', 'bytes', 'string']);

/** Parses the writer's schema from a file header (Avro 1.11 specification, "Schema Declaration"). */
export function parseAvroSchema(text: string): AvroType {
  const names = new Map<string, AvroType>();
  let nodes = 0;
  return read(parseJson(text), 0);

  function read(json: Json | undefined, depth: number): AvroType {
    if (++nodes > MAX_SCHEMA_NODES) throw new OverLimit('size of the Avro schema', MAX_SCHEMA_NODES);
    if (depth > MAX_DEPTH) throw new OverLimit('depth of the Avro schema', MAX_DEPTH);
    if (typeof json === 'string') {
      if (PRIMITIVES.has(json)) return { kind: json as 'null' };
      const known = names.get(json);
      if (known === undefined) throw new Damage('an Avro type', `the name ${json.slice(0, 100)}`);
      return known;
    }
    if (Array.isArray(json)) return { kind: 'union', branches: json.map((branch) => read(branch, depth + 1)) };
    if (!isObject(json)) throw new Damage('an Avro type', 'something else');
    if (isObject(json.type) || Array.isArray(json.type)) return read(json.type, depth + 1);
    switch (json.type) {
      case 'record':
      case 'error': {
        const fields: { name: string; type: AvroType }[] = [];
        const record: AvroType = { kind: 'record', fields };
        // A record that holds itself would have no end here; Paimon writes none.
        name(json, { kind: 'union', branches: [] });
        if (!Array.isArray(json.fields)) throw new Damage('fields of an Avro record', 'none');
        for (const field of json.fields) {
          if (!isObject(field) || typeof field.name !== 'string') throw new Damage('a field of an Avro record', 'something else');
          fields.push({ name: field.name, type: read(field.type, depth + 1) });
        }
        name(json, record);
        return record;
      }
      case 'enum': {
        const type: AvroType = { kind: 'enum', symbols: Array.isArray(json.symbols) ? json.symbols.map(String) : [] };
        name(json, type);
        return type;
      }
      case 'fixed': {
        if (typeof json.size !== 'number' || json.size < 0) throw new Damage('the size of an Avro fixed', 'something else');
        const type: AvroType = { kind: 'fixed', size: json.size };
        name(json, type);
        return type;
      }
      case 'array':
        return { kind: 'array', items: read(json.items, depth + 1) };
      case 'map':
        return { kind: 'map', items: read(json.values, depth + 1) };
      default:
        if (typeof json.type === 'string') return read(json.type, depth + 1);
        throw new NotReadable('an Avro type without a name');
    }
  }

  function name(json: { [name: string]: Json }, type: AvroType): void {
    if (typeof json.name !== 'string') return;
    names.set(json.name, type);
    if (typeof json.namespace === 'string' && !json.name.includes('.')) names.set(`${json.namespace}.${json.name}`, type);
  }
}
