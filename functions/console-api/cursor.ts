import { z } from 'zod';
import { invalid } from './problem.ts';

/** A place in a list as opaque text. It holds sort keys only, and means nothing outside of its list. */
export function writeCursor(keys: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(keys)).toString('base64url');
}

/** Throws an invalid-request problem for text that this list did not write. */
export function readCursor<T extends z.ZodType>(cursor: string | undefined, shape: T): z.infer<T> | undefined {
  if (cursor === undefined) return undefined;
  let keys: unknown;
  try {
    keys = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    keys = undefined;
  }
  const result = shape.safeParse(keys);
  if (!result.success) throw invalid([{ path: 'query.cursor', code: 'cursor', message: 'is not a nextCursor of this list' }]);
  return result.data;
}

export const DEFAULT_LIMIT = 50;
export const MAX_LIMIT = 500;

/** Query parameters of every cursor-paged list. */
export const pageQuery = {
  cursor: z.string().min(1).max(4_000).optional().describe('`nextCursor` of the page before'),
  limit: z.coerce.number().int().min(1).max(MAX_LIMIT).default(DEFAULT_LIMIT),
};

/** One row more than the page was read: it only tells that there is a next page. */
export function pageOf<Row, Item>(
  rows: Row[],
  limit: number,
  keysOf: (row: Row) => readonly (string | number)[],
  itemOf: (row: Row) => Item,
): { items: Item[]; nextCursor: string | null } {
  const shown = rows.slice(0, limit);
  return { items: shown.map(itemOf), nextCursor: rows.length > limit ? writeCursor(keysOf(shown.at(-1)!)) : null };
}
