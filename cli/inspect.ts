import { stat } from 'node:fs/promises';
import { Command } from 'commander';
import { type AccessKeys, Secret } from '../shared/credentials/secret.ts';
import { AccessDenied, InvalidInput, NotFound, Unreachable } from '../shared/errors.ts';
import { openDirectoryStore } from '../shared/object-store/directory.ts';
import type { ObjectStore } from '../shared/object-store/object-store.ts';
import { metered, newMeter, totalRequests } from '../shared/object-store/request-meter.ts';
import { probeTable, readBranch, readTable, type TableLocation, type TableMetadata } from '../shared/paimon/table.ts';
import { type PlainObject, toDocument } from '../shared/paimon/table-document.ts';
import { listDatabases, listTableFolders, listTablesWithTokens } from '../shared/paimon/warehouse.ts';
import { EXIT, Failure, wrongUse } from './failure.ts';
import { formatTable, humanBytes, humanCount, printJson, printLine, visible } from './output.ts';
import { startProgress } from './progress.ts';

interface InspectOptions {
  table?: string;
  branch?: string;
  endpoint?: string;
  region?: string;
  full?: boolean;
  json?: boolean;
}

/** A place that holds databases: a store, and where in it. */
interface Warehouse {
  store: ObjectStore;
  prefix: string;
  /** As given, for messages. */
  name: string;
}

/** One line of the answer. */
interface Inspected {
  metadata: TableMetadata;
  requests: number;
  bytesRead: number;
}

/** Tables read at once; each reads its own files at once too. */
const TABLES_AT_ONCE = 4;

/** `datamap inspect`: reads a warehouse without any server. */
export function inspectCommand(): Command {
  return new Command('inspect')
    .description('read a warehouse directly, without a server')
    .argument('<warehouse>', 'a directory, or oss://bucket/path')
    .option('--table <db.table>', 'only this table')
    .option('--branch <name>', 'this branch instead of the main one (with --table)')
    .option('--endpoint <url>', 'OSS endpoint; default https://oss-<region>.aliyuncs.com')
    .option('--region <region>', 'OSS region, such as cn-hangzhou')
    .option('--full', 'also what costs many reads: live files of every snapshot and tag, done marks')
    .option('--json', 'one JSON object a line and table')
    .addHelpText(
      'after',
      `
Credentials for oss:// come from ALIBABA_CLOUD_ACCESS_KEY_ID, ALIBABA_CLOUD_ACCESS_KEY_SECRET and ALIBABA_CLOUD_SECURITY_TOKEN,
or OSS_ACCESS_KEY_ID, OSS_ACCESS_KEY_SECRET and OSS_SESSION_TOKEN.

Exit codes: 0 done, 1 done and a table has a problem, 2 wrong use, 3 the store could not be reached or refused.

Examples:
  datamap inspect ./warehouse
  datamap inspect ./warehouse --table sales.orders --full --json
  datamap inspect oss://finance/lake/warehouse --region cn-hangzhou`,
    )
    .action(async (warehouse: string, options: InspectOptions) => {
      if (options.branch !== undefined && options.table === undefined) throw wrongUse('--branch needs --table');
      const opened = await openWarehouse(warehouse, options);
      try {
        await inspect(opened, options);
      } catch (error) {
        throw storeFailure(error, opened.name);
      }
    });
}

async function inspect(warehouse: Warehouse, options: InspectOptions): Promise<void> {
  const progress = startProgress();
  const listing = newMeter();
  let done = 0;
  const rows: string[][] = [];
  let problems = false;
  let total = 0;
  const show = ({ metadata, requests, bytesRead }: Inspected): void => {
    problems ||= metadata.status !== 'ok';
    total += requests;
    if (options.json) printJson(jsonOf({ metadata, requests, bytesRead }, options.full === true));
    else if (options.table !== undefined) printLine(describeTable({ metadata, requests, bytesRead }, options.full === true));
    else rows.push(rowOf(metadata));
  };
  try {
    if (options.table !== undefined) {
      const location = await findTable({ ...warehouse, store: metered(warehouse.store, listing) }, options.table);
      show(await readOne(warehouse, location, options));
    } else {
      const locations = await allTables({ ...warehouse, store: metered(warehouse.store, listing) }, progress.say);
      await inOrder(
        locations,
        async (location) => {
          const read = await readOne(warehouse, location, options);
          progress.say(`${++done} of ${locations.length} tables read`);
          return read;
        },
        show,
      );
    }
  } finally {
    progress.end();
  }
  if (!options.json && options.table === undefined) printOverview(rows, total + totalRequests(listing));
  if (problems) process.exitCode = EXIT.problem;
}

