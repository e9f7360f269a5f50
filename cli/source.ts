import { createInterface } from 'node:readline/promises';
import { Command } from 'commander';
import { Client, type ClientOptions, withClientOptions, withEnvironment } from './client.ts';
import { EXIT, Failure, wrongUse } from './failure.ts';
import { formatTable, humanTime, printJson, printLine, visible } from './output.ts';
import { startProgress } from './progress.ts';
import { type Run, runLine, runSummary } from './runs.ts';
import { eventsCommand } from './source-events.ts';
import { readSourceFile } from './source-file.ts';
import { waitUntil } from './wait.ts';

interface Finding {
  code: string;
  severity: 'error' | 'warning' | 'info';
  path: string;
  message: string;
  remedy?: string;
}
interface Environment {
  accessMode: string | null;
  roleArn: string | null;
  accessKeyId: string | null;
  hasAccessKeySecret: boolean;
  region: string | null;
  endpoint: string | null;
  warehouse: string | null;
  connectionState: string;
}
interface DataSource {
  name: string;
  catalog: string;
  description: string;
  draft: boolean;
  version: number;
  environments: Partial<Record<string, Environment>>;
  findings: Finding[] | null;
  gate: { open: boolean; waitingFor: string[]; reason: string };
  updatedAt: string;
}
interface Check {
  id: string;
  title: string;
  status: string;
  evidence?: string;
  causes: string[];
  remedy?: string;
}
interface Test {
  id: string;
  environment: string;
  state: string;
  verdict: string | null;
  checks: Check[];
}

const DEFAULT_WAIT_SECONDS = 600;

/** `datamap source …`: data sources. */
export function sourceCommand(): Command {
  return new Command('source')
    .description('data sources: save, look, test, collect, remove')
    .addCommand(addCommand())
    .addCommand(updateCommand())
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(testCommand())
    .addCommand(collectCommand())
    .addCommand(eventsCommand())
    .addCommand(cloneCommand())
    .addCommand(removeCommand());
}

function addCommand(): Command {
  return withClientOptions(new Command('add'))
    .description('save a new data source from a YAML file; it is then tested, and collected once it is Connected')
    .requiredOption('-f, --file <file>', 'YAML file, - for standard input')
    .addHelpText(
      'after',
      `
The file:
  name: paimon_finance
  catalog: paimon-catalog
  environments:
    production: { accessMode: ramRole, roleArn: "acs:ram::1234567890123456:role/datamap-reader", region: cn-hangzhou,
                  endpoint: oss-cn-hangzhou-internal.aliyuncs.com, warehouse: "oss://finance/lake/warehouse" }
With accessMode accessKey: accessKeyId and accessKeySecret: { fromEnv: NAME }, so that no secret lies in the file.

Examples:
  datamap source add -f finance.yaml
  FINANCE_OSS_SECRET=… datamap source add -f finance.yaml --workspace lab`,
    )
    .action(async (options: ClientOptions & { file: string }) => {
      const input = readSourceFile(options.file);
      const source = await Client.of(options).request<DataSource>('POST', '/data-sources', { body: input });
      printSaved(source, options);
    });
}

function updateCommand(): Command {
  return withClientOptions(new Command('update'))
    .description('replace a data source by what a YAML file says; a secret left out is kept where it may be')
    .requiredOption('-f, --file <file>', 'YAML file, - for standard input')
    .option('--remove-environments', 'an environment that the file leaves out may go with its tables')
    .addHelpText('after', '\nExample:\n  datamap source update -f finance.yaml')
    .action(async (options: ClientOptions & { file: string; removeEnvironments?: boolean }) => {
      const client = Client.of(options);
      const input = readSourceFile(options.file);
      const before = await client.get<DataSource>(pathOf(input.name));
      const source = await client.request<DataSource>('PUT', pathOf(input.name), {
        body: { ...input, version: before.version },
        query: { removeEnvironments: options.removeEnvironments ? 'true' : undefined },
      });
      printSaved(source, options);
    });
}

function listCommand(): Command {
  return withClientOptions(new Command('list'))
    .description('list data sources')
    .option('--search <text>', 'part of name, catalog or warehouse')
    .addHelpText('after', '\nExamples:\n  datamap source list\n  datamap source list --search finance --json')
    .action(async (options: ClientOptions & { search?: string }) => {
      const rows: string[][] = [];
      for await (const source of Client.of(options).list<DataSource>('/data-sources', { search: options.search }))
        if (options.json) printJson(source);
        else
          rows.push([
            source.name,
            source.catalog || '-',
            source.environments.development?.connectionState ?? '-',
            source.environments.production?.connectionState ?? '-',
            source.draft ? 'draft' : source.gate.open ? 'collected' : 'waiting',
          ]);
      if (!options.json)
        printLine(
          rows.length === 0 ? 'No data sources.' : formatTable(['NAME', 'CATALOG', 'DEVELOPMENT', 'PRODUCTION', 'STATE'], rows),
        );
    });
}

