import { Command } from 'commander';
import { Client, type ClientOptions, withClientOptions } from './client.ts';
import { EXIT, wrongUse } from './failure.ts';
import { formatTable, humanBytes, humanTime, printJson, printLine, visible } from './output.ts';

export interface Run {
  id: string;
  dataSource: string;
  environment: string;
  cause: string;
  phase: string;
  databasesFound: number | null;
  tablesFound: number | null;
  tablesQueued: number;
  tablesRead: number;
  tablesUnchanged: number;
  tablesFailed: number;
  tablesDegraded: number;
  tablesBroken: number;
  tablesRemoved: number;
  requests: number;
  bytes: string;
  seconds: number | null;
  error: { code: string; message: string } | null;
  requestedAt: string;
  finishedAt: string | null;
}
interface RunTable {
  database: string;
  table: string;
  state: string;
  status: string | null;
  error: { code: string; message: string } | null;
}

const DEFAULT_RUNS = 20;

/** `datamap runs`: the newest collection runs. */
export function runsCommand(): Command {
  return withClientOptions(new Command('runs'))
    .description('collection runs, newest first')
    .option('--source <name>', 'only of this data source')
    .option('--env <name>', 'only of this environment: development or production')
    .option('--limit <n>', 'how many', String(DEFAULT_RUNS))
    .addHelpText('after', '\nExamples:\n  datamap runs\n  datamap runs --source paimon_finance --json')
    .action(async (options: ClientOptions & { source?: string; env?: string; limit: string }) => {
      const limit = Number(options.limit);
      if (!Number.isInteger(limit) || limit < 1) throw wrongUse(`--limit ${options.limit}: expected a number from 1`);
      const rows: string[][] = [];
      let shown = 0;
      const query = { source: options.source, environment: options.env, limit: Math.min(limit, 500) };
      for await (const run of Client.of(options).list<Run>('/collection-runs', query)) {
        if (options.json) printJson(run);
        else rows.push(rowOf(run));
        if (++shown >= limit) break;
      }
      if (!options.json)
        printLine(
          rows.length === 0
            ? 'No collection runs.'
            : formatTable(
                ['RUN', 'SOURCE', 'ENVIRONMENT', 'CAUSE', 'PHASE', 'FOUND', 'READ', 'SAME', 'FAILED', 'SECONDS', 'REQUESTED'],
                rows,
                ['FOUND', 'READ', 'SAME', 'FAILED', 'SECONDS'],
              ),
        );
    });
}

function rowOf(run: Run): string[] {
  return [
    run.id,
    run.dataSource,
    run.environment,
    run.cause,
    run.phase,
    run.tablesFound === null ? '-' : String(run.tablesFound),
    String(run.tablesRead),
    String(run.tablesUnchanged),
    String(run.tablesFailed),
    run.seconds === null ? '-' : run.seconds.toFixed(1),
    humanTime(run.requestedAt),
  ];
}

/** `datamap run ID`: one run with the tables that failed or were not fully read. */
export function runCommand(): Command {
  return withClientOptions(new Command('run'))
    .description('one collection run with what went wrong per table')
    .argument('<id>')
    .addHelpText('after', '\nExample:\n  datamap run 0197a1b2-…')
    .action(async (id: string, options: ClientOptions) => {
      const client = Client.of(options);
      const path = `/collection-runs/${encodeURIComponent(id)}`;
      const run = await client.get<Run>(path);
      const troubled: RunTable[] = [];
      for await (const table of client.list<RunTable>(`${path}/tables`, { problems: 'true' })) troubled.push(table);
      if (run.phase === 'failed' || run.tablesFailed > 0) process.exitCode = EXIT.problem;
      if (options.json)
        return printJson({
          ...run,
          errors: troubled.map(({ database, table, state, status, error }) => ({
            database,
            table,
            state,
            status,
            code: error?.code ?? null,
            message: error?.message ?? null,
          })),
        });
      printLine(runSummary(run));
      for (const table of troubled)
        printLine(
          `  ${visible(`${table.database}.${table.table}`)}: ${table.state === 'failed' ? 'failed' : table.status}${table.error ? `, ${visible(table.error.message)}` : ''}`,
        );
    });
}

/** Where a run stands, on one line. */
export function runLine(run: Run): string {
  const done = run.tablesRead + run.tablesUnchanged + run.tablesFailed;
  return `${run.phase}${run.tablesFound === null ? '' : `, ${done} of ${run.tablesFound} tables`}`;
}

export function runSummary(run: Run): string {
  const lines = [
    `Run ${run.id} of ${visible(run.dataSource)} ${run.environment} (${run.cause}): ${run.phase}`,
    `  ${run.tablesFound ?? 0} tables in ${run.databasesFound ?? 0} databases: ${run.tablesRead} read, ${run.tablesUnchanged} unchanged, ${run.tablesFailed} failed, ${run.tablesRemoved} removed`,
    `  ${run.requests} requests, ${humanBytes(run.bytes)}, ${run.seconds === null ? 'not started' : `${run.seconds.toFixed(1)} s`}`,
  ];
  if (run.tablesDegraded + run.tablesBroken > 0)
    lines.push(`  of those read, ${run.tablesDegraded} degraded and ${run.tablesBroken} broken`);
  if (run.error) lines.push(`  ${run.error.code}: ${visible(run.error.message)}`);
  return lines.join('\n');
}