async function readOne(warehouse: Warehouse, location: TableLocation, options: InspectOptions): Promise<Inspected> {
  const meter = newMeter();
  const store = metered(warehouse.store, meter);
  const read = { full: options.full === true };
  const metadata =
    options.branch === undefined || options.branch === 'main'
      ? await readTable(store, location, read)
      : await readBranch(store, location, options.branch, read);
  if (metadata === undefined)
    throw wrongUse(`${location.database}.${location.table} has no branch ${visible(options.branch ?? '')}`);
  return { metadata, requests: totalRequests(meter), bytesRead: meter.bytesRead };
}

/** All tables, and folders that lost their schema, ordered by database and name. */
async function allTables(warehouse: Warehouse, say: (text: string) => void): Promise<TableLocation[]> {
  const { store, prefix } = warehouse;
  const databases = (await listDatabases(store, prefix)).items;
  if (databases.length === 0) throw await notAWarehouse(warehouse);
  const locations: TableLocation[] = [];
  for (const database of databases) {
    say(`looking for tables in ${database}`);
    const { tables, withoutSchema } = await listTablesWithTokens(store, prefix, database);
    for (const table of [...tables.items, ...withoutSchema]) locations.push({ warehousePrefix: prefix, database, table });
  }
  return locations;
}

/** Databases and tables may hold dots: the split that exists is meant. */
async function findTable({ store, prefix, name }: Warehouse, wanted: string): Promise<TableLocation> {
  const splits = [...wanted.matchAll(/\./g)]
    .map(({ index }) => ({ warehousePrefix: prefix, database: wanted.slice(0, index), table: wanted.slice(index + 1) }))
    .filter(({ database, table }) => isName(database) && isName(table));
  if (splits.length === 0) throw wrongUse(`--table needs the form database.table, got ${visible(wanted)}`);
  for (const location of splits) if ((await probeTable(store, location)).exists) return location;
  for (const location of splits) {
    const folders = await listTableFolders(store, prefix, location.database);
    // Not a table, but something of that name is there: what is wrong with it will be said.
    if (folders.items.includes(location.table)) return location;
  }
  throw wrongUse(`no table ${visible(wanted)} in ${visible(name)}`, ['`datamap inspect` without --table lists what is there.']);
}

function isName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name);
}

/** Why nothing was found: often the path is one level too high or too low. */
async function notAWarehouse({ store, prefix, name }: Warehouse): Promise<Failure> {
  const page = await store.list({ prefix, delimiter: '/' });
  const folders = page.prefixes.map((folder) => folder.slice(prefix.length, -1));
  const expected = 'A warehouse holds folders that end in ".db", one for each database.';
  if (folders.includes('schema') || folders.includes('snapshot')) {
    return wrongUse(`${visible(name)} looks like a table, not a warehouse`, [
      expected,
      'Give the folder two levels up, and --table.',
    ]);
  }
  for (const folder of folders.slice(0, 20)) {
    const below = await store.list({ prefix: `${prefix}${folder}/`, delimiter: '/' });
    const names = below.prefixes.map((key) => key.slice(prefix.length + folder.length + 1, -1));
    if (names.includes('schema'))
      return wrongUse(`${visible(name)} looks like a database, not a warehouse`, [expected, 'Give the folder above it.']);
    if (names.some((below) => below.endsWith('.db'))) {
      return wrongUse(`${visible(name)} is no warehouse, but ${visible(folder)} in it looks like one`, [expected]);
    }
  }
  const found =
    folders.length === 0
      ? 'No folder is there.'
      : `Found instead: ${folders.slice(0, 5).map(visible).join(', ')}${folders.length > 5 ? ', …' : ''}`;
  return wrongUse(`${visible(name)} is not a Paimon warehouse`, [expected, found]);
}

