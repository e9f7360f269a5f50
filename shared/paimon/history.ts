import type { ObjectInfo } from '../object-store/object-store.ts';
import { Damage } from './damage.ts';
import { asLong, isObject, parseJson } from './int64-json.ts';
import { idOf, isTemporary } from './layout.ts';
import { MAX_HINT_BYTES, MAX_STEPS_BACK } from './limits.ts';
import { CompleteListing } from './listing.ts';
import type { NumberedFile, RootFiles } from './probe.ts';
import { type Reading, textOf } from './reading.ts';
import { decodeSchema, type Schema, type SchemaRemark } from './schema.ts';
import { decodeSnapshot, decodeTag, type Snapshot, type SnapshotRemark, type Tag } from './snapshot.ts';

/** Everything of a table that lies in small JSON files: schemas, snapshots, hints, tags, consumers. */

const SCHEMA_SEVERITY = {
  'newer-version': 'degraded',
  'duplicate-field-id': 'degraded',
  'partition-key-unknown': 'degraded',
  'primary-key-unknown': 'degraded',
  'id-differs': 'degraded',
  'unknown-type': 'warning',
} as const satisfies Record<SchemaRemark['code'], string>;

const SNAPSHOT_SEVERITY = {
  'newer-version': 'degraded',
  'unknown-commit-kind': 'warning',
  'unknown-keys': 'warning',
} as const satisfies Record<SnapshotRemark['code'], string>;

/**
 * Readable schemas, ascending. Oddities of the newest count for the table, those of older ones are warnings. With `latestOnly`
 * the newest readable one alone.
 */
export async function readSchemas(
  reading: Reading,
  root: string,
  files: readonly NumberedFile[],
  latestOnly = false,
): Promise<Schema[]> {
  const newest = files.at(-1)?.id;
  const readOne = async ({ id, object }: NumberedFile): Promise<Schema | undefined> => {
    const severity = id === newest ? 'degraded' : 'warning';
    const decoded = await reading.decode('schema', object.key, severity, (bytes) => decodeSchema(textOf(bytes), id), {
      mayBeGone: id !== newest,
    });
    if (decoded === undefined) return undefined;
    for (const { code, message } of decoded.remarks) {
      reading.problems.add(`schema-${code}`, id === newest ? SCHEMA_SEVERITY[code] : 'warning', object.key, message);
    }
    // The file name is what snapshots refer to.
    return { ...decoded.schema, id };
  };
  if (latestOnly) {
    for (const file of newestFirst(files)) {
      const schema = await readOne(file);
      if (schema) return [schema];
    }
    return [];
  }
  const schemas = await reading.each('schema', `${root}schema/`, files, readOne);
  return schemas.filter((schema) => schema !== undefined);
}

/** What is looked at for the latest state: older files only where newer ones cannot be read, and not for ever. */
function newestFirst(files: readonly NumberedFile[]): NumberedFile[] {
  return files.slice(-MAX_STEPS_BACK).reverse();
}

export interface SnapshotHistory {
  /** Ids of files that are there and do not contradict themselves, ascending. */
  ids: bigint[];
  unreadable: bigint[];
  readable: Snapshot[];
}

/**
 * Reads all snapshot files. An unreadable newest one breaks the table, an older one degrades it. With `latestOnly` the newest
 * readable one alone; ids are those of all files then.
 */
export async function readSnapshots(
  reading: Reading,
  root: string,
  files: readonly NumberedFile[],
  latestOnly = false,
): Promise<SnapshotHistory> {
  const newest = files.at(-1)?.id;
  const history: SnapshotHistory = { ids: [], unreadable: [], readable: [] };
  const readOne = async ({ id, object }: NumberedFile) => {
    let gone = true;
    const decoded = await reading.decode(
      'snapshot',
      object.key,
      id === newest ? 'broken' : 'degraded',
      (bytes) => {
        gone = false;
        return decodeSnapshot(textOf(bytes));
      },
      // Expiry deletes old snapshots at any time.
      { mayBeGone: id !== newest },
    );
    return { id, object, decoded, gone };
  };
  const read: Awaited<ReturnType<typeof readOne>>[] = [];
  if (latestOnly) {
    for (const file of newestFirst(files)) {
      read.unshift(await readOne(file));
      if (read[0]?.decoded?.snapshot.id === file.id) break;
    }
    history.ids.push(...files.slice(0, files.length - read.length).map(({ id }) => id));
  } else read.push(...(await reading.each('snapshot', `${root}snapshot/`, files, readOne)));
  for (const { id, object, decoded, gone } of read) {
    if (decoded === undefined) {
      if (gone && id !== newest) continue;
      history.ids.push(id);
      history.unreadable.push(id);
    } else if (decoded.snapshot.id !== id) {
      reading.problems.add(
        'snapshot-id-differs',
        'degraded',
        object.key,
        `expected id ${id} as the file name says, found ${decoded.snapshot.id}: not taken as a state`,
      );
    } else {
      history.ids.push(id);
      history.readable.push(decoded.snapshot);
    }
    for (const { code, message } of decoded?.remarks ?? []) {
      reading.problems.add(`snapshot-${code}`, id === newest ? SNAPSHOT_SEVERITY[code] : 'warning', object.key, message);
    }
  }
  return history;
}

