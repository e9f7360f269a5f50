import { Command, CommanderError } from 'commander';
import packageJson from '../package.json' with { type: 'json' };
import { auditCommand } from './audit.ts';
import { changesCommand } from './changes.ts';
import { commitsCommand } from './commits.ts';
import { completionCommand } from './completion.ts';
import { deadLettersCommand } from './dead-letters.ts';
import { EXIT, Failure } from './failure.ts';
import { inspectCommand } from './inspect.ts';
import { invokeCommand } from './invoke.ts';
import { migrateCommand } from './migrate.ts';
import { jsonLine, visible } from './output.ts';
import { runCommand, runsCommand } from './runs.ts';
import { sourceCommand } from './source.ts';
import { startCommand } from './start.ts';
import { tableCommand, tablesCommand } from './tables.ts';
import { tokenCommand } from './tokens.ts';
import { workspaceCommand } from './workspaces.ts';

/** `datamap`: every command, and what all of them share: exit codes, errors, help. */
export function createProgram(): Command {
  const program = new Command('datamap')
    .description('Finds, watches and explains Apache Paimon tables of filesystem catalogs on object storage.')
    .version(packageJson.version)
    .addHelpText(
      'after',
      `
Examples:
  datamap start                                  a whole data map on this machine
  datamap source add -f finance.yaml             save a data source; it is tested and collected
  datamap tables --search "order detail"         look for tables
  datamap inspect oss://finance/lake/warehouse   read a warehouse without any server

Exit codes: 0 done, 1 done and a problem was found, 2 wrong use, 3 the server or the store could not be reached.`,
    )
    .addCommand(startCommand())
    .addCommand(inspectCommand())
    .addCommand(sourceCommand())
    .addCommand(runsCommand())
    .addCommand(runCommand())
    .addCommand(tablesCommand())
    .addCommand(tableCommand())
    .addCommand(commitsCommand())
    .addCommand(changesCommand())
    .addCommand(workspaceCommand())
    .addCommand(tokenCommand())
    .addCommand(deadLettersCommand())
    .addCommand(auditCommand())
    .addCommand(invokeCommand())
    .addCommand(migrateCommand());
  program.addCommand(completionCommand(program));
  share(program);
  return program;
}

/** Commander ends the process by itself unless each command is told not to. */
function share(command: Command): void {
  command.exitOverride().showHelpAfterError('(--help says more)');
  for (const sub of command.commands) share(sub);
}

const LEADING = new Set(['--workspace', '--env', '--data', '--json']);

/** Options that many commands take may also stand before the command: `datamap --workspace lab tables`. */
export function withLeadingOptionsMoved(args: readonly string[]): string[] {
  const moved: string[] = [];
  const rest = [...args];
  while (rest[0] !== undefined && LEADING.has(rest[0].split('=')[0]!)) {
    const option = rest.shift()!;
    moved.push(option);
    if (option !== '--json' && !option.includes('=') && rest.length > 0) moved.push(rest.shift()!);
  }
  const end = rest.indexOf('--');
  if (moved.length === 0 || rest.length === 0) return [...args];
  return end === -1 ? [...rest, ...moved] : [...rest.slice(0, end), ...moved, ...rest.slice(end)];
}

/** Runs the command line; returns the exit code. Errors are told on stderr, with `--json` as one line of JSON. */
export async function runProgram(args: readonly string[]): Promise<number> {
  const isJson = args.includes('--json');
  process.exitCode = 0;
  try {
    const program = createProgram();
    if (args.length === 0) {
      program.outputHelp({ error: true });
      return EXIT.usage;
    }
    await program.parseAsync(withLeadingOptionsMoved(args), { from: 'user' });
    return Number(process.exitCode ?? EXIT.done);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    const failure = error instanceof Failure ? error : unforeseen(error);
    if (isJson)
      process.stderr.write(
        `${jsonLine({ error: { message: failure.message, details: failure.details, exitCode: failure.exitCode, ...failure.document } })}\n`,
      );
    else {
      process.stderr.write(`datamap: ${visible(failure.message)}\n`);
      for (const detail of failure.details) process.stderr.write(`  ${visible(detail)}\n`);
    }
    return failure.exitCode;
  }
}

function unforeseen(error: unknown): Failure {
  const details = process.env.DATAMAP_DEBUG && error instanceof Error ? (error.stack ?? '').split('\n') : [];
  return new Failure(EXIT.problem, error instanceof Error ? error.message : String(error), details, {}, { cause: error });
}
