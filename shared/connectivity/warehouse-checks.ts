import type { EnvironmentConfig, WarehouseLocation } from '../data-source.ts';
import { formatWarehouse } from '../data-source-rules/warehouse.ts';
import { FormatError } from '../errors.ts';
import type { ListPage, ObjectStore } from '../object-store/object-store.ts';
import { Damage, NotReadable, OverLimit } from '../paimon/damage.ts';
import { JsonError } from '../paimon/int64-json.ts';
import { databaseOfFolder, databasePrefix, idOf, isFolderName, schemaKey, snapshotKey, tablePrefix } from '../paimon/layout.ts';
import { decodeSchema } from '../paimon/schema.ts';
import { decodeSnapshot } from '../paimon/snapshot.ts';
import type { AccessState } from './access-checks.ts';
import { causeOfStoreError } from './cause-of-error.ts';
import type { Outcome, Step } from './run-checks.ts';

/** A test looks into this many databases only, and says so. */
const MAX_DATABASES = 5;
/** Folders looked at for one with a schema. */
const MAX_TABLES_TRIED = 8;
const MAX_CHILDREN_TRIED = 8;
const MAX_METADATA_BYTES = 16 * 1024 * 1024;
const NAME_SHOWN_CHARS = 80;

/** What lies in the warehouse, seen with bounds. */
interface Survey {
  databases: string[];
  /** There are more databases than one page holds. */
  isCut: boolean;
  /** Of the first databases, child folders. */
  tables: { database: string; table: string }[];
  databasesSeen: number;
  tablesAreCut: boolean;
}

interface Sample {
  name: string;
  schemaVersion: number;
  snapshotVersion?: number;
}

/** Reads one metadata object, then judges whether the path is a warehouse. At most 28 requests. */
export function warehouseSteps(config: EnvironmentConfig, access: AccessState): Step[] {
  const { location } = config;
  const { prefix } = location;
  let survey: Survey | undefined;
  let sample: Sample | undefined;

  async function read(signal: AbortSignal): Promise<Outcome> {
    const store = access.store!;
    const target = access.network.target!;
    try {
      survey = await surveyWarehouse(store, prefix, access.children!, signal);
    } catch (error) {
      const { code, evidence } = causeOfStoreError(error, 'list', target);
      return { status: 'failed', cause: code, evidence: `listing a database: ${evidence}` };
    }
    let found: { name: string; root: string; schemaId: bigint } | undefined;
    try {
      found = await findTable(store, prefix, survey, signal);
    } catch (error) {
      const { code, evidence } = causeOfStoreError(error, 'list', target);
      return { status: 'failed', cause: code, evidence: `listing a table: ${evidence}` };
    }
    if (!found)
      return {
        status: 'skipped',
        evidence:
          survey.tables.length === 0
            ? 'there is no table to read yet'
            : `none of the first ${Math.min(survey.tables.length, MAX_TABLES_TRIED)} folders has a schema to read`,
      };
    const key = schemaKey(found.root, found.schemaId);
    try {
      const object = await store.get(key, { maxBytes: MAX_METADATA_BYTES, signal });
      if (!object) return { status: 'ok', evidence: `the newest schema of ${found.name} went away while it was looked at` };
      const { schema } = decodeSchema(Buffer.from(object.bytes).toString('utf8'), found.schemaId);
      sample = { name: found.name, schemaVersion: schema.version };
      const snapshotVersion = await newestSnapshotVersion(store, found.root, signal);
      if (snapshotVersion !== undefined) sample.snapshotVersion = snapshotVersion;
      return { status: 'ok', evidence: `read the newest schema of ${found.name} (${object.bytes.byteLength} bytes)` };
    } catch (error) {
      if (isBadContent(error))
        return {
          status: 'warning',
          cause: 'object-unreadable',
          evidence: `the newest metadata of ${found.name} cannot be understood`,
        };
      const { code, evidence } = causeOfStoreError(error, 'read', target);
      return { status: 'failed', cause: code, evidence: `reading the newest schema of ${found.name}: ${evidence}` };
    }
  }

  async function warehouse(signal: AbortSignal): Promise<Outcome> {
    const { databases, isCut, tables, databasesSeen, tablesAreCut } = survey!;
    if (databases.length === 0) return judgeNoDatabase(access.store!, location, access.children!, signal);
    const seen = `${isCut ? 'at least ' : ''}${count(databases.length, 'database')}`;
    if (tables.length === 0)
      return {
        status: 'warning',
        cause: 'warehouse-no-tables',
        evidence: `${seen}, no tables in ${databasesSeen < databases.length ? `the first ${databasesSeen}` : 'any of them'}`,
      };
    const bound = databasesSeen < databases.length ? ` in the first ${databasesSeen} databases` : '';
    const versions = sample
      ? `; ${sample.name} has schema format ${sample.schemaVersion}${sample.snapshotVersion === undefined ? ', no snapshot yet' : `, snapshot format ${sample.snapshotVersion}`}`
      : '';
    return {
      status: 'ok',
      evidence: `${seen}, ${tablesAreCut ? 'at least ' : ''}${count(tables.length, 'table folder')}${bound}${versions}`,
    };
  }

  /** Whether an identity may write shows only by writing, and that is never tried. */
  async function readOnly(): Promise<Outcome> {
    return { status: 'ok', evidence: 'nothing has to be writable; whether this identity could write was not tried' };
  }

  return [
    { id: 'read', title: 'A metadata object can be read', limitMs: 10_000, silentCause: 'no-answer', run: read },
    { id: 'warehouse', title: 'The path is a Paimon warehouse', limitMs: 8_000, silentCause: 'no-answer', run: warehouse },
    { id: 'read-only', title: 'No write access is needed', limitMs: 1_000, silentCause: 'unexpected', run: readOnly },
  ];
}

