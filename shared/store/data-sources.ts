import { randomBytes, randomUUID } from 'node:crypto';
import type { SecretPlace } from '../credentials/envelope.ts';
import type {
  AccessMode,
  CollectionScope,
  ConnectionState,
  DataSourceInput,
  EnvironmentConfig,
  EnvironmentInput,
  Finding,
} from '../data-source.ts';
import { parseWarehouse, secretMustBeGivenAgain } from '../data-source-rules.ts';
import { Conflict } from '../errors.ts';
import type { EnvironmentName } from '../messages.ts';
import type { TenantTransaction } from './database.ts';

/** An environment as saved. Null: not filled in. The secret itself is never read back, only that there is one. */
export interface StoredEnvironment {
  id: string;
  name: EnvironmentName;
  accessMode: AccessMode | null;
  roleArn: string | null;
  accessKeyId: string | null;
  hasAccessKeySecret: boolean;
  region: string | null;
  endpoint: string | null;
  warehouse: string | null;
  scope: CollectionScope;
  sweepIntervalSeconds: number;
  configVersion: number;
  connectionState: ConnectionState;
  /** The configuration that `connectionState` belongs to; null before the first test. */
  testedConfigVersion: number | null;
  lastTestId: string | null;
  nextSweepAt: Date | null;
  lastEventAt: Date | null;
}

export interface StoredDataSource {
  id: string;
  name: string;
  catalog: string;
  description: string;
  metastore: 'filesystem';
  filesystem: 'oss';
  draft: boolean;
  version: number;
  externalId: string;
  /** What `validate-config` found for `findingsVersion`; null until it ran. */
  findings: Finding[] | null;
  findingsVersion: number | null;
  createdAt: Date;
  updatedAt: Date;
  /** `development` before `production`. */
  environments: StoredEnvironment[];
}

/** Turns a secret into the sealed form that is stored (JSON); made by who holds the key. */
export type SealSecret = (secret: string, place: SecretPlace) => Promise<unknown> | unknown;

/** Where a data source's environment lies, for rules across data sources. Drafts too; null: not filled in. */
export interface DataSourceLocation {
  dataSourceId: string;
  dataSourceName: string;
  environmentId: string;
  environment: EnvironmentName;
  endpoint: string | null;
  region: string | null;
  warehouse: string | null;
  draft: boolean;
}

export interface DeletionPreview {
  environments: number;
  databases: number;
  tables: number;
  partitions: number;
  connectivityTests: number;
  collectionRuns: number;
}

/** Listed with each data source; `s` is data_source, `e` environment. */
const COLUMNS = `s.id, s.name, s.catalog, s.description, s.metastore, s.filesystem, s.draft, s.version, s.external_id as "externalId",
  s.findings, s.findings_version as "findingsVersion", s.created_at as "createdAt", s.updated_at as "updatedAt"`;
const ENVIRONMENT_COLUMNS = `e.id, e.name, e.access_mode as "accessMode", e.role_arn as "roleArn", e.access_key_id as "accessKeyId",
  e.access_key_secret is not null as "hasAccessKeySecret", e.region, e.endpoint, e.warehouse, e.scope,
  e.sweep_interval_seconds as "sweepIntervalSeconds", e.config_version as "configVersion", e.connection_state as "connectionState",
  e.tested_config_version as "testedConfigVersion", e.last_test_id as "lastTestId", e.next_sweep_at as "nextSweepAt",
  e.last_event_at as "lastEventAt"`;

const DEFAULT_SWEEP_SECONDS = 600;
/** A change of one of these makes a verdict stale: the connectivity test reads them. */
const TESTED_FIELDS = ['accessMode', 'roleArn', 'accessKeyId', 'region', 'endpoint', 'warehouse'] as const;

/** Throws Conflict when the workspace has a data source of this name. Returns the new id; the version is 1. */
export async function createDataSource(tx: TenantTransaction, input: DataSourceInput, seal: SealSecret): Promise<string> {
  const id = randomUUID();
  const rows = await tx.query(
    `insert into data_source (workspace_id, id, name, catalog, description, metastore, filesystem, draft, external_id)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (workspace_id, name) do nothing returning id`,
    [
      tx.workspaceId,
      id,
      input.name,
      input.catalog ?? '',
      input.description ?? '',
      input.metastore,
      input.filesystem,
      input.draft,
      randomBytes(32).toString('hex'),
    ],
  );
  if (rows.length === 0) throw nameTaken(input.name);
  for (const [name, environment] of entriesOf(input)) await insertEnvironment(tx, id, name, environment, seal);
  return id;
}

