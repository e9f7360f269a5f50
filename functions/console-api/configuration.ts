import { type KeyRing, sealSecret } from '../../shared/credentials/envelope.ts';
import type { DataSourceInput, Finding } from '../../shared/data-source.ts';
import { judgeDataSource, secretMustBeGivenAgain } from '../../shared/data-source-rules.ts';
import { listDataSourceLocations, type SealSecret, type StoredDataSource } from '../../shared/store/data-sources.ts';
import type { TenantTransaction } from '../../shared/store/database.ts';
import type { ConsoleApi } from './app.ts';

/** What the rules say of a configuration before it is saved over `before`, with the workspace's other data sources in view. */
export async function judge(
  c: { env: ConsoleApi['Bindings']; var: ConsoleApi['Variables'] },
  tx: TenantTransaction,
  input: DataSourceInput,
  before?: StoredDataSource,
): Promise<Finding[]> {
  const locations = await listDataSourceLocations(tx);
  return judgeDataSource(input, {
    workspaceKind: c.var.workspace.kind,
    permitted: c.env.deps.settings.permitted,
    others: locations.filter((location) => location.dataSourceId !== before?.id),
    secretsKept: (before?.environments ?? [])
      .filter((old) => {
        const now = input.environments[old.name];
        return now !== undefined && old.hasAccessKeySecret && !secretMustBeGivenAgain(old, now);
      })
      .map((old) => old.name),
  });
}

export function sealWith(settings: { keyRing(): Promise<KeyRing> }): SealSecret {
  return async (secret, place) => sealSecret(await settings.keyRing(), secret, place);
}
