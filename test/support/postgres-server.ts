import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { startPostgres } from '../../local/embedded-postgres.ts';
import { Secret } from '../../shared/credentials/secret.ts';
import { migrate } from '../../shared/store/migrate.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Superuser URL of the test server's database `datamap`. */
    postgresUrl: string;
  }
}

/** Migrated once; every test database is a copy. */
export const TEMPLATE = 'datamap_template';

/** Global set-up: one server for the whole test run, or the one that DATAMAP_TEST_DATABASE_URL names. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env.DATAMAP_TEST_DATABASE_URL;
  const dir = given ? undefined : await mkdtemp(join(tmpdir(), 'datamap-test-'));
  const server = dir ? await startPostgres({ dir: join(dir, 'postgres'), durable: false }) : undefined;
  const url = given ?? server!.url.reveal();
  const admin = new pg.Client({ connectionString: url });
  await admin.connect();
  await admin.query(`drop database if exists ${TEMPLATE}`);
  await admin.query(`create database ${TEMPLATE}`);
  await admin.end();
  const template = new URL(url);
  template.pathname = `/${TEMPLATE}`;
  await migrate(new Secret(template.href));
  project.provide('postgresUrl', url);
  return async () => {
    await server?.stop();
    if (dir) await rm(dir, { recursive: true, force: true });
  };
}
