import { readFileSync, statSync } from 'node:fs';
import { isAlias, isMap, isNode, LineCounter, type Node, parseDocument } from 'yaml';
import { DataSourceInput } from '../shared/data-source.ts';
import { wrongUse } from './failure.ts';

const MAX_FILE_BYTES = 1024 * 1024;

/**
 * Reads a data source file: the form's fields under the API's names, any value also as `{ fromEnv: NAME }`. `-` reads stdin.
 * Mistakes come as one Failure that names line and field; values are not repeated, for they may be secrets.
 */
export function readSourceFile(path: string, env: NodeJS.ProcessEnv = process.env): DataSourceInput {
  const label = path === '-' ? 'standard input' : path;
  const text = readText(path, label);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const place = (offset: number | undefined) => {
    if (offset === undefined) return label;
    const { line, col } = lines.linePos(offset);
    return `${label}:${line}:${col}`;
  };
  if (document.errors.length > 0)
    throw wrongUse(
      `${label} is not valid YAML`,
      document.errors.map((error) => `${place(error.pos[0])}: ${error.message.split('\n')[0]}`),
    );
  if (!isMap(document.contents)) throw wrongUse(`${label} must hold one data source: name, catalog, environments`);

  const missing: string[] = [];
  const value = withoutReferences(document.toJS({ maxAliasCount: 100 }), [], env, (where, name) => {
    missing.push(`${place(offsetOf(document.contents, where))}: ${where.join('.')}: environment variable ${name} is not set`);
  });
  if (missing.length > 0) throw wrongUse(`${label} refers to what is not there`, missing);

  const result = DataSourceInput.safeParse(value);
  if (result.success) return result.data;
  throw wrongUse(
    `${label} is not a data source`,
    result.error.issues.flatMap((issue) => {
      const where = issue.path.map(String);
      if (issue.code === 'unrecognized_keys')
        return issue.keys.map(
          (key) => `${place(offsetOf(document.contents, [...where, key]))}: ${[...where, key].join('.')}: this name is not known`,
        );
      return [`${place(offsetOf(document.contents, where))}: ${where.join('.') || 'file'}: ${issue.message}`];
    }),
  );
}

function readText(path: string, label: string): string {
  try {
    if (path !== '-' && statSync(path).size > MAX_FILE_BYTES) throw wrongUse(`${label} is larger than ${MAX_FILE_BYTES} bytes`);
    return readFileSync(path === '-' ? 0 : path, 'utf8');
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') throw wrongUse(`${label} does not exist`);
    if ((error as { code?: string }).code === 'EISDIR') throw wrongUse(`${label} is a folder`);
    throw error;
  }
}

/** Puts the values of environment variables where `{ fromEnv: NAME }` stands. */
function withoutReferences(
  value: unknown,
  where: string[],
  env: NodeJS.ProcessEnv,
  onMissing: (where: string[], name: string) => void,
): unknown {
  if (Array.isArray(value)) return value.map((item, i) => withoutReferences(item, [...where, String(i)], env, onMissing));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value);
  if (entries.length === 1 && entries[0]![0] === 'fromEnv' && typeof entries[0]![1] === 'string') {
    const name = entries[0]![1];
    const found = env[name];
    if (found === undefined || found === '') onMissing(where, name);
    return found ?? '';
  }
  return Object.fromEntries(entries.map(([key, item]) => [key, withoutReferences(item, [...where, key], env, onMissing)]));
}

/** Where the nearest existing node of a path begins in the text. */
function offsetOf(contents: Node | null, path: readonly string[]): number | undefined {
  let node: unknown = contents;
  let offset = contents?.range?.[0];
  for (const key of path) {
    if (isAlias(node) || !isMap(node)) break;
    const pair = node.items.find((item) => String(isNode(item.key) && 'value' in item.key ? item.key.value : item.key) === key);
    if (!pair) break;
    offset = (isNode(pair.key) ? pair.key.range?.[0] : undefined) ?? offset;
    node = pair.value;
  }
  return offset;
}
