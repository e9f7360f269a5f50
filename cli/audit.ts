import { Command } from 'commander';
import { type AuditRow, chainHash, NO_HASH } from '../shared/audit-chain.ts';
import { Client, type ClientOptions, withClientOptions } from './client.ts';
import { EXIT, wrongUse } from './failure.ts';
import { formatTable, humanTime, printJson, printLine } from './output.ts';

type Row = Omit<AuditRow, 'sequence' | 'at'> & { sequence: string; at: string; hash: string };
type Query = Record<string, string | number | undefined>;
type Options = ClientOptions & { installation?: boolean };

const installationOption = ['--installation', 'what belongs to no workspace (administrators of every workspace)'] as const;

/** `datamap audit …`: who changed what, and whether the log is whole. */
export function auditCommand(): Command {
  return new Command('audit')
    .description('who changed what (administrators)')
    .addCommand(
      withClientOptions(new Command('list'))
        .description('list calls that changed something or were refused, newest first')
        .option('--actor <text>', 'part of a name')
        .option('--action <text>', 'part of an action')
        .option('--limit <n>', 'rows, newest ones', '50')
        .option(...installationOption)
        .addHelpText(
          'after',
          '\nExamples:\n  datamap audit list --actor ci\n  datamap audit list --action "DELETE /data-sources"',
        )
        .action(async (options: Options & { actor?: string; action?: string; limit: string }) => {
          const wanted = Number(options.limit);
          if (!Number.isInteger(wanted) || wanted < 1) throw wrongUse(`--limit ${options.limit}: expected a number from 1`);
          const shown: string[][] = [];
          const query = { actor: options.actor, action: options.action, limit: Math.min(wanted, 500) };
          let count = 0;
          for await (const row of rowsOf(options, query)) {
            if (options.json) printJson(row);
            else shown.push(cellsOf(row));
            if (++count >= wanted) break;
          }
          if (!options.json) printLine(count === 0 ? 'No rows.' : formatTable(HEADER, shown, ['#']));
        }),
    )
    .addCommand(
      withClientOptions(new Command('verify'))
        .description('recompute the hashes of the whole log; exit 1 if a row was changed, moved or taken out')
        .option('--expect <sequence:hash>', 'what an earlier verify said: the log must still hold it, so that no end is cut off')
        .option(...installationOption)
        .addHelpText('after', '\nExample:\n  datamap audit verify --expect 1841:9f2c…')
        .action(async (options: Options & { expect?: string }) => {
          const expected = /^(\d+):([0-9a-f]{64})$/.exec(options.expect ?? '');
          if (options.expect !== undefined && !expected) throw wrongUse('--expect: expected what verify says, such as 12:9f2c…');
          let problem: string | undefined;
          let sequence = 0n;
          let hash = NO_HASH;
          let isExpectedSeen = !expected || expected[1] === '0';
          for await (const row of rowsOf(options, { after: '0', limit: 500 })) {
            if (row.sequence !== String(sequence + 1n)) problem = `row ${sequence + 1n} is missing: row ${row.sequence} follows`;
            else if (chainHash(hash, { ...row, sequence: BigInt(row.sequence), at: new Date(row.at) }) !== row.hash)
              problem = `row ${row.sequence} is not what was written, or not after the row it was written after`;
            if (problem) break;
            sequence = BigInt(row.sequence);
            hash = row.hash;
            isExpectedSeen ||= expected?.[1] === row.sequence && expected[2] === hash;
          }
          if (!problem && !isExpectedSeen) problem = `row ${expected![1]} with the expected hash is not there`;
          const head = `${sequence}:${hash}`;
          if (options.json) printJson({ whole: !problem, problem: problem ?? null, rows: String(sequence), head });
          else if (problem) printLine(`The audit log was changed: ${problem}.`);
          else printLine(`The audit log is whole: ${sequence} rows. Keep this for --expect next time: ${head}`);
          if (problem) process.exitCode = EXIT.problem;
        }),
    );
}

const HEADER = ['#', 'TIME', 'WHO', 'FROM', 'ACTION', 'TARGET', 'OUTCOME'];

function cellsOf({ sequence, at, actor, address, action, target, outcome, code }: Row): string[] {
  return [sequence, humanTime(at), actor, address ?? '-', action, target, code ? `${outcome}: ${code}` : outcome];
}

async function* rowsOf(options: Options, query: Query): AsyncGenerator<Row> {
  const client = Client.of(options);
  let cursor: string | undefined;
  do {
    const page = await client.request<{ items: Row[]; nextCursor: string | null }>('GET', '/audit', {
      query: { ...query, cursor },
      ...(options.installation && { global: true }),
    });
    yield* page.items;
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
}
