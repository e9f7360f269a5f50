import { z } from 'zod';
import { formatWarehouse } from './data-source-rules/warehouse.ts';
import { InvalidInput } from './errors.ts';
import type { ListPage, ObjectStore } from './object-store/object-store.ts';
import type { BucketPage } from './object-store/oss.ts';
import { databaseOfFolder } from './paimon/layout.ts';

/**
 * Choosing a warehouse by looking: storage buckets, then folders, each marked with what it looks like. A page of n
 * folders costs 1 + n requests at most when nothing below looks like a database, and 1 + 2 n otherwise.
 */

export const MAX_FOLDERS_PER_PAGE = 50;
const DEFAULT_FOLDERS_PER_PAGE = 20;
/** Looks at this many folders at the same time. */
const CONCURRENT_LOOKS = 8;
/** Of what lies in a folder, only this much is looked at. */
const LOOK_KEYS = 100;

/** `warehouse`: holds a database with something in it; `unknown`: may not be listed, or did not answer. */
export type FolderKind = 'warehouse' | 'database' | 'table' | 'folder' | 'unknown';

export interface Folder {
  name: string;
  /** What to browse next; ends in `/`. */
  prefix: string;
  /** `oss://bucket/path`, to be entered as a warehouse. */
  location: string;
  kind: FolderKind;
}

export interface FolderPage {
  folders: Folder[];
  /** What the place itself looks like, as far as this page tells. */
  here: FolderKind;
  nextToken?: string;
  /** How many requests this page cost. */
  requests: number;
}

export interface BrowseRequest {
  bucket: string;
  /** Empty, or ends in `/`. */
  prefix: string;
  /** Only folders whose names start with this. */
  search?: string;
  /** From the page before. */
  token?: string;
  /** 1 to 50, default 20. */
  limit?: number;
  signal?: AbortSignal;
}

export interface BucketList {
  buckets: { name: string; region: string; createdAt: Date | undefined; isInRegion: boolean }[];
  nextToken?: string;
}

/** One page of an account's storage buckets; those of the environment's own region are marked. Throws what the store throws. */
export async function listBuckets(
  ask: (request: { prefix?: string; marker?: string; maxKeys?: number; signal?: AbortSignal }) => Promise<BucketPage>,
  request: { region: string; search?: string; token?: string; limit?: number; signal?: AbortSignal },
): Promise<BucketList> {
  const { region, search, token, limit = 100, signal } = request;
  const page = await ask({
    ...(search && { prefix: search }),
    ...(token && { marker: token }),
    maxKeys: Math.min(Math.max(limit, 1), 1000),
    ...(signal && { signal }),
  });
  return {
    buckets: page.buckets.map((bucket) => ({ ...bucket, isInRegion: bucket.region === region })),
    ...(page.nextMarker && { nextToken: page.nextMarker }),
  };
}

/** One page of folders. Throws InvalidInput for a prefix or token that cannot be, and what the store throws for the page itself. */
export async function browseFolders(store: ObjectStore, request: BrowseRequest): Promise<FolderPage> {
  const { bucket, prefix, search = '', signal } = request;
  if (prefix !== '' && (!prefix.endsWith('/') || prefix.startsWith('/')))
    throw InvalidInput.at('prefix', 'must be empty, or a path that ends in a slash and does not start with one');
  if (search.includes('/')) throw InvalidInput.at('search', 'is the beginning of one folder name, without slashes');
  const limit = Math.min(Math.max(request.limit ?? DEFAULT_FOLDERS_PER_PAGE, 1), MAX_FOLDERS_PER_PAGE);
  const page = await store.list({
    prefix: prefix + search,
    delimiter: '/',
    // Objects count too: a folder of many files would give pages without a folder.
    maxKeys: limit,
    ...(request.token !== undefined && { token: readToken(request.token) }),
    ...(signal && { signal }),
  });
  let requests = 1;
  const look = async (folder: string): Promise<FolderKind> => {
    if (databaseOfFolder(folder.slice(prefix.length)) !== undefined) return 'database';
    requests++;
    const below = await lookInto(store, folder, signal);
    if (!below) return 'unknown';
    const kind = kindOf(below, folder);
    if (kind !== 'warehouse') return kind;
    // A folder called something.db proves nothing until something lies in it.
    const database = below.prefixes.find((name) => databaseOfFolder(name.slice(folder.length)) !== undefined)!;
    requests++;
    const inside = await lookInto(store, database, signal);
    return !inside || inside.prefixes.length > 0 ? 'warehouse' : 'folder';
  };
  const kinds = await inTurns(page.prefixes, CONCURRENT_LOOKS, look);
  return {
    folders: page.prefixes.map((folder, i) => ({
      name: folder.slice(prefix.length, -1),
      prefix: folder,
      location: formatWarehouse({ bucket, prefix: folder }),
      kind: kinds[i]!,
    })),
    here: kindOf(page, prefix),
    ...(page.nextToken !== undefined && { nextToken: writeToken(page.nextToken) }),
    requests,
  };
}

/** From the names directly below: what a folder looks like. */
function kindOf(below: ListPage, folder: string): FolderKind {
  const names = below.prefixes.map((prefix) => prefix.slice(folder.length));
  if (names.includes('schema/') && (names.includes('snapshot/') || names.includes('manifest/'))) return 'table';
  if (names.some((name) => databaseOfFolder(name) !== undefined)) return 'warehouse';
  // `sales.db/` itself ends in `.db/`.
  return /[^/]\.db\/$/.test(folder) ? 'database' : 'folder';
}

/** Undefined when this one folder cannot be looked into: the others still can. */
async function lookInto(store: ObjectStore, prefix: string, signal?: AbortSignal): Promise<ListPage | undefined> {
  try {
    return await store.list({ prefix, delimiter: '/', maxKeys: LOOK_KEYS, ...(signal && { signal }) });
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof RangeError || error instanceof TypeError) throw error;
    return undefined;
  }
}

async function inTurns<In, Out>(items: readonly In[], atOnce: number, work: (item: In) => Promise<Out>): Promise<Out[]> {
  const results = new Array<Out>(items.length);
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < items.length; i = next++) results[i] = await work(items[i]!);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  return results;
}

const Token = z.strictObject({ v: z.literal(1), t: z.string().min(1).max(4096) });

/** The service's own token could be taken for something else by whoever carries it; ours says what it is. */
function writeToken(token: string): string {
  return Buffer.from(JSON.stringify({ v: 1, t: token })).toString('base64url');
}

function readToken(text: string): string {
  try {
    return Token.parse(JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))).t;
  } catch (cause) {
    throw InvalidInput.at('token', 'is not one of ours; begin again without it', { cause });
  }
}