/** Compares the two hints with the listing: engines trust them, so a wrong LATEST makes the table unreadable for them. */
export async function checkHints(reading: Reading, root: string, files: RootFiles, ids: readonly bigint[]): Promise<void> {
  const [latest, earliest] = await Promise.all([readHint(reading, files.hints.latest), readHint(reading, files.hints.earliest)]);
  const least = ids[0];
  const greatest = ids.at(-1);
  if (latest && greatest !== undefined && latest.id !== greatest) {
    if (latest.id > greatest) {
      // A commit since our listing looks the same: the snapshot is there then.
      const arrived = await reading.store.head(
        `${root}snapshot/snapshot-${latest.id}`,
        reading.signal ? { signal: reading.signal } : {},
      );
      if (arrived && !files.snapshots.some((file) => file.id === latest.id)) reading.missedCurrent = true;
      else if (!arrived) {
        reading.problems.add(
          'hint-latest-ahead',
          'degraded',
          latest.key,
          `expected ${greatest}, the newest snapshot there is, found ${latest.id}: engines that trust the hint fail`,
        );
      }
    } else if (latest.id > 0n && !ids.includes(latest.id + 1n)) {
      reading.problems.add(
        'hint-latest-behind-gap',
        'degraded',
        latest.key,
        `expected ${greatest}, found ${latest.id}: snapshot ${latest.id + 1n} is missing, so engines stop at ${latest.id}`,
      );
    } else {
      reading.problems.add(
        'hint-latest-behind',
        'warning',
        latest.key,
        `expected ${greatest}, found ${latest.id}: engines list instead`,
      );
    }
  } else if (latest && greatest === undefined && latest.id > 0n) {
    reading.problems.add(
      'hint-latest-ahead',
      'degraded',
      latest.key,
      `expected no hint as there is no snapshot, found ${latest.id}`,
    );
  }
  if (earliest && least !== undefined && earliest.id !== least) {
    reading.problems.add(
      'hint-earliest-differs',
      'warning',
      earliest.key,
      `expected ${least}, found ${earliest.id}: engines may list instead`,
    );
  }
}

async function readHint(reading: Reading, object: ObjectInfo | undefined): Promise<{ key: string; id: bigint } | undefined> {
  if (object === undefined) return undefined;
  const text = await reading.decode('hint', object.key, 'warning', (bytes) => textOf(bytes).trim(), {
    maxBytes: MAX_HINT_BYTES,
    mayBeGone: true,
  });
  if (text === undefined) return undefined;
  if (/^-?\d{1,18}$/.test(text)) return { key: object.key, id: BigInt(text) };
  reading.problems.add(
    'hint-unreadable',
    'warning',
    object.key,
    `expected a number, found ${text === '' ? 'nothing' : JSON.stringify(text.slice(0, 50))}: engines list instead`,
  );
  return undefined;
}

/** Names of the files of one folder, without those below it: `tag/tag-a` → `a`. */
export async function listNames(reading: Reading, folder: string, prefix: string): Promise<{ name: string; key: string }[]> {
  const listing = await CompleteListing.read(reading.store, { prefix: folder, delimiter: '/', signal: reading.signal });
  return listing.items.flatMap(({ key, object }) => {
    const name = key.slice(folder.length);
    if (!object || isTemporary(name) || !name.startsWith(prefix) || name.length === prefix.length) return [];
    return [{ name: name.slice(prefix.length), key }];
  });
}

export async function readTags(reading: Reading, root: string): Promise<{ tags: Tag[]; unreadable: string[] }> {
  const names = await listNames(reading, `${root}tag/`, 'tag-');
  const unreadable: string[] = [];
  const tags = await reading.each('tag', `${root}tag/`, names, async ({ name, key }) => {
    let gone = true;
    const decoded = await reading.decode(
      'tag',
      key,
      'degraded',
      (bytes) => {
        gone = false;
        return decodeTag(textOf(bytes), name);
      },
      { mayBeGone: true },
    );
    if (decoded === undefined && !gone) unreadable.push(name);
    for (const { code, message } of decoded?.remarks ?? []) reading.problems.add(`tag-${code}`, 'warning', key, message);
    return decoded?.tag;
  });
  return { tags: tags.filter((tag) => tag !== undefined), unreadable: unreadable.sort() };
}

export async function readConsumers(
  reading: Reading,
  root: string,
): Promise<{ consumers: Map<string, bigint>; unreadable: string[] }> {
  const names = await listNames(reading, `${root}consumer/`, 'consumer-');
  const consumers = new Map<string, bigint>();
  const unreadable: string[] = [];
  const read = await reading.each('consumer', `${root}consumer/`, names, async ({ name, key }) => {
    let gone = true;
    const next = await reading.decode(
      'consumer',
      key,
      'degraded',
      (bytes) => {
        gone = false;
        return decodeConsumer(textOf(bytes));
      },
      { mayBeGone: true },
    );
    return { name, next, gone };
  });
  for (const { name, next, gone } of read) {
    if (next !== undefined) consumers.set(name, next);
    else if (!gone) unreadable.push(name);
  }
  return { consumers, unreadable };
}

/** `consumer/consumer-<id>` (`org.apache.paimon.consumer.Consumer`). */
export function decodeConsumer(text: string): bigint {
  const json = parseJson(text);
  const next = isObject(json) ? asLong(json.nextSnapshot) : undefined;
  if (next === undefined) throw new Damage('the key nextSnapshot', 'none');
  return next;
}

export async function readChangelogIds(reading: Reading, root: string): Promise<bigint[]> {
  const names = await listNames(reading, `${root}changelog/`, 'changelog-');
  return names.flatMap(({ name }) => idOf(`changelog-${name}`, 'changelog') ?? []).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}
