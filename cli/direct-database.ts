import { Secret } from '../shared/credentials/secret.ts';
import { Unreachable } from '../shared/errors.ts';
import type { AuditEntry } from '../shared/store/audit-log.ts';
import { openDatabase, type Transaction } from '../shared/store/database.ts';
import { EXIT, Failure, wrongUse } from './failure.ts';

/**
 * Writing straight to the database of an installation, for the first workspace and the first token: no server answers
 * without a token yet. Who holds the database's address may do everything anyway.
 */

export const databaseOption = ['--database-url <url>', 'write straight to this database instead of asking a server'] as const;

/**
 * The database that is meant: `--database-url`, or DATABASE_URL where no server is named; undefined: ask the server.
 * `always`: no server could do it, so one that is named does not matter.
 */
export function directDatabase(
  options: { databaseUrl?: string | undefined; data?: string | undefined; always?: boolean | undefined },
  env: NodeJS.ProcessEnv = process.env,
): Secret | undefined {
  const isServerMeant = !options.always && (options.data !== undefined || env.DATAMAP_URL);
  const url = options.databaseUrl ?? (isServerMeant ? undefined : env.DATABASE_URL);
  if (!url) return undefined;
  if (!URL.canParse(url) || !/^postgres(ql)?:$/.test(new URL(url).protocol))
    throw wrongUse('the database is not an address of the form postgres://user:password@host:5432/name');
  return new Secret(url);
}

/** What is written here stands in the audit log as what a token does through the API, without a token's name. */
export function directEntry(action: string, target: string, detail: unknown): AuditEntry {
  const nobody = { tokenId: null, address: null, requestId: null };
  return { ...nobody, actor: 'command line on the database', action, target, outcome: 'done', code: null, detail };
}

/** One transaction across workspaces. Throws Failure when the database is not reachable or has no schema yet. */
export async function inDatabase<T>(url: Secret, work: (tx: Transaction) => Promise<T>): Promise<T> {
  const database = openDatabase(url, { maxConnections: 1 });
  try {
    return await database.system(work);
  } catch (error) {
    if (error instanceof Unreachable) {
      const why = error.cause instanceof Error ? [error.cause.message] : [];
      throw new Failure(EXIT.unreachable, 'the database could not be reached', why, {}, { cause: error });
    }
    // A missing role or table: the schema is not there.
    if (/^(22023|42P01|3F000)$/.test((error as { code?: string }).code ?? ''))
      throw new Failure(EXIT.usage, 'the database has no schema yet: run datamap migrate first', [], {}, { cause: error });
    throw error;
  } finally {
    await database.close();
  }
}
