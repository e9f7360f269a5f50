import type { TestSubject } from '../../shared/connectivity/run-checks.ts';
import type { Check } from '../../shared/data-source.ts';
import { InvalidInput } from '../../shared/errors.ts';
import { createRun } from '../../shared/store/collection-runs.ts';
import { finishTest, startTest, type Verdict } from '../../shared/store/connectivity-tests.ts';
import { getDataSource, getEnvironmentConfig } from '../../shared/store/data-sources.ts';
import type { TenantTransaction } from '../../shared/store/database.ts';

export interface Result {
  verdict: Verdict;
  checks: Check[];
}

/** A test as begun: with what it asks about, or with the result when the configuration cannot be tested at all. */
export type BegunTest = { configVersion: number } & ({ subject: TestSubject } | { refused: Result });

/** Undefined when the test is done or its environment is gone. */
export async function beginTest(
  tx: TenantTransaction,
  test: { testId: string; environmentId: string },
): Promise<BegunTest | undefined> {
  const started = await startTest(tx, test.testId);
  if (!started) return undefined;
  const { configVersion } = started;
  try {
    const found = await getEnvironmentConfig(tx, test.environmentId);
    if (!found) return { configVersion, refused: incomplete('fields are missing, or the data source is a draft') };
    const { config, sealedSecret } = found;
    const source = await getDataSource(tx, config.dataSourceId);
    const findings = (source?.findingsVersion === source?.version ? source?.findings : undefined) ?? [];
    return {
      configVersion,
      subject: {
        config,
        sealedSecret,
        findings: findings.filter((finding) => finding.environment === undefined || finding.environment === config.environment),
      },
    };
  } catch (error) {
    if (!(error instanceof InvalidInput)) throw error;
    return { configVersion, refused: incomplete(error.message) };
  }
}

/** Ends the test; when its verdict opened the gate, asks for a collection of every environment in the same transaction. */
export async function endTest(
  tx: TenantTransaction,
  testId: string,
  result: Result & { configVersion: number },
): Promise<{ isApplied: boolean; runs: string[] }> {
  const { isApplied, gateOpened } = await finishTest(tx, testId, result);
  const runs: string[] = [];
  for (const environmentId of gateOpened)
    runs.push(await createRun(tx, { environmentId, cause: 'connected', requestedBy: 'test-connectivity' }));
  return { isApplied, runs };
}

function incomplete(evidence: string): Result {
  const check: Check = {
    id: 'configuration',
    title: 'Configuration is complete',
    status: 'failed',
    evidence,
    causeCode: 'configuration-incomplete',
    causes: ['a field is missing or is not in a usable form'],
    remedy: 'Open the data source, complete the fields that are marked, and save it.',
    durationMs: 0,
  };
  return { verdict: 'failed', checks: [check] };
}
