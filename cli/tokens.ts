import { Command } from 'commander';
import { Client, type ClientOptions, withClientOptions } from './client.ts';
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
        .addHelpText('after', '\nExample:\n  datamap token create grafana --role viewer --days 365')
        .action(async (name: string, options: ClientOptions & { role: string; days: string }) => {
          const expiresInDays = Number(options.days);
          if (!Number.isInteger(expiresInDays)) throw wrongUse(`--days ${options.days}: expected a number of days`);
          const body = { name, role: options.role, expiresInDays };
          const made = await Client.of(options).request<Token & { token: string }>('POST', '/tokens', { body });
          if (options.json) return printJson(made);
          printLine(made.token);
          process.stderr.write(
            `Keep it: it is not shown again. ${made.role}, good until ${humanTime(made.expiresAt)}, id ${made.id}\n`,
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