export async function findDataSource(tx: TenantTransaction, name: string): Promise<StoredDataSource | undefined> {
  return (await read(tx, 'where s.workspace_id = $1 and s.name = $2', [tx.workspaceId, name]))[0];
}

export async function getDataSource(tx: TenantTransaction, id: string): Promise<StoredDataSource | undefined> {
  return (await read(tx, 'where s.workspace_id = $1 and s.id = $2', [tx.workspaceId, id]))[0];
}

/** By name, those after `after`; `search` is text that the name, the catalog or a warehouse contains. */
export async function listDataSources(
  tx: TenantTransaction,
  options: { after?: string; limit: number; search?: string },
): Promise<StoredDataSource[]> {
  return read(
    tx,
    `where s.workspace_id = $1 and ($2::text is null or s.name > $2)
       and ($3::text is null or s.name ilike $3 or s.catalog ilike $3
            or exists (select 1 from environment w where w.data_source_id = s.id and w.warehouse ilike $3))
     order by s.name limit $4`,
    [tx.workspaceId, options.after ?? null, options.search ? `%${likeEscaped(options.search)}%` : null, options.limit],
  );
}

/**
 * Writes `input` over the data source if its version still is `expectedVersion`; returns the new version, or undefined when another
 * change came first. An environment that `input` leaves out is removed with what was collected of it. A secret left out is kept
 * while nothing changed that it would be sent to, and dropped otherwise. Throws Conflict when the new name is taken.
 */
export async function updateDataSource(
  tx: TenantTransaction,
  before: StoredDataSource,
  input: DataSourceInput,
  expectedVersion: number,
  seal: SealSecret,
): Promise<number | undefined> {
  const [row] = await tx
    .query<{ version: number }>(
      `update data_source set name = $3, catalog = $4, description = $5, draft = $6, version = version + 1, updated_at = clock_timestamp()
        where workspace_id = $1 and id = $2 and version = $7 returning version`,
      [tx.workspaceId, before.id, input.name, input.catalog ?? '', input.description ?? '', input.draft, expectedVersion],
    )
    .catch((error: unknown) => {
      if ((error as { code?: string }).code === '23505') throw nameTaken(input.name);
      throw error;
    });
  if (!row) return undefined;
  const wanted = new Map(entriesOf(input));
  for (const old of before.environments) if (!wanted.has(old.name)) await removeEnvironment(tx, old.id);
  for (const [name, environment] of wanted) {
    const old = before.environments.find((e) => e.name === name);
    if (old) await updateEnvironment(tx, before.id, old, environment, seal);
    else await insertEnvironment(tx, before.id, name, environment, seal);
  }
  return row.version;
}

/** What deleting would take away. */
export async function previewDeletion(tx: TenantTransaction, dataSourceId: string): Promise<DeletionPreview> {
  const [row] = await tx.query<Record<keyof DeletionPreview, string>>(
    `with e as (select id from environment where workspace_id = $1 and data_source_id = $2),
          t as (select c.id from catalog_table c join e on e.id = c.environment_id)
     select (select count(*) from e) as "environments",
            (select count(*) from catalog_database d join e on e.id = d.environment_id) as "databases",
            (select count(*) from t) as "tables",
            (select coalesce(sum(s.partition_count), 0) from table_state s join t on t.id = s.table_id) as "partitions",
            (select count(*) from connectivity_test x join e on e.id = x.environment_id) as "connectivityTests",
            (select count(*) from collection_run r join e on e.id = r.environment_id) as "collectionRuns"`,
    [tx.workspaceId, dataSourceId],
  );
  return {
    environments: Number(row!.environments),
    databases: Number(row!.databases),
    tables: Number(row!.tables),
    partitions: Number(row!.partitions),
    connectivityTests: Number(row!.connectivityTests),
    collectionRuns: Number(row!.collectionRuns),
  };
}

