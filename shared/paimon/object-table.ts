import type { DataField } from './data-type.ts';

/**
 * The columns of object tables are Paimon's own. Since 1.4 it loads them with these descriptions whatever the schema file holds
 * (`org.apache.paimon.table.object.ObjectTable`); the older form, with other columns and timestamp types, has none.
 */
const COLUMNS: ReadonlyArray<readonly [name: string, type: string, description: string]> = [
  ['path', 'STRING NOT NULL', 'Relative path of object'],
  ['name', 'STRING NOT NULL', 'Name of object'],
  ['length', 'BIGINT NOT NULL', 'Bytes length of object'],
  ['mtime', 'BIGINT NOT NULL', 'Modification time of object'],
  ['atime', 'BIGINT NOT NULL', 'Access time of object'],
  ['owner', 'STRING', 'Owner of object'],
];

/** The fields with the descriptions that Paimon shows, where the file left them out and the columns are the newer form. */
export function describeObjectTable(fields: readonly DataField[]): DataField[] {
  const isNewerForm =
    fields.length === COLUMNS.length &&
    fields.every((field, i) => field.name === COLUMNS[i]![0] && field.type.text === COLUMNS[i]![1]);
  return fields.map((field, i) =>
    isNewerForm && field.description === undefined ? { ...field, description: COLUMNS[i]![2] } : field,
  );
}
