import type { CollectionScope } from './data-source.ts';

/**
 * Which tables of an environment are collected. A pattern without a dot speaks of databases; one with a dot speaks of
 * `database.table`, and of databases too, since their names may hold dots. `*` is any run of characters, `?` exactly one.
 * Matching costs at most name length × pattern length: no pattern can make it slow.
 */
export interface CompiledScope {
  /** False when no table of this database can be wanted, so that it need not be listed. */
  mayHoldTables(database: string): boolean;
  holds(database: string, table: string): boolean;
}

export function compileScope(scope: CollectionScope): CompiledScope {
  const include = scope.include.map(compilePattern);
  const exclude = scope.exclude.map(compilePattern);
  return {
    mayHoldTables: (database) =>
      (include.length === 0 || include.some((pattern) => pattern.database(database) || pattern.namesTables)) &&
      !exclude.some((pattern) => pattern.database(database)),
    holds: (database, table) =>
      (include.length === 0 || include.some((pattern) => pattern.table(database, table))) &&
      !exclude.some((pattern) => pattern.table(database, table)),
  };
}

interface Pattern {
  namesTables: boolean;
  database(name: string): boolean;
  table(database: string, table: string): boolean;
}

function compilePattern(text: string): Pattern {
  const matches = compileGlob(text);
  const namesTables = text.includes('.');
  return {
    namesTables,
    database: matches,
    table: (database, table) => matches(database) || (namesTables && matches(`${database}.${table}`)),
  };
}

/** Whether a whole text fits a glob of `*` and `?`; every other character stands for itself. */
export function compileGlob(glob: string): (text: string) => boolean {
  const segments = glob.split('*');
  const first = segments[0]!;
  if (segments.length === 1) return (text) => fitAt(first, text, 0) === text.length;
  const last = segments.at(-1)!;
  const middle = segments.slice(1, -1).filter((segment) => segment !== '');
  return (text) => {
    let at = fitAt(first, text, 0);
    if (at === undefined) return false;
    // The leftmost place is always right for what stands between two stars: it leaves most room to the rest.
    for (const segment of middle) {
      at = find(segment, text, at);
      if (at === undefined) return false;
    }
    return endsWith(last, text, at);
  };
}

/** Where the segment ends when it starts at `at`. */
function fitAt(segment: string, text: string, at: number): number | undefined {
  let position = at;
  for (const character of segment) {
    const code = text.codePointAt(position);
    if (code === undefined) return undefined;
    if (character !== '?' && character.codePointAt(0) !== code) return undefined;
    position += code > 0xffff ? 2 : 1;
  }
  return position;
}

/** Where the leftmost fit from `from` on ends. */
function find(segment: string, text: string, from: number): number | undefined {
  if (!segment.includes('?')) {
    const at = text.indexOf(segment, from);
    return at === -1 ? undefined : at + segment.length;
  }
  for (let at = from; at < text.length; at++) {
    const end = fitAt(segment, text, at);
    if (end !== undefined) return end;
  }
  return undefined;
}

function endsWith(segment: string, text: string, from: number): boolean {
  if (!segment.includes('?')) return text.length - segment.length >= from && text.endsWith(segment);
  // Characters, not code units: walk back as many as the segment has.
  let start = text.length;
  for (const _ of segment) {
    if (start <= from) return false;
    start -= isLowSurrogate(text, start - 1) ? 2 : 1;
  }
  return start >= from && fitAt(segment, text, start) === text.length;
}

function isLowSurrogate(text: string, index: number): boolean {
  const code = text.charCodeAt(index);
  return (
    code >= 0xdc00 && code <= 0xdfff && index > 0 && text.charCodeAt(index - 1) >= 0xd800 && text.charCodeAt(index - 1) <= 0xdbff
  );
}
