import type { DataSourceInput, EnvironmentInput, Finding } from '../../shared/data-source.ts';
import type { PermittedEndpoints } from '../../shared/data-source-rules/endpoint.ts';
import { isAcceptable, judgeDataSource } from '../../shared/data-source-rules.ts';
import { requestTest } from '../../shared/store/connectivity-tests.ts';
import {
  getDataSource,
  listDataSourceLocations,
  type StoredDataSource,
  type StoredEnvironment,
} from '../../shared/store/data-sources.ts';
import type { TenantTransaction } from '../../shared/store/database.ts';

export type Validation =
  | { outcome: 'gone' }
  /** A newer revision is saved already, and has a message of its own. */
  | { outcome: 'outdated'; version: number }
  | { outcome: 'judged'; findings: Finding[]; tests: string[] };

/**
 * Judges one saved version of a data source, stores what was found and asks for a test of each environment whose present
 * configuration has no verdict yet. Running twice changes nothing the second time.
 */
export async function validate(
  tx: TenantTransaction,
  saved: { dataSourceId: string; version: number },
  permitted: PermittedEndpoints,
): Promise<Validation> {
  // Held to the end: a change that comes in between waits, and brings its own message.
  const [row] = await tx.query<{ kind: 'standard' | 'basic' }>(
    `select w.kind from data_source s join workspace w on w.id = s.workspace_id
      where s.workspace_id = $1 and s.id = $2 for no key update of s`,
    [tx.workspaceId, saved.dataSourceId],
  );
  const source = row && (await getDataSource(tx, saved.dataSourceId));
  if (!source) return { outcome: 'gone' };
  if (source.version !== saved.version) return { outcome: 'outdated', version: source.version };

  const locations = await listDataSourceLocations(tx);
  const findings = judgeDataSource(asInput(source), {
    workspaceKind: row.kind,
    permitted,
    secretsKept: source.environments.filter((environment) => environment.hasAccessKeySecret).map(({ name }) => name),
    others: locations.filter((location) => location.dataSourceId !== source.id),
  });
  await tx.query('update data_source set findings = $3, findings_version = $4 where workspace_id = $1 and id = $2', [
    tx.workspaceId,
    source.id,
    JSON.stringify(findings),
    source.version,
  ]);

  const tests: string[] = [];
  if (!source.draft && isAcceptable(findings))
    for (const environment of source.environments)
      if (needsTest(environment)) tests.push(await requestTest(tx, environment.id, 'validate-config'));
  return { outcome: 'judged', findings, tests };
}

/** A saved change sets the state back; while a test is on its way or has spoken about this configuration, none is needed. */
function needsTest(environment: StoredEnvironment): boolean {
  if (environment.connectionState === 'testing') return false;
  return environment.connectionState === 'not-tested' || environment.testedConfigVersion !== environment.configVersion;
}

/** The stored data source in the form that the rules judge. */
function asInput(source: StoredDataSource): DataSourceInput {
  const { name, catalog, description, metastore, filesystem, draft } = source;
  const environments = source.environments.map(
    ({ name: environment, accessMode, roleArn, accessKeyId, region, endpoint, warehouse }) => {
      const fields: EnvironmentInput = {
        ...(accessMode && { accessMode }),
        ...(roleArn && { roleArn }),
        ...(accessKeyId && { accessKeyId }),
        ...(region && { region }),
        ...(endpoint && { endpoint }),
        ...(warehouse && { warehouse }),
      };
      return [environment, fields] as const;
    },
  );
  return { name, catalog, description, metastore, filesystem, draft, environments: Object.fromEntries(environments) };
}