/** Removes the data source and everything collected of it. Returns false when its version is no longer `expectedVersion` (if given). */
export async function deleteDataSource(tx: TenantTransaction, dataSourceId: string, expectedVersion?: number): Promise<boolean> {
  const rows = await tx.query<{ id: string }>(
    'select id from data_source where workspace_id = $1 and id = $2 and ($3::int is null or version = $3) for update',
    [tx.workspaceId, dataSourceId, expectedVersion ?? null],
  );
  if (rows.length === 0) return false;
  const environments = await tx.query<{ id: string }>(
    'select id from environment where workspace_id = $1 and data_source_id = $2',
    [tx.workspaceId, dataSourceId],
  );
  for (const { id } of environments) await removeEnvironment(tx, id);
  await tx.query('delete from data_source where workspace_id = $1 and id = $2', [tx.workspaceId, dataSourceId]);
  return true;
}

/** The configuration of one environment with its sealed secret; undefined when it is gone, a draft, or incomplete. */
export async function getEnvironmentConfig(
  tx: TenantTransaction,
  environmentId: string,
): Promise<{ config: EnvironmentConfig; sealedSecret?: unknown; version: number } | undefined> {
  const [row] = await tx.query<
    StoredEnvironment & {
      dataSourceId: string;
      dataSourceName: string;
      externalId: string;
      version: number;
      sealedSecret: unknown;
    }
  >(
    `select ${ENVIRONMENT_COLUMNS}, s.id as "dataSourceId", s.name as "dataSourceName", s.external_id as "externalId", s.version,
            e.access_key_secret as "sealedSecret"
       from environment e join data_source s on s.id = e.data_source_id
      where e.workspace_id = $1 and e.id = $2 and not s.draft`,
    [tx.workspaceId, environmentId],
  );
  if (!row?.accessMode || !row.region || !row.endpoint || !row.warehouse) return undefined;
  if (row.accessMode === 'ramRole' ? !row.roleArn : !row.accessKeyId || !row.sealedSecret) return undefined;
  const config: EnvironmentConfig = {
    id: row.id,
    workspaceId: tx.workspaceId,
    dataSourceId: row.dataSourceId,
    dataSourceName: row.dataSourceName,
    environment: row.name,
    configVersion: row.configVersion,
    accessMode: row.accessMode,
    ...(row.accessMode === 'ramRole' && row.roleArn && { roleArn: row.roleArn }),
    ...(row.accessMode === 'accessKey' && row.accessKeyId && { accessKeyId: row.accessKeyId }),
    externalId: row.externalId,
    region: row.region,
    endpoint: row.endpoint,
    warehouse: row.warehouse,
    location: parseWarehouse(row.warehouse),
    scope: row.scope,
  };
  return { config, version: row.version, ...(row.accessMode === 'accessKey' && { sealedSecret: row.sealedSecret }) };
}

/** The sealed secret of an environment, also of a draft; undefined when there is none. */
export async function getSealedSecret(tx: TenantTransaction, environmentId: string): Promise<unknown> {
  const [row] = await tx.query<{ sealed: unknown }>(
    'select access_key_secret as sealed from environment where workspace_id = $1 and id = $2',
    [tx.workspaceId, environmentId],
  );
  return row?.sealed ?? undefined;
}

/** Where every environment of the workspace lies. */
export async function listDataSourceLocations(tx: TenantTransaction): Promise<DataSourceLocation[]> {
  return tx.query<DataSourceLocation>(
    `select s.id as "dataSourceId", s.name as "dataSourceName", e.id as "environmentId", e.name as "environment",
            e.endpoint, e.region, e.warehouse, s.draft
       from environment e join data_source s on s.id = e.data_source_id
      where e.workspace_id = $1 order by s.name, e.name`,
    [tx.workspaceId],
  );
}

async function read(tx: TenantTransaction, rest: string, values: unknown[]): Promise<StoredDataSource[]> {
  const sources = await tx.query<StoredDataSource>(`select ${COLUMNS} from data_source s ${rest}`, values);
  const environments = await tx.query<StoredEnvironment & { dataSourceId: string }>(
    `select ${ENVIRONMENT_COLUMNS}, e.data_source_id as "dataSourceId" from environment e
      where e.workspace_id = $1 and e.data_source_id = any($2::uuid[]) order by e.name`,
    [tx.workspaceId, sources.map((source) => source.id)],
  );
  return sources.map((source) => ({
    ...source,
    environments: environments
      .filter((environment) => environment.dataSourceId === source.id)
      .map(({ dataSourceId: _, ...environment }) => environment),
  }));
}

