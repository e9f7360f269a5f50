import { Command } from 'commander';
import { Client, type ClientOptions, withClientOptions } from './client.ts';
import { wrongUse } from './failure.ts';
import { humanTime, jsonLine, printJson, printLine, visible } from './output.ts';

interface Change {
  sequence: string;
  type: string;
  subject: string;
  time: string;
  data: Record<string, unknown>;
}

const POLL_MS = 1_000;

/** `datamap changes`: the change feed, to its present end or on and on. */
export function changesCommand(): Command {
  return withClientOptions(new Command('changes'))
    .description('the change feed: what became different in the data map')
    .option('--after <sequence>', 'only entries after this sequence', '0')
    .option('--follow', 'go on with what happens from now on, until interrupted')
    .addHelpText('after', '\nExamples:\n  datamap changes --after 1200\n  datamap changes --follow --json')
    .action(async (options: ClientOptions & { after: string; follow?: boolean }) => {
      if (!/^\d{1,18}$/.test(options.after)) throw wrongUse(`--after ${options.after}: expected a sequence, such as 1200`);
      const client = Client.of(options);
      for (let after = options.after; ; ) {
        const page = await client.get<{ items: Change[]; nextCursor: string | null }>('/changes', { after, limit: 1_000 });
        for (const change of page.items)
          if (options.json) printJson(change);
          else
            printLine(
              `${change.sequence.padStart(8)}  ${humanTime(change.time)}  ${change.type.padEnd(20)}  ${visible(change.subject)}  ${visible(jsonLine(change.data))}`,
            );
        after = page.items.at(-1)?.sequence ?? after;
        if (page.nextCursor !== null) continue;
        if (!options.follow) return;
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    });
}
