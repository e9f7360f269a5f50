import { readFile } from 'node:fs/promises';
import type { TableMetadata } from '../../../shared/paimon/table.ts';
import { type PlainJson, type PlainObject, toDocument } from '../../../shared/paimon/table-document.ts';

/** What the tests know of `*.expected.json`: which fields are compared, and how. */

/** Fields that describe the fixture, or need what metadata does not hold (see test/fixtures/README.md). */
const NOT_COMPARED = new Set([
  'what',
  'note',
  'notes',
  'manifestFormats',
  'extraDirs',
  'dataFilesOmittedFromCopy',
  'dataFilesMissingOnDisk',
  'systemTables',
  'lastFileCreationEpochMillis',
  'problems',
]);

/** Objects whose names are data: what is there and not expected is wrong too. Elsewhere older sets leave newer fields out. */
const NAMES_ARE_DATA =
  /(?:^|\.)(?:options|partition|tags|consumers|branches|colStats|liveFilesBy\w+|perBucket|latestSnapshot|index\.files)$/;

export interface ExpectedWarehouse {
  databases: Record<string, Record<string, PlainObject>>;
}

export async function readExpected(file: string): Promise<ExpectedWarehouse> {
  return JSON.parse(await readFile(file, 'utf8')) as ExpectedWarehouse;
}

export interface Comparison {
  /** Values compared. */
  values: number;
  differences: string[];
}

/** Compares every expected value with the document; each difference names its path. */
export function compareDocument(
  expected: PlainJson,
  found: PlainJson | undefined,
  path = '',
  result: Comparison = { values: 0, differences: [] },
): Comparison {
  const differ = (what: string): void => {
    result.differences.push(`${path || '(whole)'}: ${what}`);
  };
  if (expected === null || typeof expected !== 'object') {
    result.values++;
    if (expected !== found) differ(`expected ${JSON.stringify(expected)}, found ${JSON.stringify(found)?.slice(0, 300)}`);
  } else if (Array.isArray(expected)) {
    result.values++;
    if (!Array.isArray(found)) differ(`expected a list of ${expected.length}, found ${JSON.stringify(found)?.slice(0, 100)}`);
    else if (found.length !== expected.length) differ(`expected ${expected.length} items, found ${found.length}`);
    else for (const [i, item] of expected.entries()) compareDocument(item, found[i], `${path}[${i}]`, result);
  } else if (found === null || typeof found !== 'object' || Array.isArray(found)) {
    differ(`expected an object, found ${JSON.stringify(found)?.slice(0, 100)}`);
  } else {
    const exact = NAMES_ARE_DATA.test(path);
    for (const [name, value] of Object.entries(expected)) {
      if (exact || !NOT_COMPARED.has(name))
        compareDocument(
          value,
          Object.hasOwn(found, name) ? found[name] : undefined,
          path === '' ? name : `${path}.${name}`,
          result,
        );
    }
    if (exact) for (const name of Object.keys(found)) if (!Object.hasOwn(expected, name)) differ(`${name} is not expected`);
  }
  return result;
}

/** Through JSON text, as a user gets it. */
export function printed(metadata: TableMetadata): PlainObject {
  return JSON.parse(JSON.stringify(toDocument(metadata))) as PlainObject;
}