function showCommand(): Command {
  return withClientOptions(new Command('show'))
    .description('one data source: fields, findings, state; secrets are never shown')
    .argument('<name>')
    .addHelpText('after', '\nExample:\n  datamap source show paimon_finance')
    .action(async (name: string, options: ClientOptions) => {
      const source = await Client.of(options).get<DataSource>(pathOf(name));
      if (options.json) return printJson(source);
      const rows: string[][] = [
        ['name', source.name],
        ['catalog', source.catalog || '-'],
        ['description', source.description || '-'],
        ['version', `${source.version}${source.draft ? ' (draft)' : ''}, saved ${humanTime(source.updatedAt)}`],
        ['collection', source.gate.open ? 'open' : `waits: ${source.gate.reason}`],
      ];
      for (const [environment, fields] of Object.entries(source.environments))
        if (fields)
          rows.push(
            [environment, fields.connectionState],
            ['  warehouse', fields.warehouse ?? '-'],
            ['  endpoint', `${fields.endpoint ?? '-'} (${fields.region ?? 'no region'})`],
            ['  access', accessOf(fields)],
          );
      for (const [label, value] of rows) printLine(`${label!.padEnd(14)}${visible(value!)}`);
      printFindings(source.findings ?? []);
    });
}

function accessOf(fields: Environment): string {
  if (fields.accessMode === 'ramRole') return `role ${fields.roleArn ?? '-'}`;
  if (fields.accessMode === 'accessKey')
    return `AccessKey ${fields.accessKeyId ?? '-'}, ${fields.hasAccessKeySecret ? 'secret stored' : 'no secret'}`;
  return '-';
}

function testCommand(): Command {
  return withEnvironment(withClientOptions(new Command('test')), null)
    .description('test the connectivity of one environment, or of all')
    .argument('<name>')
    .option('--wait', 'wait for the verdict; exit code 1 if one is not Connected')
    .option('--timeout <seconds>', 'how long --wait waits', seconds, DEFAULT_WAIT_SECONDS)
    .addHelpText(
      'after',
      '\nExamples:\n  datamap source test paimon_finance --wait\n  datamap source test paimon_finance --env production --wait --json',
    )
    .action(async (name: string, options: ClientOptions & { env?: string; wait?: boolean; timeout: number }) => {
      const client = Client.of(options);
      const environments = options.env ? [options.env] : Object.keys((await client.get<DataSource>(pathOf(name))).environments);
      if (environments.length === 0) throw wrongUse(`'${name}' has no environment yet`);
      const tests: Test[] = [];
      for (const environment of environments)
        tests.push(await client.request<Test>('POST', `${environmentPath(name, environment)}/connectivity-tests`, { body: {} }));
      if (!options.wait) {
        for (const test of tests)
          if (options.json) printJson(test);
          else printLine(`${test.environment}: test ${test.id} is queued; --wait waits for its verdict`);
        return;
      }
      const progress = startProgress();
      try {
        for (const { id, environment } of tests) {
          const done = await waitUntil(
            () => client.get<Test>(`${environmentPath(name, environment)}/connectivity-tests/${id}`),
            (test) => test.state === 'done',
            {
              timeoutSeconds: options.timeout,
              progress,
              say: (test) => `${environment}: ${test.state}${test.checks.length > 0 ? `, ${test.checks.at(-1)!.title}` : ''}`,
            },
          );
          progress.say(`${environment}: ${done.verdict}`);
          if (options.json) printJson(done);
          else printTest(done);
          if (done.verdict !== 'connected') process.exitCode = EXIT.problem;
        }
      } finally {
        progress.end();
      }
    });
}

const MARKS: Record<string, string> = { ok: 'ok', warning: 'warning', failed: 'FAILED', skipped: '-' };

function printTest(test: Test): void {
  printLine(`${test.environment}: ${test.verdict === 'connected' ? 'Connected' : 'Connection failed'}`);
  for (const check of test.checks) {
    printLine(
      `  ${(MARKS[check.status] ?? check.status).padEnd(8)} ${visible(check.title)}${check.evidence ? `: ${visible(check.evidence)}` : ''}`,
    );
    if (check.status !== 'failed' && check.status !== 'warning') continue;
    for (const cause of check.causes) printLine(`             may be: ${visible(cause)}`);
    if (check.remedy) printLine(`             to do: ${visible(check.remedy)}`);
  }
}

