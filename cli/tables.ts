import { Command } from 'commander';
import { Client, type ClientOptions, withClientOptions, withEnvironment } from './client.ts';
import { EXIT, Failure, wrongUse } from './failure.ts';
import { formatTable, humanBytes, humanCount, humanTime, printJson, printLine, visible } from './output.ts';

interface TableSummary {
  id: string;
  dataSource: string;
  environment: string;
  database: string;
  table: string;
  comment: string | null;
  primaryKeys: string[];
  partitionKeys: string[];
  mergeEngine: string | null;
  status: string | null;
  schemaId: string | null;
  snapshotId: string | null;
  rowCount: string | null;
  sizeBytes: string | null;
  fileCount: string | null;
  partitionCount: string | null;
  lastCommitAt: string | null;
  collectedAt: string | null;
  removedAt: string | null;
}
interface Table extends TableSummary {
  columns: { name: string; type: unknown; description?: string }[];
  problems: { code: string; object: string; message: string }[];
  partitions?: Record<string, unknown>[];
  partitionsNextCursor?: string;
  branches?: Record<string, { partitions?: Record<string, unknown>[]; partitionsNextCursor?: string } | null>;
}

/** `datamap tables`: the data map as a list. */
export function tablesCommand(): Command {
  return withEnvironment(withClientOptions(new Command('tables')))
    .description('tables of the data map, by name')
    .option('--source <name>', 'only of this data source')
    .option('--database <name>', 'only of this database')
    .option('--search <text>', 'words of name, database or comment; the last may be a beginning')
    .option('--removed', 'also tables that are gone')
    .addHelpText(
      'after',
      '\n--env all shows every environment.\n\nExamples:\n  datamap tables --source paimon_finance\n  datamap tables --search "order detail" --env all --json',
    )
    .action(
      async (
        options: ClientOptions & { env: string; source?: string; database?: string; search?: string; removed?: boolean },
      ) => {
        const rows: string[][] = [];
        const query = {
          environment: options.env === 'all' ? undefined : options.env,
          source: options.source,
          database: options.database,
          search: options.search,
          removed: options.removed ? 'include' : undefined,
        };
        for await (const table of Client.of(options).list<TableSummary>('/tables', query))
          if (options.json) printJson(table);
          else
            rows.push([
              table.dataSource,
              ...(options.env === 'all' ? [table.environment] : []),
              `${table.database}.${table.table}`,
              table.removedAt ? 'gone' : (table.status ?? 'not read'),
              humanCount(table.rowCount),
              humanBytes(table.sizeBytes),
              humanCount(table.fileCount),
              humanTime(table.lastCommitAt),
            ]);
        if (!options.json)
          printLine(
            rows.length === 0
              ? 'No tables.'
              : formatTable(
                  [
                    'SOURCE',
                    ...(options.env === 'all' ? ['ENVIRONMENT'] : []),
                    'TABLE',
                    'STATUS',
                    'ROWS',
                    'SIZE',
                    'FILES',
                    'LAST COMMIT',
                  ],
                  rows,
                  ['ROWS', 'SIZE', 'FILES'],
                ),
          );
      },
    );
}

/** `datamap table SOURCE DB.TABLE`: everything known of one table. */
export function tableCommand(): Command {
  return withEnvironment(withClientOptions(new Command('table')))
    .description('one table; --json holds every field that `datamap inspect --full --json` has, from the database')
    .argument('<source>')
    .argument('<db.table>')
    .addHelpText(
      'after',
      '\nExamples:\n  datamap table paimon_finance sales.orders\n  datamap table paimon_finance sales.orders --env development --json',
    )
    .action(async (source: string, name: string, options: ClientOptions & { env: string }) => {
      const client = Client.of(options);
      const { id } = await findTable(client, source, options.env, name);
      if (!options.json) return printTable(await client.get<Table>(`/tables/${id}`));
      const table = await client.get<Table>(`/tables/${id}`, { full: 'true' });
      await completePartitions(client, id, table);
      // A branch without a schema is listed, and nothing more is known of it.
      for (const [branch, document] of Object.entries(table.branches ?? {}))
        if (document) await completePartitions(client, id, document, branch);
      printJson(table);
    });
}

/** A database or a table may hold dots: every way to part the name is tried, the shortest database first. */
export async function findTable(client: Client, source: string, environment: string, name: string): Promise<TableSummary> {
  if (!/.\../.test(name)) throw wrongUse(`'${name}': expected DB.TABLE`);
  for (let dot = name.indexOf('.', 1); dot !== -1 && dot < name.length - 1; dot = name.indexOf('.', dot + 1)) {
    const query = { source, environment, database: name.slice(0, dot), table: name.slice(dot + 1), removed: 'include', limit: 1 };
    const { items } = await client.get<{ items: TableSummary[] }>('/tables', query);
    if (items[0]) return items[0];
  }
  throw new Failure(EXIT.usage, `'${visible(source)}' has no table '${visible(name)}' in ${visible(environment)}`, [
    `See what there is: datamap tables --source ${visible(source)} --env ${visible(environment)}`,
  ]);
}

/** The answer holds the first partitions; the rest comes by pages. */
async function completePartitions(
  client: Client,
  id: string,
  document: { partitions?: Record<string, unknown>[]; partitionsNextCursor?: string },
  branch?: string,
): Promise<void> {
  let cursor = document.partitionsNextCursor;
  delete document.partitionsNextCursor;
  while (cursor !== undefined) {
    const page: { items: Record<string, unknown>[]; nextCursor: string | null } = await client.get(`/tables/${id}/partitions`, {
      cursor,
      branch,
      limit: 10_000,
    });
    for (const partition of page.items) document.partitions?.push(partition);
    cursor = page.nextCursor ?? undefined;
  }
}

function printTable(table: Table): void {
  const facts: [string, string][] = [
    ['table', `${table.database}.${table.table}`],
    ['source', `${table.dataSource}, ${table.environment}`],
    ['status', table.removedAt ? `gone since ${humanTime(table.removedAt)}` : (table.status ?? 'not read yet')],
    ['comment', table.comment ?? '-'],
    ['primary key', table.primaryKeys.join(', ') || '-'],
    ['partition by', table.partitionKeys.join(', ') || '-'],
    ['merge engine', table.mergeEngine ?? '-'],
    ['snapshot', `${table.snapshotId ?? '-'} (schema ${table.schemaId ?? '-'}), ${humanTime(table.lastCommitAt)}`],
    ['rows', humanCount(table.rowCount)],
    ['size', `${humanBytes(table.sizeBytes)} in ${humanCount(table.fileCount)} files`],
    ['partitions', humanCount(table.partitionCount)],
    ['collected', humanTime(table.collectedAt)],
  ];
  for (const [label, value] of facts) printLine(`${label.padEnd(14)}${visible(value)}`);
  if (table.columns.length > 0) {
    printLine();
    printLine(
      formatTable(
        ['COLUMN', 'TYPE', 'COMMENT'],
        table.columns.map((column) => [
          column.name,
          typeof column.type === 'string' ? column.type : JSON.stringify(column.type),
          column.description ?? '',
        ]),
      ),
    );
  }
  for (const problem of table.problems)
    printLine(`problem: ${visible(problem.object)}: ${visible(problem.message)} (${problem.code})`);
}
