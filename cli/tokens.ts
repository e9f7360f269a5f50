import { Command } from 'commander';
import type { Secret } from '../shared/credentials/secret.ts';
import { appendAudit, INSTALLATION } from '../shared/store/audit-log.ts';
import { createToken, type Grant, MAX_TOKEN_DAYS, ROLES } from '../shared/store/tokens.ts';
import { findWorkspace } from '../shared/store/workspaces.ts';
import { Client, type ClientOptions, withClientOptions } from './client.ts';
import { databaseOption, directDatabase, directEntry, inDatabase } from './direct-database.ts';
import { wrongUse } from './failure.ts';
import { formatTable, humanTime, printJson, printLine, visible } from './output.ts';

interface Token {
  id: string;
  name: string;
  role: string;
  everyWorkspace: boolean;
  expiresAt: string;
  lastUsedAt: string | null;
  revokedAt: string | null;
}

interface CreateOptions extends ClientOptions {
  role: string;
  days: string;
  allWorkspaces?: boolean;
  databaseUrl?: string;
}

type NewToken = Pick<Token, 'id' | 'name' | 'role' | 'expiresAt'> & { token: string };

/** `datamap token …`: who may use this workspace. */
export function tokenCommand(): Command {
  return new Command('token')
    .description('tokens of a workspace: make, list, revoke (administrators)')
    .addCommand(
      withClientOptions(new Command('create'))
        .description('make a token; it is shown this once')
        .argument('<name>', 'who or what uses it')
        .option('--role <role>', 'viewer, operator or administrator', 'viewer')
        .option('--days <n>', 'how long it is good', '90')
        .option('--all-workspaces', 'for every workspace, also later ones; written straight to the database')
        .option(...databaseOption)
        .addHelpText(
          'after',
          `
Examples:
  datamap token create grafana --role viewer --days 365
  DATABASE_URL=postgres://… datamap token create first --role administrator --all-workspaces

The second makes the first token of an installation. With --database-url, or with DATABASE_URL and neither --data nor
DATAMAP_URL, no server is asked.`,
        )
        .action(async (name: string, options: CreateOptions) => {
          const made = await makeToken(name, options);
          if (options.json) return printJson(made);
          printLine(made.token);
          process.stderr.write(
            `Keep it: it is not shown again. ${made.role}${options.allWorkspaces ? ' everywhere' : ''}, good until ${humanTime(made.expiresAt)}, id ${made.id}\n`,
          );
        }),
    )
    .addCommand(
      withClientOptions(new Command('list'))
        .description('list tokens; the tokens themselves are not kept')
        .addHelpText('after', '\nExample:\n  datamap token list --workspace sandbox')
        .action(async (options: ClientOptions) => {
          const rows: string[][] = [];
          for await (const token of Client.of(options).list<Token>('/tokens', { limit: undefined }))
            if (options.json) printJson(token);
            else
              rows.push([
                token.id,
                token.name,
                token.everyWorkspace ? `${token.role} everywhere` : token.role,
                humanTime(token.expiresAt),
                humanTime(token.lastUsedAt),
                token.revokedAt ? 'revoked' : new Date(token.expiresAt) < new Date() ? 'expired' : 'good',
              ]);
          if (!options.json)
            printLine(
              rows.length === 0 ? 'No tokens.' : formatTable(['ID', 'NAME', 'ROLE', 'EXPIRES', 'LAST USED', 'STATE'], rows),
            );
        }),
    )
    .addCommand(
      withClientOptions(new Command('revoke'))
        .description('end a token at once')
        .argument('<id>')
        .addHelpText('after', '\nExample:\n  datamap token revoke 3f1c…')
        .action(async (id: string, options: ClientOptions) => {
          await Client.of(options).request('DELETE', `/tokens/${encodeURIComponent(id)}`);
          if (options.json) printJson({ revoked: id });
          else printLine(`Revoked ${visible(id)}.`);
        }),
    );
}

async function makeToken(name: string, options: CreateOptions): Promise<NewToken> {
  const expiresInDays = Number(options.days);
  if (!Number.isInteger(expiresInDays)) throw wrongUse(`--days ${options.days}: expected a number of days`);
  // The API makes tokens of one workspace only.
  const { data, databaseUrl, allWorkspaces } = options;
  const database = directDatabase({ data, databaseUrl, always: allWorkspaces });
  if (database) return writeToken(database, name, expiresInDays, options);
  if (allWorkspaces)
    throw wrongUse('a token for all workspaces is written straight to the database: give --database-url or set DATABASE_URL');
  const body = { name, role: options.role, expiresInDays };
  return Client.of(options).request<NewToken>('POST', '/tokens', { body });
}

/** The same limits as the API has. */
async function writeToken(database: Secret, name: string, days: number, options: CreateOptions): Promise<NewToken> {
  const role = ROLES.find((known) => known === options.role);
  if (!role) throw wrongUse(`--role ${options.role}: expected ${ROLES.join(', ')}`);
  if (days < 1 || days > MAX_TOKEN_DAYS) throw wrongUse(`--days ${days}: expected 1 to ${MAX_TOKEN_DAYS}`);
  if (name.length < 1 || name.length > 200) throw wrongUse('the name of a token has 1 to 200 characters');
  const made = await inDatabase(database, async (tx) => {
    const grant: Grant = { workspaceId: null, role };
    if (!options.allWorkspaces) {
      const workspace = await findWorkspace(tx, options.workspace);
      if (!workspace)
        throw wrongUse(
          `there is no workspace '${options.workspace}': make it with datamap workspace create ${options.workspace}`,
        );
      grant.workspaceId = workspace.id;
    }
    const expiresAt = new Date(Date.now() + days * 86_400_000);
    const created = await createToken(tx, { name, createdBy: 'command line', grants: [grant], expiresAt });
    await appendAudit(tx, grant.workspaceId ?? INSTALLATION, directEntry('POST /tokens', '/tokens', { name, role, days }));
    return created;
  });
  return { id: made.id, name, role, token: made.token.reveal(), expiresAt: made.expiresAt.toISOString() };
}