function collectCommand(): Command {
  return withEnvironment(withClientOptions(new Command('collect')))
    .description('collect an environment now, or some of its tables')
    .argument('<name>')
    .option('--table <db.table>', 'only this table; may be repeated', (value: string, all: string[]) => [...all, value], [])
    .option('--wait', 'wait for the end; exit code 1 if the run or a table failed')
    .option('--timeout <seconds>', 'how long --wait waits', seconds, DEFAULT_WAIT_SECONDS)
    .addHelpText(
      'after',
      '\nExamples:\n  datamap source collect paimon_finance --wait\n  datamap source collect paimon_finance --table sales.orders --wait',
    )
    .action(async (name: string, options: ClientOptions & { env: string; table: string[]; wait?: boolean; timeout: number }) => {
      const client = Client.of(options);
      const tables = options.table.map(tableNameOf);
      let run = await client.request<Run>('POST', `${pathOf(name)}/collect`, {
        body: { environment: options.env, ...(tables.length > 0 && { tables }) },
      });
      if (!options.wait) {
        if (options.json) printJson(run);
        else printLine(`Run ${run.id} is queued; look with: datamap run ${run.id}`);
        return;
      }
      const progress = startProgress();
      try {
        run = await waitUntil(
          () => client.get<Run>(`/collection-runs/${run.id}`),
          (now) => now.finishedAt !== null,
          { timeoutSeconds: options.timeout, progress, say: runLine },
        );
      } finally {
        progress.end();
      }
      if (options.json) printJson(run);
      else printLine(runSummary(run));
      if (run.phase !== 'done' || run.tablesFailed > 0) process.exitCode = EXIT.problem;
    });
}

/** The first dot ends the database: a table's name may hold dots. */
function tableNameOf(text: string): { database: string; table: string } {
  const dot = text.indexOf('.');
  if (dot < 1 || dot === text.length - 1) throw wrongUse(`--table ${text}: expected DB.TABLE`);
  return { database: text.slice(0, dot), table: text.slice(dot + 1) };
}

function cloneCommand(): Command {
  return withClientOptions(new Command('clone'))
    .description('save a copy under another name; secrets are not copied')
    .argument('<name>')
    .argument('<new-name>')
    .addHelpText('after', '\nExample:\n  datamap source clone paimon_finance paimon_finance_2')
    .action(async (name: string, newName: string, options: ClientOptions) => {
      printSaved(
        await Client.of(options).request<DataSource>('POST', `${pathOf(name)}/clone`, { body: { name: newName } }),
        options,
      );
    });
}

function removeCommand(): Command {
  return withClientOptions(new Command('remove'))
    .description('remove a data source and all that was collected of it; the warehouse is not touched')
    .argument('<name>')
    .option('--yes', 'do not ask')
    .addHelpText('after', '\nExamples:\n  datamap source remove paimon_finance\n  datamap source remove paimon_finance --yes')
    .action(async (name: string, options: ClientOptions & { yes?: boolean }) => {
      const client = Client.of(options);
      const removes = await client.get<Record<string, number>>(`${pathOf(name)}/deletion-preview`);
      const stated = `${removes.tables} tables in ${removes.databases} databases, ${removes.collectionRuns} runs, ${removes.connectivityTests} tests`;
      if (!options.yes) await confirm(name, stated);
      await client.request('DELETE', pathOf(name), { query: { confirm: name } });
      if (options.json) printJson({ removed: name, ...removes });
      else printLine(`Removed ${visible(name)}: ${stated}.`);
    });
}

async function confirm(name: string, stated: string): Promise<void> {
  const question = `Removing '${visible(name)}' removes ${stated} from the data map.`;
  if (!process.stdin.isTTY) throw new Failure(EXIT.usage, `${question} Give --yes if that is meant.`);
  const ask = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await ask.question(`${question} Type its name to go on: `);
  ask.close();
  if (answer.trim() !== name) throw new Failure(EXIT.usage, 'nothing was removed');
}

function printSaved(source: DataSource, options: ClientOptions): void {
  if (options.json) {
    printJson(source);
    return;
  }
  printLine(`Saved ${visible(source.name)}, version ${source.version}${source.draft ? ' (draft)' : ''}.`);
  printFindings(source.findings ?? []);
  if (!source.draft) printLine(`It is being tested; see: datamap source show ${visible(source.name)}`);
}

function printFindings(findings: Finding[]): void {
  for (const finding of findings)
    printLine(
      `${finding.severity}: ${visible(finding.path)}: ${visible(finding.message)}${finding.remedy ? ` — ${visible(finding.remedy)}` : ''}`,
    );
}

function pathOf(name: string): string {
  return `/data-sources/${encodeURIComponent(name)}`;
}

function environmentPath(name: string, environment: string): string {
  return `${pathOf(name)}/environments/${encodeURIComponent(environment)}`;
}

function seconds(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw wrongUse(`--timeout ${text}: expected a number of seconds`);
  return value;
}
