import pg from 'pg';
import type { Secret } from '../credentials/secret.ts';
import { Unreachable } from '../errors.ts';

/** One statement at a time inside a transaction. bigint columns arrive as strings: cast or convert where they are read. */
export interface Transaction {
  query<Row extends object = Record<string, unknown>>(sql: string, values?: readonly unknown[]): Promise<Row[]>;
}

/** Bound to one workspace: row-level security hides every other row, whatever a query forgets to say. */
export interface TenantTransaction extends Transaction {
  readonly workspaceId: number;
}

export interface Database {
  /** One transaction as the tenant role of this workspace. Deadlocks and serialization failures repeat it whole, up to 3 times. */
  tenant<T>(workspaceId: number, work: (tx: TenantTransaction) => Promise<T>): Promise<T>;
  /** One transaction across workspaces: tokens, timers, outbox, feed numbering. Never for a person's request. */
  system<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

const REPEATABLE = new Set(['40P01', '40001']);
const MAX_ATTEMPTS = 3;

/**
 * `query_timeout` of the client would not stop the server, so the server's own limits are set. A function instance needs
 * two connections: one for its transaction, one for a lease renewal beside it.
 */
export function openDatabase(url: Secret, options: { maxConnections?: number; statementTimeoutMs?: number } = {}): Database {
  const pool = new pg.Pool({
    connectionString: url.reveal(),
    max: options.maxConnections ?? 2,
    connectionTimeoutMillis: 10_000,
    idleTimeoutMillis: 30_000,
    allowExitOnIdle: true,
    options: `-c statement_timeout=${options.statementTimeoutMs ?? 30_000} -c idle_in_transaction_session_timeout=30000 -c jit=off -c max_parallel_workers_per_gather=0`,
  });
  // An idle connection that the server closes must not end the process; the next query opens another.
  pool.on('error', () => {});
  // Nor one that is cut while its transaction waits for something else; its next statement fails and says so.
  pool.on('connect', (client) => client.on('error', () => {}));

  async function transaction<T>(begin: string, values: unknown[], work: (tx: Transaction) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const client = await beginOn(pool);
      let broken = false;
      try {
        await client.query(begin, values);
        const tx: Transaction = {
          query: async <Row extends object>(sql: string, parameters: readonly unknown[] = []) =>
            (await client.query(sql, parameters as unknown[])).rows as Row[],
        };
        const result = await work(tx);
        await client.query('commit');
        return result;
      } catch (error) {
        await client.query('rollback').catch(() => {
          broken = true;
        });
        if (attempt < MAX_ATTEMPTS && REPEATABLE.has((error as { code?: string }).code ?? '')) {
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 50 * attempt));
          continue;
        }
        throw error;
      } finally {
        client.release(broken);
      }
    }
  }

  return {
    tenant: (workspaceId, work) =>
      transaction(
        "select set_config('role', 'datamap_tenant', true), set_config('datamap.workspace', $1, true)",
        [String(workspaceId)],
        (tx) => work({ ...tx, workspaceId }),
      ),
    system: (work) => transaction("select set_config('role', 'datamap_system', true)", [], work),
    close: () => pool.end(),
  };
}

/**
 * A connection with a transaction begun. Connections that the server closed while they lay idle show it only now, and nothing
 * was done on them yet: each is thrown away for another one. A failover closes all of them at once.
 */
async function beginOn(pool: pg.Pool): Promise<pg.PoolClient> {
  for (let dead = 0; ; dead++) {
    let client: pg.PoolClient;
    try {
      client = await pool.connect();
    } catch (cause) {
      throw new Unreachable('database', 'connect', {}, { cause });
    }
    try {
      await client.query('begin');
      return client;
    } catch (cause) {
      client.release(true);
      if (dead >= pool.options.max) throw new Unreachable('database', 'cut', {}, { cause });
    }
  }
}
