import type { Value } from './binary-row.ts';
import type { DataType } from './data-type.ts';
import type { Schema } from './schema.ts';
import { castText, legacyText } from './value-text.ts';

/** How a table names its partition folders (`org.apache.paimon.utils.PartitionPathUtils`). */
export interface PartitionNaming {
  keys: readonly string[];
  types: readonly DataType[];
  defaultName: string;
  /** Java's `toString` of values (the default) instead of the SQL cast. */
  legacy: boolean;
  /** `data-file.path-directory` with a trailing slash, or empty. */
  directory: string;
}

/** Naming rules of a schema; undefined when a partition column is missing or its type is not known. */
export function partitionNaming(schema: Schema): PartitionNaming | undefined {
  const types: DataType[] = [];
  for (const key of schema.partitionKeys) {
    const type = schema.fields.find((field) => field.name === key)?.type;
    if (type === undefined || type.kind === 'opaque') return undefined;
    types.push(type);
  }
  const directory = schema.options.get('data-file.path-directory')?.replace(/^\/+|\/+$/g, '');
  return {
    keys: schema.partitionKeys,
    types,
    defaultName: schema.options.get('partition.default-name') ?? '__DEFAULT_PARTITION__',
    legacy: schema.options.get('partition.legacy-name')?.toLowerCase() !== 'false',
    directory: directory ? `${directory}/` : '',
  };
}

/** Whether folder names hold wall-clock times of the writer's zone, which metadata does not tell. */
export function dependsOnZone(naming: PartitionNaming): boolean {
  return !naming.legacy && naming.types.some((type) => type.kind === 'atomic' && type.name === 'TIMESTAMP_LTZ');
}

/** Whether folder names hold what only the writing process knew (Java printed byte arrays as object identities). */
export function dependsOnProcess(naming: PartitionNaming): boolean {
  return (
    naming.legacy && naming.types.some((type) => type.kind === 'atomic' && (type.name === 'BINARY' || type.name === 'VARBINARY'))
  );
}

/** Folder below the table, without a trailing slash; `''` where the table has no partitions. undefined: not known. */
export function partitionPath(values: readonly Value[], naming: PartitionNaming, zoneOffsetMillis?: number): string | undefined {
  if (dependsOnProcess(naming) || (dependsOnZone(naming) && zoneOffsetMillis === undefined)) return undefined;
  const parts: string[] = [];
  for (const [i, key] of naming.keys.entries()) {
    const name = partitionName(values[i], naming, i, zoneOffsetMillis);
    if (name === undefined) return undefined;
    parts.push(`${escapeName(key)}=${escapeName(name)}`);
  }
  return `${naming.directory}${parts.join('/')}`.replace(/\/$/, '');
}

/** The unescaped name of one value; null, empty and blank text share the default name. */
export function partitionName(value: Value, naming: PartitionNaming, i: number, zoneOffsetMillis = 0): string | undefined {
  if (value === null) return naming.defaultName;
  const type = naming.types[i]!;
  const text = naming.legacy ? legacyText(value, type) : castText(value, type, zoneOffsetMillis);
  return text !== undefined && isBlank(text) ? naming.defaultName : text;
}

/** `java.lang.Character.isWhitespace` for every character: other spaces than JavaScript's trim knows. */
function isBlank(text: string): boolean {
  for (const c of text) {
    const code = c.codePointAt(0)!;
    const isControl = (code >= 0x09 && code <= 0x0d) || (code >= 0x1c && code <= 0x1f);
    if (!isControl && !/[ \u1680\u2000-\u2006\u2008-\u200a\u2028\u2029\u205f\u3000]/.test(c)) return false;
  }
  return true;
}

const ESCAPED = new Set('"#%\'*/:=?\\{}[]^\u007f');

/** Escapes as `PartitionPathUtils.escapePathName`: `%` and two upper-case hex digits. */
export function escapeName(name: string): string {
  let escaped = '';
  for (const c of name) {
    const code = c.codePointAt(0)!;
    escaped += code < 0x20 || ESCAPED.has(c) ? `%${code.toString(16).toUpperCase().padStart(2, '0')}` : c;
  }
  return escaped;
}

/** Undoes `escapeName`; a `%` that starts no escape stays. */
export function unescapeName(name: string): string {
  return name.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
