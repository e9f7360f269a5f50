import { z } from '@hono/zod-openapi';
import { AccessMode, CollectionScope, ConnectionState, type DataSourceInput, Finding } from '../../shared/data-source.ts';
import { EnvironmentName } from '../../shared/messages.ts';
import { gateOf } from '../../shared/store/connectivity-tests.ts';
import type { StoredDataSource, StoredEnvironment } from '../../shared/store/data-sources.ts';
import type { TenantTransaction } from '../../shared/store/database.ts';
import { iso, isoOrNull, NullableTime, Time } from './schemas.ts';

const EnvironmentAnswer = z
  .object({
    id: z.uuid(),
    accessMode: AccessMode.nullable(),
    roleArn: z.string().nullable(),
    accessKeyId: z.string().nullable(),
    hasAccessKeySecret: z.boolean().describe('The secret itself is never answered'),
    region: z.string().nullable(),
    endpoint: z.string().nullable(),
    warehouse: z.string().nullable(),
    sweepIntervalSeconds: z.int(),
    scope: CollectionScope,
    configVersion: z.int(),
    connectionState: ConnectionState,
    lastTestId: z.uuid().nullable(),
    testedConfigVersion: z.int().nullable().describe('The configuration that connectionState belongs to'),
    nextSweepAt: NullableTime,
    lastEventAt: NullableTime,
  })
  .openapi('Environment');

export const DataSourceAnswer = z
  .object({
    id: z.uuid(),
    name: z.string(),
    catalog: z.string(),
    description: z.string(),
    metastore: z.literal('filesystem'),
    filesystem: z.literal('oss'),
    draft: z.boolean(),
    version: z.int().describe('Give it back with a change, as `version` or If-Match'),
    environments: z.object({ development: EnvironmentAnswer.optional(), production: EnvironmentAnswer.optional() }),
    findings: z.array(Finding).nullable().describe('What the rules say of this version; null: not judged yet'),
    gate: z
      .object({ open: z.boolean(), waitingFor: z.array(EnvironmentName), reason: z.string() })
      .describe('Open: every environment that the workspace needs is Connected, so it is collected'),
    createdAt: Time,
    updatedAt: Time,
  })
  .openapi('DataSource');
export type DataSourceAnswer = z.infer<typeof DataSourceAnswer>;

/** A data source as it is answered; `findings` are those of the request at hand where it judged itself. */
export async function dataSourceAnswer(
  tx: TenantTransaction,
  source: StoredDataSource,
  findings?: readonly Finding[],
): Promise<DataSourceAnswer> {
  const { open, waitingFor, reason } = await gateOf(tx, source.id);
  return {
    id: source.id,
    name: source.name,
    catalog: source.catalog,
    description: source.description,
    metastore: source.metastore,
    filesystem: source.filesystem,
    draft: source.draft,
    version: source.version,
    environments: Object.fromEntries(
      source.environments.map((environment) => [environment.name, environmentAnswer(environment)]),
    ),
    findings: findings ? [...findings] : source.findingsVersion === source.version ? source.findings : null,
    gate: { open, waitingFor: [...waitingFor], reason },
    createdAt: iso(source.createdAt),
    updatedAt: iso(source.updatedAt),
  };
}

function environmentAnswer(environment: StoredEnvironment): z.infer<typeof EnvironmentAnswer> {
  const { name: _, nextSweepAt, lastEventAt, ...rest } = environment;
  return { ...rest, nextSweepAt: isoOrNull(nextSweepAt), lastEventAt: isoOrNull(lastEventAt) };
}

/** The stored data source as somebody would have written it, without secrets: what a patch is laid over. */
export function inputOf(source: StoredDataSource): DataSourceInput {
  return {
    name: source.name,
    catalog: source.catalog,
    description: source.description,
    metastore: source.metastore,
    filesystem: source.filesystem,
    draft: source.draft,
    environments: Object.fromEntries(
      source.environments.map((environment) => [
        environment.name,
        withoutNulls({
          accessMode: environment.accessMode,
          roleArn: environment.roleArn,
          accessKeyId: environment.accessKeyId,
          region: environment.region,
          endpoint: environment.endpoint,
          warehouse: environment.warehouse,
          scope: environment.scope,
          sweepIntervalSeconds: environment.sweepIntervalSeconds,
        }),
      ]),
    ),
  };
}

export function withoutNulls<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], null> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null)) as {
    [K in keyof T]?: Exclude<T[K], null>;
  };
}