async function surveyWarehouse(store: ObjectStore, prefix: string, children: ListPage, signal: AbortSignal): Promise<Survey> {
  const databases = children.prefixes.flatMap((child) => databaseOfFolder(child.slice(prefix.length)) ?? []).filter(isFolderName);
  const looked = databases.slice(0, MAX_DATABASES);
  const pages = await Promise.all(
    looked.map((database) => store.list({ prefix: databasePrefix(prefix, database), delimiter: '/', maxKeys: 1000, signal })),
  );
  return {
    databases,
    isCut: children.nextToken !== undefined,
    tables: looked.flatMap((database, i) =>
      pages[i]!.prefixes.map((folder) => ({ database, table: folder.slice(databasePrefix(prefix, database).length, -1) })).filter(
        ({ table }) => isFolderName(table),
      ),
    ),
    databasesSeen: looked.length,
    tablesAreCut: pages.some((page) => page.nextToken !== undefined),
  };
}

/** The first folder with a schema, and the number of its newest one (of the first 1,000). */
async function findTable(store: ObjectStore, prefix: string, survey: Survey, signal: AbortSignal) {
  for (const { database, table } of survey.tables.slice(0, MAX_TABLES_TRIED)) {
    const root = tablePrefix(prefix, database, table);
    const folder = `${root}schema/`;
    const page = await store.list({ prefix: folder, maxKeys: 1000, signal });
    let newest: bigint | undefined;
    for (const { key } of page.objects) {
      const id = idOf(key.slice(folder.length), 'schema');
      if (id !== undefined && (newest === undefined || id > newest)) newest = id;
    }
    if (newest !== undefined) return { name: shown(`${database}.${table}`), root, schemaId: newest };
  }
  return undefined;
}

async function newestSnapshotVersion(store: ObjectStore, root: string, signal: AbortSignal): Promise<number | undefined> {
  const hint = await store.get(`${root}snapshot/LATEST`, { maxBytes: 1024, signal });
  const text = hint ? Buffer.from(hint.bytes).toString('utf8').trim() : '';
  if (!/^\d{1,18}$/.test(text)) return undefined;
  const object = await store.get(snapshotKey(root, BigInt(text)), { maxBytes: MAX_METADATA_BYTES, signal });
  return object && decodeSnapshot(Buffer.from(object.bytes).toString('utf8')).snapshot.version;
}

