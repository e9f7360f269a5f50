import type { TableName } from '../../shared/store/collection-runs.ts';

/** Pure: what was found and what is stored → what to read, what is missing, and in which batches. */

/** Thresholds of what one sweep may remove by itself. Beyond them a person decides. */
export const MAX_REMOVED_TABLES = 20;
export const MAX_REMOVED_SHARE = 0.1;
export const MIN_WHOLE_DATABASE = 5;

/** What one message may cost, by expectation: about a minute's work at 50 ms a request with a few in flight. */
export const BATCH_REQUESTS = 2_000;
export const BATCH_BYTES = 512 * 1024 * 1024;
/** Below the schema's limit of 500, and small enough that the start of a large collection spreads over functions. */
export const BATCH_TABLES = 200;
/** JSON bytes of the names in one message; the envelope around them takes less than 1 KB of the 47 KB. */
export const BATCH_NAME_BYTES = 40_000;
/** A table that nobody has read yet. */
const NEW_TABLE_REQUESTS = 25;
const NEW_TABLE_BYTES = 1024 * 1024;

export interface StoredTable {
  name: string;
  /** What the last full read cost; zeros when there was none. */
  readRequests: number;
  readBytes: number;
  removed: boolean;
}

export interface DatabasePlan {
  /** In scope and listed: to be looked at. */
  toRead: Array<{ table: string; requests: number; bytes: number }>;
  /** In scope, known and not removed, but no longer listed. */
  missing: string[];
}

/** One database: its complete listing against what the map knows of it. Tables out of scope are neither read nor missing. */
export function planDatabase(
  listed: readonly string[],
  stored: readonly StoredTable[],
  isInScope: (table: string) => boolean,
): DatabasePlan {
  const known = new Map(stored.map((table) => [table.name, table]));
  const found = new Set(listed);
  return {
    toRead: listed.filter(isInScope).map((table) => ({ table, ...expectedCost(known.get(table)) })),
    missing: stored
      .filter((table) => !table.removed && !found.has(table.name) && isInScope(table.name))
      .map((table) => table.name),
  };
}

/** Most looks find nothing new and cost one request; a tenth of a full read is kept in reserve for those that do. */
function expectedCost(stored: StoredTable | undefined): { requests: number; bytes: number } {
  if (!stored || stored.removed || stored.readRequests === 0) return { requests: NEW_TABLE_REQUESTS, bytes: NEW_TABLE_BYTES };
  return { requests: 1 + Math.ceil(stored.readRequests / 10), bytes: Math.ceil(stored.readBytes / 10) };
}

/** Cuts tables into messages, in order. A table that is over a limit by itself gets a message of its own. */
export function cutBatches(tables: ReadonlyArray<TableName & { requests: number; bytes: number }>): TableName[][] {
  const batches: TableName[][] = [];
  let batch: TableName[] = [];
  let requests = 0;
  let bytes = 0;
  let nameBytes = 0;
  for (const { database, table, ...cost } of tables) {
    const size = Buffer.byteLength(JSON.stringify({ database, table })) + 1;
    const isFull =
      batch.length >= BATCH_TABLES ||
      requests + cost.requests > BATCH_REQUESTS ||
      bytes + cost.bytes > BATCH_BYTES ||
      nameBytes + size > BATCH_NAME_BYTES;
    if (isFull && batch.length > 0) {
      batches.push(batch);
      batch = [];
      requests = bytes = nameBytes = 0;
    }
    batch.push({ database, table });
    requests += cost.requests;
    bytes += cost.bytes;
    nameBytes += size;
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}

/** How many tables the map knows (not removed) and how many of them are missing, by database. */
export interface RemovalCount {
  database: string;
  known: number;
  missing: number;
}

/** Why removals must wait for a person, or undefined when they are few enough to be believed. */
export function reasonToHold(counts: readonly RemovalCount[]): string | undefined {
  const known = sum(counts.map((count) => count.known));
  const missing = sum(counts.map((count) => count.missing));
  if (missing === 0) return undefined;
  const whole = counts.find((count) => count.missing === count.known && count.known >= MIN_WHOLE_DATABASE);
  if (whole) return `all ${whole.known} tables of database '${whole.database}' are missing`;
  if (missing === known) return `all ${known} tables of the environment are missing`;
  if (missing > MAX_REMOVED_TABLES && missing > known * MAX_REMOVED_SHARE) return `${missing} of ${known} tables are missing`;
  return undefined;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
