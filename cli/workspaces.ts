import { Command } from 'commander';
import { Client, type ClientOptions, withClientOptions } from './client.ts';
import { formatTable, printJson, printLine } from './output.ts';

interface Workspace {
  name: string;
  kind: string;
  role: string | null;
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
      withClientOptions(new Command('add'))
        .description('make a workspace: standard (development and production) or basic (production only)')
        .argument('<name>')
        .option('--kind <kind>', 'standard or basic', 'standard')
        .addHelpText('after', '\nExample:\n  datamap workspace add lab --kind basic')
        .action(async (name: string, options: ClientOptions & { kind: string }) => {
          const body = { name, kind: options.kind };
          const made = await Client.of(options).request<Workspace>('POST', '/workspaces', { body, global: true });
          if (options.json) printJson(made);
          else printLine(`Made workspace ${made.name} (${made.kind}).`);
        }),
    );
}
