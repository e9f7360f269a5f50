import { Damage } from './damage.ts';
import { asInt, asLong, asText, isObject, type Json, parseJson } from './int64-json.ts';

/** What ANALYZE left (`org.apache.paimon.stats.Statistics`). Of the snapshot named inside, which may be older than the table's. */
export interface TableStatistics {
  snapshotId: bigint;
  schemaId: bigint;
  /** The only merged row count that Paimon stores. */
  mergedRecordCount?: bigint;
  mergedRecordSize?: bigint;
  columns: Map<string, ColumnStatistics>;
}

export interface ColumnStatistics {
  columnId: number;
  distinctCount?: bigint;
  /** Text in Paimon's form of the column's type. */
  min?: string;
  max?: string;
  nullCount?: bigint;
  avgLen?: bigint;
  maxLen?: bigint;
}

/** Decodes `statistics/stat-…`. Throws Damage or JsonError. */
export function decodeStatistics(text: string): TableStatistics {
  const json = parseJson(text);
  if (!isObject(json)) throw new Damage('a JSON object', 'something else');
  const snapshotId = asLong(json.snapshotId);
  const schemaId = asLong(json.schemaId);
  if (snapshotId === undefined || schemaId === undefined) throw new Damage('snapshotId and schemaId', 'none');
  const columns = new Map<string, ColumnStatistics>();
  if (isObject(json.colStats)) {
    for (const [name, column] of Object.entries(json.colStats)) if (isObject(column)) columns.set(name, columnOf(column));
  }
  return {
    snapshotId,
    schemaId,
    ...optional({ mergedRecordCount: asLong(json.mergedRecordCount), mergedRecordSize: asLong(json.mergedRecordSize) }),
    columns,
  };
}

function columnOf(json: { [name: string]: Json }): ColumnStatistics {
  return {
    columnId: asInt(json.colId) ?? -1,
    ...optional({
      distinctCount: asLong(json.distinctCount),
      min: asText(json.min),
      max: asText(json.max),
      nullCount: asLong(json.nullCount),
      avgLen: asLong(json.avgLen),
      maxLen: asLong(json.maxLen),
    }),
  };
}

function optional<T extends Record<string, unknown>>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
