import { Command } from 'commander';
import { Secret } from '../shared/credentials/secret.ts';
import { migrate, SCHEMA_VERSION } from '../shared/store/migrate.ts';

/** `datamap migrate`: brings a database to this program's schema; what a deployment runs before new functions. */
export function migrateCommand(): Command {
  return new Command('migrate')
    .description('bring a PostgreSQL database to the schema of this version; safe to repeat and to run at once')
    .option('--database-url <url>', 'database to migrate; default: environment variable DATABASE_URL')
    .option('--json', 'one JSON document')
    .addHelpText('after', '\nExample:\n  DATABASE_URL=postgres://… datamap migrate')
    .action(async (options: { databaseUrl?: string; json?: boolean }) => {
      const url = options.databaseUrl ?? process.env.DATABASE_URL;
      if (!url) {
        process.stderr.write('datamap migrate: no database given. Use --database-url or set DATABASE_URL\n');
        process.exitCode = 2;
        return;
      }
      try {
        const applied = await migrate(new Secret(url));
        if (options.json) process.stdout.write(`${JSON.stringify({ applied, schemaVersion: SCHEMA_VERSION })}\n`);
        else
          process.stdout.write(
            applied.length === 0
              ? `The schema is at version ${SCHEMA_VERSION}; nothing to do.\n`
              : `Applied ${applied.join(', ')}; the schema is at version ${SCHEMA_VERSION}.\n`,
          );
      } catch (error) {
        process.stderr.write(`datamap migrate: ${(error as Error).message}\n`);
        process.exitCode = 3;
      }
    });
}
