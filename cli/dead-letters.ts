import { Command } from 'commander';
import { Client, type ClientOptions, withClientOptions } from './client.ts';
import { wrongUse } from './failure.ts';
import { formatTable, humanTime, printJson, printLine, visible } from './output.ts';

interface DeadLetter {
  id: string;
  queue: string;
  type: string | null;
  reason: string | null;
  enqueuedAt: string;
}

/** `datamap dead-letters …`: messages that no function could handle. */
export function deadLettersCommand(): Command {
  return new Command('dead-letters')
    .description('messages that no function could handle: list, show, send again, discard')
    .addCommand(
      withClientOptions(new Command('list'))
        .description('list them, oldest first')
        .addHelpText('after', '\nExample:\n  datamap dead-letters list')
        .action(async (options: ClientOptions) => {
          const { items, complete } = await Client.of(options).get<{ items: DeadLetter[]; complete: boolean }>('/dead-letters');
          if (options.json) for (const letter of items) printJson(letter);
          else printLine(items.length === 0 ? 'No dead letters.' : formatTable(HEADER, items.map(rowOf)));
          if (!complete) process.stderr.write('There are more, or somebody holds some just now.\n');
        }),
    )
    .addCommand(
      withClientOptions(new Command('show'))
        .description('one with its message; it stays where it is (administrators)')
        .argument('<id>')
        .addHelpText('after', '\nExample:\n  datamap dead-letters show 5F290C926D47')
        .action(async (id: string, options: ClientOptions) => {
          const letter = await Client.of(options).get<Record<string, unknown>>(pathOf(id));
          if (options.json) return printJson(letter);
          for (const [name, value] of Object.entries(letter))
            if (value !== null) printLine(`${name}: ${visible(typeof value === 'string' ? value : JSON.stringify(value))}`);
        }),
    )
    .addCommand(
      withClientOptions(new Command('redrive'))
        .description('send messages to their queues again (administrators)')
        .argument('<id...>')
        .addHelpText('after', '\nExample:\n  datamap dead-letters redrive 5F290C926D47')
        .action(async (ids: string[], options: ClientOptions) => {
          const client = Client.of(options);
          for (const id of ids) {
            const letter = await client.request<DeadLetter>('POST', `${pathOf(id)}/redrive`);
            if (options.json) printJson(letter);
            else printLine(`Sent ${visible(id)} to ${letter.queue}.`);
          }
        }),
    )
    .addCommand(
      withClientOptions(new Command('discard'))
        .description('remove messages for good (administrators)')
        .argument('<id...>')
        .option('--yes', 'yes, their work will never be done')
        .addHelpText('after', '\nExample:\n  datamap dead-letters discard 5F290C926D47 --yes')
        .action(async (ids: string[], options: ClientOptions & { yes?: boolean }) => {
          if (!options.yes) throw wrongUse('a discarded message cannot be had back: add --yes');
          const client = Client.of(options);
          for (const id of ids) {
            await client.request('DELETE', pathOf(id));
            if (options.json) printJson({ discarded: id });
            else printLine(`Discarded ${visible(id)}.`);
          }
        }),
    );
}

const HEADER = ['ID', 'QUEUE', 'MESSAGE', 'SINCE', 'REASON'];

function rowOf({ id, queue, type, enqueuedAt, reason }: DeadLetter): string[] {
  return [id, queue, type ?? 'not readable', humanTime(enqueuedAt), reason ?? 'the last attempt failed'];
}

function pathOf(id: string): string {
  return `/dead-letters/${encodeURIComponent(id)}`;
}
