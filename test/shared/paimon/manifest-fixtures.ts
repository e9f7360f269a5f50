import { readdirSync, readFileSync } from 'node:fs';
import { loadZstd } from '../../../shared/paimon/codec/zstd.ts';
import type { Cell, ContainerInfo, OnRow } from '../../../shared/paimon/rows.ts';

type ReadRows = (file: Uint8Array, columns: readonly string[], onRow: OnRow) => ContainerInfo;

const FOLDER = new URL('../../fixtures/manifests/', import.meta.url);

export const readFixture = (name: string): Buffer => readFileSync(new URL(name, FOLDER));

/** Names of the real files of one format that have an expectation beside them. */
export function realFixtures(extension: string): string[] {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith(`.${extension}.expected.json`))
    .map((name) => name.slice(0, -'.expected.json'.length));
}

export const expectedRows = (name: string): Record<string, unknown>[] =>
  JSON.parse(readFixture(`${name}.expected.json`).toString('utf8'));

/** Cells as the expectations have them. */
export function plain(cell: Cell): unknown {
  if (cell instanceof Map) return Object.fromEntries([...cell].map(([name, value]) => [name, plain(value)]));
  if (Array.isArray(cell)) return cell.map(plain);
  if (cell instanceof Uint8Array) return `hex:${Buffer.from(cell).toString('hex')}`;
  return typeof cell === 'bigint' ? String(cell) : cell;
}

/** All rows as plain objects by column. */
export function rowsOf(read: ReadRows, file: Uint8Array, columns: readonly string[]): Record<string, unknown>[] {
  const rows: Record<string, unknown>[] = [];
  read(file, columns, (slots) => {
    rows.push(Object.fromEntries(columns.map((column, i) => [column, plain(slots[i]!)])));
  });
  return rows;
}

/** Reads of zstd data are synchronous once this has been awaited. */
export const prepare = loadZstd;
