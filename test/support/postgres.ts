import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import { Secret } from '../../shared/credentials/secret.ts';
import { type Database, openDatabase } from '../../shared/store/database.ts';
import { TEMPLATE } from './postgres-server.ts';

export interface TestDatabase {
  url: Secret;
  database: Database;
  /** As the server's superuser, past row-level security: for arranging and for looking. */
  query<Row extends object = Record<string, unknown>>(sql: string, values?: readonly unknown[]): Promise<Row[]>;
  close(): Promise<void>;
}

/** A migrated, empty database of its own on the run's real PostgreSQL; a copy takes about 30 ms. Close it in `afterAll`. */
export async function testDatabase(options: { maxConnections?: number } = {}): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  await asAdmin(`create database ${name} template ${TEMPLATE}`);
  const location = new URL(inject('postgresUrl'));
  location.pathname = `/${name}`;
  const url = new Secret(location.href);
  const database = openDatabase(url, { maxConnections: options.maxConnections ?? 4 });
  const pool = new pg.Pool({ connectionString: location.href, max: 2, allowExitOnIdle: true });
  pool.on('error', () => {});
  return {
    url,
    database,
    query: async <Row extends object>(sql: string, values: readonly unknown[] = []) =>
      (await pool.query(sql, values as unknown[])).rows as Row[],
    async close() {
      await database.close();
      await pool.end();
      await asAdmin(`drop database ${name} with (force)`);
    },
  };
}

/** A workspace to work in; returns its id. */
export async function testWorkspace(
  db: TestDatabase,
  name = 'default',
  kind: 'standard' | 'basic' = 'standard',
): Promise<number> {
  const [row] = await db.query<{ id: number }>('insert into workspace (name, kind) values ($1, $2) returning id', [name, kind]);
  return row!.id;
}

/** One connection copies the template at a time: PostgreSQL refuses a source that is being read by another session. */
async function asAdmin(sql: string): Promise<void> {
  const admin = new pg.Client({ connectionString: inject('postgresUrl') });
  await admin.connect();
  try {
    await admin.query("select pg_advisory_lock(hashtext('datamap test databases'))");
    await admin.query(sql);
  } finally {
    await admin.end();
  }
}
