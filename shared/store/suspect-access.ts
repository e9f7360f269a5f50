import { AccessDenied, NotFound } from '../errors.ts';
import { requestTest } from './connectivity-tests.ts';
import type { TenantTransaction } from './database.ts';

/** One re-test per environment in this time, however many tables were refused. */
const RETEST_SECONDS = 300;

/**
 * A collection that was refused at the storage bucket asks for a connectivity test: its checks say what is wrong, and its
 * verdict closes the gate. Does nothing for other errors.
 */
export async function suspectAccess(tx: TenantTransaction, runId: string, error: unknown): Promise<void> {
  if (!(error instanceof AccessDenied || error instanceof NotFound)) return;
  const [environment] = await tx.query<{ id: string }>(
    `select environment_id as id from collection_run r where r.id = $1 and not exists (
       select from connectivity_test t where t.environment_id = r.environment_id
         and t.requested_at > clock_timestamp() - $2 * interval '1 second')`,
    [runId, RETEST_SECONDS],
  );
  if (environment) await requestTest(tx, environment.id, 'collection');
}