async function insertEnvironment(
  tx: TenantTransaction,
  dataSourceId: string,
  name: EnvironmentName,
  input: EnvironmentInput,
  seal: SealSecret,
): Promise<void> {
  const id = randomUUID();
  const sealed = await sealedSecret(tx, dataSourceId, id, input, seal);
  await tx.query(
    `insert into environment (workspace_id, id, data_source_id, name, access_mode, role_arn, access_key_id, access_key_secret, region,
                              endpoint, warehouse, scope, sweep_interval_seconds)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
    [
      tx.workspaceId,
      id,
      dataSourceId,
      name,
      input.accessMode ?? null,
      input.roleArn ?? null,
      input.accessKeyId ?? null,
      sealed,
      input.region ?? null,
      input.endpoint ?? null,
      input.warehouse ?? null,
      JSON.stringify(input.scope ?? { include: [], exclude: [] }),
      input.sweepIntervalSeconds ?? DEFAULT_SWEEP_SECONDS,
    ],
  );
}

async function updateEnvironment(
  tx: TenantTransaction,
  dataSourceId: string,
  old: StoredEnvironment,
  input: EnvironmentInput,
  seal: SealSecret,
): Promise<void> {
  const sealed = await sealedSecret(tx, dataSourceId, old.id, input, seal);
  const keepsSecret =
    sealed === null && old.hasAccessKeySecret && input.accessMode === 'accessKey' && !secretMustBeGivenAgain(old, input);
  const tested =
    sealed !== null ||
    keepsSecret !== old.hasAccessKeySecret ||
    TESTED_FIELDS.some((field) => (input[field] ?? null) !== old[field]);
  await tx.query(
    `update environment set access_mode = $3, role_arn = $4, access_key_id = $5,
            access_key_secret = case when $6 then access_key_secret else $7::jsonb end,
            region = $8, endpoint = $9, warehouse = $10, scope = $11, sweep_interval_seconds = $12,
            config_version = config_version + case when $13 then 1 else 0 end,
            connection_state = case when $13 then 'not-tested' else connection_state end
      where workspace_id = $1 and id = $2`,
    [
      tx.workspaceId,
      old.id,
      input.accessMode ?? null,
      input.roleArn ?? null,
      input.accessKeyId ?? null,
      keepsSecret,
      sealed,
      input.region ?? null,
      input.endpoint ?? null,
      input.warehouse ?? null,
      JSON.stringify(input.scope ?? { include: [], exclude: [] }),
      input.sweepIntervalSeconds ?? DEFAULT_SWEEP_SECONDS,
      tested,
    ],
  );
}

async function sealedSecret(
  tx: TenantTransaction,
  dataSourceId: string,
  environmentId: string,
  input: EnvironmentInput,
  seal: SealSecret,
): Promise<string | null> {
  if (input.accessKeySecret === undefined || input.accessMode === 'ramRole') return null;
  return JSON.stringify(await seal(input.accessKeySecret, { workspaceId: tx.workspaceId, dataSourceId, environmentId }));
}

/** Partitions, leases and such have no foreign key to follow: at that size a cascade of single rows would be slow. */
async function removeEnvironment(tx: TenantTransaction, environmentId: string): Promise<void> {
  const scope = [tx.workspaceId, environmentId];
  await tx.query(
    'delete from table_partition where workspace_id = $1 and table_id in (select id from catalog_table where workspace_id = $1 and environment_id = $2)',
    scope,
  );
  for (const table of ['table_search', 'catalog_table', 'catalog_database', 'collection_run', 'connectivity_test', 'lease'])
    await tx.query(`delete from ${table} where workspace_id = $1 and environment_id = $2`, scope);
  await tx.query('delete from environment where workspace_id = $1 and id = $2', scope);
}

function entriesOf(input: DataSourceInput): [EnvironmentName, EnvironmentInput][] {
  return (['development', 'production'] as const).flatMap((name) => {
    const environment = input.environments[name];
    return environment ? [[name, environment] as [EnvironmentName, EnvironmentInput]] : [];
  });
}

/** For `like`: the text itself, not a pattern. */
export function likeEscaped(text: string): string {
  return text.replace(/[\\%_]/g, '\\$&');
}

function nameTaken(name: string): Conflict {
  return new Conflict(`a data source named '${name}' exists already: choose another name`);
}