async function openWarehouse(name: string, options: InspectOptions): Promise<Warehouse> {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(name)?.[1]?.toLowerCase();
  if (scheme === undefined || scheme === 'file')
    return openDirectory(scheme === 'file' ? name.slice('file://'.length) : name, name);
  if (scheme !== 'oss') throw wrongUse(`${visible(name)}: a warehouse is a directory or oss://bucket/path`);
  const [, bucket = '', path = ''] = /^oss:\/\/([^/]*)\/*(.*)$/i.exec(name) ?? [];
  if (bucket === '') throw wrongUse(`${visible(name)} names no storage bucket: oss://bucket/path`);
  const region = options.region ?? process.env.ALIBABA_CLOUD_REGION_ID ?? regionOf(options.endpoint);
  if (region === undefined)
    throw wrongUse('give --region, such as cn-hangzhou', ['An endpoint of the form oss-<region>.aliyuncs.com tells it too.']);
  const { openOssStore } = await import('../shared/object-store/oss.ts');
  try {
    const store = openOssStore({
      bucket,
      region,
      endpoint: options.endpoint ?? `https://oss-${region}.aliyuncs.com`,
      keys: keysOf(process.env),
    });
    return { store, prefix: prefixOf(path), name };
  } catch (error) {
    if (error instanceof InvalidInput) throw wrongUse(error.message);
    throw error;
  }
}

async function openDirectory(path: string, name: string): Promise<Warehouse> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) throw wrongUse(`${visible(name)}: no such directory`);
  if (!found.isDirectory()) throw wrongUse(`${visible(name)} is a file, not a directory`);
  return { store: openDirectoryStore(path), prefix: '', name };
}

function prefixOf(path: string): string {
  const trimmed = path.replace(/\/+$/, '');
  return trimmed === '' ? '' : `${trimmed}/`;
}

function regionOf(endpoint: string | undefined): string | undefined {
  return endpoint === undefined
    ? undefined
    : /(?:^|\/\/|\.)oss-([a-z]+-[a-z0-9-]+?)(?:-internal)?\.aliyuncs\.com/.exec(endpoint)?.[1];
}

/** The default credential chain of the vendor's tools, as far as the environment holds it. */
function keysOf(env: NodeJS.ProcessEnv): AccessKeys {
  const id = env.ALIBABA_CLOUD_ACCESS_KEY_ID ?? env.OSS_ACCESS_KEY_ID;
  const secret = env.ALIBABA_CLOUD_ACCESS_KEY_SECRET ?? env.OSS_ACCESS_KEY_SECRET;
  const token = env.ALIBABA_CLOUD_SECURITY_TOKEN ?? env.OSS_SESSION_TOKEN;
  if (!id || !secret) {
    throw wrongUse('no credentials for oss://', ['Set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET.']);
  }
  return { accessKeyId: id, accessKeySecret: new Secret(secret), ...(token ? { securityToken: new Secret(token) } : {}) };
}

function storeFailure(error: unknown, name: string): unknown {
  if (error instanceof Unreachable || error instanceof AccessDenied || error instanceof NotFound) {
    return new Failure(EXIT.unreachable, `${visible(name)}: ${visible(error.message)}`, [], {}, { cause: error });
  }
  return error;
}

/** Reads ahead by a few and shows in order, so that output streams and repeats. */
async function inOrder<T, R>(items: readonly T[], work: (item: T) => Promise<R>, show: (result: R) => void): Promise<void> {
  const ahead: Promise<R>[] = [];
  for (let next = 0, shown = 0; shown < items.length; shown++) {
    for (; next < items.length && next - shown < TABLES_AT_ONCE; next++) {
      const result = work(items[next]!);
      // Awaited below, in turn; until then a failure is not unhandled.
      result.catch(() => {});
      ahead.push(result);
    }
    show(await ahead[shown]!);
    delete ahead[shown];
  }
}

function jsonOf({ metadata, requests, bytesRead }: Inspected, full: boolean): PlainObject {
  const document = toDocument(metadata);
  return {
    database: metadata.database,
    table: metadata.table,
    ...(metadata.branch === '' ? {} : { branch: metadata.branch }),
    status: metadata.status,
    requests,
    bytesRead,
    ...(full ? document : shortForm(document)),
  };
}

const SHORT = [
  'type',
  'latestSchemaId',
  'fieldCount',
  'primaryKeys',
  'partitionKeys',
  'comment',
  'latestSnapshotId',
  'totalRecordCount',
  'liveFileCount',
  'liveFileSize',
  'liveFileRowCount',
  'partitionCount',
  'problems',
];

function shortForm(document: PlainObject): PlainObject {
  return Object.fromEntries(SHORT.map((name) => [name, document[name] ?? null]));
}

function rowOf(metadata: TableMetadata): string[] {
  const { live, latest } = metadata;
  return [
    `${metadata.database}.${metadata.table}`,
    metadata.status,
    metadata.type,
    metadata.fieldCount?.toString() ?? '-',
    latest?.id.toString() ?? '-',
    humanCount(live?.records.toString() ?? null),
    humanCount(live?.files ?? null),
    humanBytes(live?.size.toString() ?? null),
    humanCount(live?.partitions.length ?? null),
    metadata.problems[0]?.code ?? '',
  ];
}

function printOverview(rows: string[][], requests: number): void {
  const header = ['TABLE', 'STATUS', 'TYPE', 'COLUMNS', 'SNAPSHOT', 'ROWS', 'FILES', 'SIZE', 'PARTITIONS', 'PROBLEM'];
  printLine(formatTable(header, rows, ['COLUMNS', 'SNAPSHOT', 'ROWS', 'FILES', 'SIZE', 'PARTITIONS']));
  const count = (status: string): number => rows.filter((row) => row[1] === status).length;
  printLine();
  printLine(
    `${rows.length} tables: ${count('ok')} ok, ${count('degraded')} degraded, ${count('broken')} broken; ${requests} requests. Rows are rows in files, unmerged.`,
  );
}

/** A table for people; `--full` prints the whole document. */
function describeTable(inspected: Inspected, full: boolean): string {
  const { metadata } = inspected;
  if (full) return JSON.stringify(jsonOf(inspected, true), null, 2).split('\n').map(visible).join('\n');
  const { schema, live, latest } = metadata;
  const facts: [string, string][] = [
    ['table', `${metadata.database}.${metadata.table}${metadata.branch === '' ? '' : ` (branch ${metadata.branch})`}`],
    ['status', metadata.status],
    ['type', metadata.type],
    ['comment', schema?.comment ?? '-'],
    ['primary key', schema?.primaryKeys.join(', ') || '-'],
    ['partitioned by', schema?.partitionKeys.join(', ') || '-'],
    ['schema', `${metadata.latestSchemaId ?? '-'} of ${metadata.schemaIds.length}`],
    [
      'snapshot',
      latest
        ? `${latest.id} (${latest.commitKind}${latest.timeMillis === undefined ? '' : `, ${timeOf(latest.timeMillis)}`})`
        : '-',
    ],
    ['snapshots', String(metadata.snapshotIds.length)],
    ['rows in files', humanCount(live?.records.toString() ?? null)],
    ['files', `${humanCount(live?.files ?? null)} (${humanBytes(live?.size.toString() ?? null)})`],
    ['partitions', humanCount(live?.partitions.length ?? null)],
    ['tags', metadata.tags.map(({ tag }) => tag.name).join(', ') || '-'],
    ['branches', [...metadata.branches.keys()].join(', ') || '-'],
    ['consumers', [...metadata.consumers.keys()].join(', ') || '-'],
    ['cost', `${inspected.requests} requests, ${humanBytes(inspected.bytesRead)}`],
  ];
  const lines = facts.map(([name, value]) => `${name.padEnd(16)}${visible(value)}`);
  const columns = (schema?.fields ?? []).map((field) => [String(field.id), field.name, field.type.text, field.description ?? '']);
  lines.push('', formatTable(['ID', 'COLUMN', 'TYPE', 'COMMENT'], columns, ['ID']));
  for (const problem of metadata.problems)
    lines.push('', `${problem.severity}: ${problem.code} in ${visible(problem.object)}`, `  ${visible(problem.message)}`);
  return lines.join('\n');
}

function timeOf(millis: bigint): string {
  const time = new Date(Number(millis));
  return Number.isNaN(time.getTime()) ? String(millis) : time.toISOString();
}
