import { Command } from 'commander';
import { Client, type ClientOptions, withClientOptions, withEnvironment } from './client.ts';
import { formatTable, humanBytes, humanCount, humanTime, printJson, printLine } from './output.ts';
import { findTable } from './tables.ts';

interface Commit {
  incarnation: number;
  appliedAt: string;
  gap: { fromSnapshotId: string; toSnapshotId: string; cause: string } | null;
  snapshotId: string | null;
  identity: string | null;
  schemaId: string | null;
  commitKind: string | null;
  commitUser: string | null;
  commitIdentifier: string | null;
  watermark: string | null;
  timeMillis: string | null;
  eventAt: string | null;
  totalRows: string | null;
  deltaRows: string | null;
  changelogRows: string | null;
  rowsAdded: string | null;
  rowsDeleted: string | null;
  filesAdded: string | null;
  filesDeleted: string | null;
  bytesAdded: string | null;
  bytesDeleted: string | null;
  partitionsTouched: number | null;
  bucketsTouched: number | null;
}

/** `datamap commits`: the commit ledger of one table, oldest first. */
export function commitsCommand(): Command {
  return withEnvironment(withClientOptions(new Command('commits')))
    .description('the commit ledger of a table, oldest first; it outlives the snapshots')
    .argument('<source>')
    .argument('<db.table>')
    .option('--branch <name>', 'of this branch')
    .addHelpText(
      'after',
      '\nExamples:\n  datamap commits paimon_finance sales.orders\n  datamap commits paimon_finance sales.orders --branch audit --json',
    )
    .action(async (source: string, name: string, options: ClientOptions & { env: string; branch?: string }) => {
      const client = Client.of(options);
      const { id } = await findTable(client, source, options.env, name);
      const rows: string[][] = [];
      for await (const commit of client.list<Commit>(`/tables/${id}/commits`, { branch: options.branch }))
        if (options.json) printJson(lineOf(commit));
        else rows.push(rowOf(commit));
      if (!options.json)
        printLine(rows.length === 0 ? 'No commits.' : formatTable(HEADER, rows, ['SNAPSHOT', 'ROWS', 'FILES', 'SIZE']));
    });
}

const HEADER = ['SNAPSHOT', 'KIND', 'ROWS', 'FILES', 'SIZE', 'COMMITTED', 'APPLIED', 'BY'];

function rowOf(commit: Commit): string[] {
  const { gap } = commit;
  if (gap)
    return [`${gap.fromSnapshotId}-${gap.toSnapshotId}`, `not seen: ${gap.cause}`, '', '', '', '', humanTime(commit.appliedAt)];
  const change = (added: string | null, deleted: string | null, human: (value: string) => string): string =>
    added === null || deleted === null ? '-' : `+${human(added)} -${human(deleted)}`;
  return [
    commit.snapshotId ?? '-',
    commit.commitKind ?? '-',
    change(commit.rowsAdded, commit.rowsDeleted, humanCount),
    change(commit.filesAdded, commit.filesDeleted, humanCount),
    change(commit.bytesAdded, commit.bytesDeleted, humanBytes),
    humanTime(timeOf(commit.timeMillis)),
    humanTime(commit.appliedAt),
    commit.commitUser ?? '-',
  ];
}

/** A writer's clock may say anything. */
function timeOf(millis: string | null): string | null {
  const time = new Date(Number(millis ?? Number.NaN));
  return Number.isNaN(time.getTime()) ? null : time.toISOString();
}

/** Integers as numbers where JSON holds them exactly, as `inspect` writes them. */
function lineOf(commit: Commit): Record<string, unknown> {
  const appliedAtMillis = Date.parse(commit.appliedAt);
  if (commit.gap)
    return {
      gap: { ...commit.gap, fromSnapshotId: exact(commit.gap.fromSnapshotId), toSnapshotId: exact(commit.gap.toSnapshotId) },
      incarnation: commit.incarnation,
      appliedAtMillis,
    };
  const { gap: _, appliedAt: __, eventAt, commitUser, commitKind, identity, ...rest } = commit;
  const numbers = Object.entries(rest).map(([key, value]) => [key, typeof value === 'string' ? exact(value) : value]);
  return {
    ...Object.fromEntries(numbers),
    identity,
    commitKind,
    commitUser,
    eventAtMillis: eventAt === null ? null : Date.parse(eventAt),
    appliedAtMillis,
  };
}

function exact(text: string): number | string {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : text;
}
