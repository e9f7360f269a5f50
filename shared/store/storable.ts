/**
 * Text that PostgreSQL takes: U+0000 and lone surrogates become U+FFFD. Names from a storage bucket are any bytes, and one
 * of them must not end the transaction of its table.
 */
export function storableText(text: string): string {
  return text.includes('\0') || !text.isWellFormed() ? text.replaceAll('\0', '\uFFFD').toWellFormed() : text;
}

export interface Storable {
  /** JSON text for a jsonb parameter, or null for null. */
  json: string | null;
  /** Some text in it had to be replaced. */
  isCleaned: boolean;
}

/**
 * JSON text of plain data, cleaned by the same rule, keys too. bigints become strings, as everywhere in our JSON. Keys such
 * as `__proto__` go through as data: nothing is assigned to an object here.
 */
export function storableJson(value: unknown): Storable {
  if (value === null || value === undefined) return { json: null, isCleaned: false };
  let isCleaned = false;
  const clean = (text: string): string => {
    const cleaned = storableText(text);
    if (cleaned !== text) isCleaned = true;
    return JSON.stringify(cleaned);
  };
  const write = (item: unknown): string => {
    switch (typeof item) {
      case 'string':
        return clean(item);
      case 'bigint':
        return `"${item}"`;
      case 'number':
        return Number.isFinite(item) ? String(item) : 'null';
      case 'boolean':
        return String(item);
      case 'object': {
        if (item === null) return 'null';
        if (Array.isArray(item)) return `[${item.map((element) => write(element ?? null)).join(',')}]`;
        if (item instanceof Date) return JSON.stringify(item);
        const entries = item instanceof Map ? [...item] : Object.entries(item);
        return `{${entries
          .filter(([, member]) => member !== undefined)
          .map(([key, member]) => `${clean(String(key))}:${write(member)}`)
          .join(',')}}`;
      }
      default:
        return 'null';
    }
  };
  const json = write(value);
  return { json, isCleaned };
}
