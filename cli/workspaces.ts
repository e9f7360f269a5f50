import { Command } from 'commander';
import { appendAudit, INSTALLATION } from '../shared/store/audit-log.ts';
import { ensureWorkspace, findWorkspace, WORKSPACE_NAME } from '../shared/store/workspaces.ts';
import { Client, type ClientOptions, withClientOptions } from './client.ts';
import { databaseOption, directDatabase, directEntry, inDatabase } from './direct-database.ts';
import { EXIT, Failure, wrongUse } from './failure.ts';
import { formatTable, printJson, printLine } from './output.ts';

interface Workspace {
  name: string;
  kind: string;
  role: string | null;
}

interface CreateOptions extends ClientOptions {
  kind: string;
  databaseUrl?: string;
}

/** `datamap workspace …`. */
export function workspaceCommand(): Command {
  return new Command('workspace')
    .description('workspaces: list, make')
    .addCommand(
      withClientOptions(new Command('list'))
        .description('list the workspaces that the token may see')
        .addHelpText('after', '\nExample:\n  datamap workspace list')
        .action(async (options: ClientOptions) => {
          const { items } = await Client.of(options).request<{ items: Workspace[] }>('GET', '/workspaces', { global: true });
          if (options.json) items.forEach(printJson);
          else
            printLine(
              items.length === 0
                ? 'No workspaces.'
                : formatTable(
                    ['NAME', 'KIND', 'ROLE'],
                    items.map((item) => [item.name, item.kind, item.role ?? '-']),
                  ),
            );
        }),
    )
    .addCommand(
      withClientOptions(new Command('create'))
        .alias('add')
        .description('make a workspace: standard (development and production) or basic (production only)')
        .argument('<name>')
        .option('--kind <kind>', 'standard or basic', 'standard')
        .option(...databaseOption)
        .addHelpText(
          'after',
          `
Examples:
  datamap workspace create lab --kind basic
  DATABASE_URL=postgres://… datamap workspace create default

The second makes the first workspace of an installation. With --database-url, or with DATABASE_URL and neither --data nor
DATAMAP_URL, no server is asked.`,
        )
        .action(async (name: string, options: CreateOptions) => {
          const made = await makeWorkspace(name, options);
          if (options.json) printJson(made);
          else printLine(`Made workspace ${made.name} (${made.kind}).`);
        }),
    );
}

async function makeWorkspace(name: string, options: CreateOptions): Promise<Pick<Workspace, 'name' | 'kind'>> {
  const { kind } = options;
  const database = directDatabase(options);
  if (!database) return Client.of(options).request<Workspace>('POST', '/workspaces', { body: { name, kind }, global: true });
  if (kind !== 'standard' && kind !== 'basic') throw wrongUse(`--kind ${kind}: expected standard or basic`);
  if (!WORKSPACE_NAME.test(name))
    throw wrongUse(`'${name}' is not a name: lower case letters, digits, - and _, a letter first, 63 at most`);
  return inDatabase(database, async (tx) => {
    if (await findWorkspace(tx, name)) throw new Failure(EXIT.problem, `A workspace named '${name}' exists already.`);
    const made = await ensureWorkspace(tx, name, kind);
    await appendAudit(tx, INSTALLATION, directEntry('POST /workspaces', '/workspaces', { name, kind }));
    return { name: made.name, kind: made.kind };
  });
}
