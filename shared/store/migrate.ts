import pg from 'pg';
import type { Secret } from '../credentials/secret.ts';
import initial from './migrations/0001_initial.sql';
import commitLedger from './migrations/0002_commit_ledger.sql';
import auditAndLimits from './migrations/0003_audit_and_limits.sql';
import following from './migrations/0004_following.sql';

/** In order; a released migration never changes. */
const MIGRATIONS = [
  { id: 1, name: 'initial', sql: initial },
  { id: 2, name: 'commit-ledger', sql: commitLedger },
  { id: 3, name: 'audit-and-limits', sql: auditAndLimits },
  { id: 4, name: 'following', sql: following },
] as const;

/** Any constant: names this lock among the advisory locks of the database. */
const MIGRATION_LOCK = 7_205_759_403;

export const SCHEMA_VERSION: number = MIGRATIONS.at(-1)!.id;

/** Brings the database to SCHEMA_VERSION, one transaction per migration; concurrent callers wait for each other. Returns the names applied. */
export async function migrate(url: Secret): Promise<string[]> {
  const client = new pg.Client({ connectionString: url.reveal() });
  await client.connect();
  try {
    await client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
    await client.query(
      'create table if not exists schema_migration (id int primary key, name text not null, applied_at timestamptz not null default clock_timestamp())',
    );
    const done = new Set((await client.query<{ id: number }>('select id from schema_migration')).rows.map((row) => row.id));
    const newest = Math.max(0, ...done);
    if (newest > SCHEMA_VERSION)
      throw new Error(
        `the database has schema version ${newest}, this program knows ${SCHEMA_VERSION}: run a newer program or restore a backup`,
      );
    const applied: string[] = [];
    for (const migration of MIGRATIONS) {
      if (done.has(migration.id)) continue;
      await client.query('begin');
      await client.query(migration.sql);
      await client.query('insert into schema_migration (id, name) values ($1, $2)', [migration.id, migration.name]);
      await client.query('commit');
      applied.push(migration.name);
    }
    return applied;
  } finally {
    await client.end();
  }
}