/** No `*.db` folder: says what the place looks like instead. A role's session sees nothing above the path, so parents are named, not looked at. */
async function judgeNoDatabase(
  store: ObjectStore,
  location: WarehouseLocation,
  children: ListPage,
  signal: AbortSignal,
): Promise<Outcome> {
  const { prefix } = location;
  const names = new Set(children.prefixes.map((child) => child.slice(prefix.length)));
  if (names.has('schema/') && (names.has('snapshot/') || names.has('manifest/')))
    return failed('warehouse-is-table', 'schema and snapshot folders lie directly here', formatWarehouse(up(location, 2)));
  if (prefix.endsWith('.db/')) return failed('warehouse-is-database', 'the folder ends in .db', formatWarehouse(up(location, 1)));
  const others: [string, string][] = [
    ['_delta_log/', 'Delta Lake'],
    ['.hoodie/', 'Hudi'],
  ];
  const other = others.find(([folder]) => names.has(folder));
  if (other) return failed('warehouse-other-format', `a folder ${other[0]} lies directly here`, other[1]);
  if (names.has('metadata/') && names.has('data/'))
    return failed('warehouse-other-format', 'the folders metadata/ and data/ lie directly here', 'Iceberg');
  if (names.size === 0 && children.objects.every((object) => object.key === prefix))
    return { status: 'warning', cause: 'warehouse-empty', evidence: `nothing lies below ${formatWarehouse(location)}` };
  for (const child of children.prefixes.slice(0, MAX_CHILDREN_TRIED)) {
    const page = await store.list({ prefix: child, delimiter: '/', maxKeys: 1000, signal });
    const below = page.prefixes.map((name) => name.slice(child.length));
    if (below.some((name) => databaseOfFolder(name) !== undefined))
      return failed('warehouse-is-parent', 'a folder below holds databases', formatWarehouse({ ...location, prefix: child }));
    // Tables below, and no `.db` at the end: a database that was moved or named by another catalog.
    if (below.includes('schema/') && below.includes('snapshot/'))
      return failed('warehouse-is-database', 'tables lie directly here', formatWarehouse(up(location, 1)));
  }
  const looked = Math.min(children.prefixes.length, MAX_CHILDREN_TRIED);
  return {
    status: 'warning',
    cause: 'warehouse-no-database',
    evidence: `${count(children.prefixes.length, 'folder')} and ${count(children.objects.length, 'object')} here, none of them a database; looked into ${count(looked, 'folder')}`,
  };
}

function failed(
  cause: 'warehouse-is-table' | 'warehouse-is-database' | 'warehouse-is-parent' | 'warehouse-other-format',
  evidence: string,
  suggestion: string,
): Outcome {
  return { status: 'failed', cause, evidence, suggestion };
}

function up(location: WarehouseLocation, levels: number): WarehouseLocation {
  const segments = location.prefix.split('/').slice(0, -1);
  const kept = segments.slice(0, Math.max(0, segments.length - levels));
  return { bucket: location.bucket, prefix: kept.length === 0 ? '' : `${kept.join('/')}/` };
}

function isBadContent(error: unknown): boolean {
  return [Damage, NotReadable, OverLimit, JsonError, FormatError].some((kind) => error instanceof kind);
}

function count(n: number, what: string): string {
  return `${n.toLocaleString('en')} ${what}${n === 1 ? '' : 's'}`;
}

/** Names from a bucket are any characters: short and visible. */
function shown(name: string): string {
  const visible = JSON.stringify(name)
    .slice(1, -1)
    .replace(/[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, '\uFFFD');
  return visible.length > NAME_SHOWN_CHARS ? `${visible.slice(0, NAME_SHOWN_CHARS)}…` : visible;
}
