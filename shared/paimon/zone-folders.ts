import type { Value } from './binary-row.ts';
import { CompleteListing } from './listing.ts';
import { dependsOnZone, escapeName, type PartitionNaming, partitionName, unescapeName } from './partition-path.ts';
import type { Reading } from './reading.ts';
import type { PartitionState, TableView } from './table-metadata.ts';

/**
 * With `partition.legacy-name=false`, folders of zoned timestamps are named after the wall clock of the writer, whose zone
 * no metadata holds. The folders themselves tell it: each value is matched with the folder that is a whole number of seconds, at
 * most 18 hours, away from it.
 */

/** `java.time.ZoneOffset` ends at 18 hours. */
const MAX_OFFSET_MS = 18 * 3_600_000;

type Timestamp = { millis: bigint; nanos: number };

/**
 * Finds the paths of partitions that only the folders tell: one LIST for each parent of such folders. More than `maxLists`
 * parents: paths stay unknown, and a warning says so.
 */
export async function resolveZonePaths(reading: Reading, tableRoot: string, view: TableView, maxLists: number): Promise<void> {
  const partitions = (view.live?.partitions ?? []).filter(
    ({ naming, path }) => naming && path === undefined && dependsOnZone(naming),
  );
  const naming = partitions[0]?.naming;
  if (naming === undefined) return;
  let lists = 0;
  let groups = new Map<string, PartitionState[]>([[naming.directory, partitions]]);
  for (const [level, key] of naming.keys.entries()) {
    const next = new Map<string, PartitionState[]>();
    for (const [parent, members] of groups) {
      const zoned = members
        .map((member) => member.values![level])
        .filter((value) => isZoned(naming, level, value)) as Timestamp[];
      if (zoned.length > 0 && ++lists > maxLists) {
        reading.problems.add(
          'partition-paths-unknown',
          'warning',
          tableRoot,
          `more than ${maxLists} folders would have to be listed to find the paths of partitions`,
        );
        return;
      }
      const folders = zoned.length > 0 ? await foldersBelow(reading, tableRoot + parent, key) : [];
      const matched = matchFolders(zoned, folders);
      for (const member of members) {
        const value = member.values![level];
        const name = isZoned(naming, level, value)
          ? matched.get(keyOf(value as Timestamp))
          : plainName(naming, level, key, value);
        if (name === undefined) continue;
        const path = `${parent}${name}/`;
        next.set(path, [...(next.get(path) ?? []), member]);
      }
    }
    groups = next;
  }
  for (const [path, members] of groups) for (const member of members) member.path = path.slice(0, -1);
}

function isZoned(naming: PartitionNaming, level: number, value: Value): boolean {
  const type = naming.types[level]!;
  return type.kind === 'atomic' && type.name === 'TIMESTAMP_LTZ' && value !== null && value !== undefined;
}

function plainName(naming: PartitionNaming, level: number, key: string, value: Value): string | undefined {
  const name = partitionName(value, naming, level);
  return name === undefined ? undefined : `${escapeName(key)}=${escapeName(name)}`;
}

interface Folder {
  name: string;
  /** Wall clock as if UTC. */
  millis: bigint;
  nanos: number;
}

async function foldersBelow(reading: Reading, prefix: string, key: string): Promise<Folder[]> {
  const listing = await CompleteListing.read(reading.store, { prefix, delimiter: '/', signal: reading.signal });
  const start = `${escapeName(key)}=`;
  return listing.items.flatMap((item) => {
    const name = item.object ? '' : item.key.slice(prefix.length, -1);
    if (!name.startsWith(start)) return [];
    const parts = /^(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?$/.exec(unescapeName(name.slice(start.length)));
    if (parts === null) return [];
    const [year, month, day, hour, minute, second] = parts.slice(1, 7).map(Number) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    const date = new Date(0);
    // Date.UTC takes years below 100 for the last century's.
    date.setUTCFullYear(year, month - 1, day);
    date.setUTCHours(hour, minute, second);
    const nanos = Number((parts[7] ?? '').padEnd(9, '0'));
    return [{ name, millis: BigInt(date.getTime() + Math.floor(nanos / 1_000_000)), nanos: nanos % 1_000_000 }];
  });
}

/** Each value's folder. Where several are near enough, the offset that most values share decides. */
export function matchFolders(values: readonly Timestamp[], folders: readonly Folder[]): Map<string, string> {
  const candidates = new Map<string, { offset: number; name: string }[]>();
  const votes = new Map<number, number>();
  for (const value of values) {
    if (candidates.has(keyOf(value))) continue;
    const near = folders
      .map((folder) => ({
        offset: Number(folder.millis - value.millis),
        name: folder.name,
        sameFraction: folder.nanos === value.nanos,
      }))
      .filter(({ offset, sameFraction }) => sameFraction && offset % 1000 === 0 && Math.abs(offset) <= MAX_OFFSET_MS);
    candidates.set(keyOf(value), near);
    for (const { offset } of near) votes.set(offset, (votes.get(offset) ?? 0) + 1);
  }
  const matched = new Map<string, string>();
  const mostShared = [...votes].sort((a, b) => b[1] - a[1] || Math.abs(a[0]) - Math.abs(b[0]))[0]?.[0] ?? 0;
  for (const [value, near] of candidates) {
    const best = near.toSorted(
      (a, b) => votes.get(b.offset)! - votes.get(a.offset)! || Math.abs(a.offset - mostShared) - Math.abs(b.offset - mostShared),
    )[0];
    if (best) matched.set(value, best.name);
  }
  return matched;
}

function keyOf({ millis, nanos }: Timestamp): string {
  return `${millis}/${nanos}`;
}
