import { Command } from 'commander';
import { Client, type ClientOptions, withClientOptions, withEnvironment } from './client.ts';
import { EXIT } from './failure.ts';
import { humanTime, printJson, printLine, visible } from './output.ts';

interface EventSetup {
  state: 'receiving' | 'silent' | 'waiting';
  lastEventAt: string | null;
  commits: { byEvent: number; withoutEvent: number };
  hint: string | null;
  notes: string[];
  eventRule: { name: string; terraform: string; steps: string[] };
  nativeTrigger: { variables: Record<string, string>; steps: string[] };
}

const SAYS = {
  receiving: 'events arrive',
  silent: 'commits are found, but no events for them',
  waiting: 'nothing to hear of yet',
};

/** `datamap source events NAME`. */
export function eventsCommand(): Command {
  return withEnvironment(withClientOptions(new Command('events')))
    .description('how object events of a warehouse come here, and whether they do; exit code 1 if they do not')
    .argument('<name>')
    .option('--terraform', 'only the rule, for a .tf file')
    .addHelpText(
      'after',
      '\nExamples:\n  datamap source events paimon_finance\n  datamap source events paimon_finance --terraform',
    )
    .action(async (name: string, options: ClientOptions & { env: string; terraform?: boolean }) => {
      const path = `/data-sources/${encodeURIComponent(name)}/environments/${encodeURIComponent(options.env)}/event-setup`;
      const setup = await Client.of(options).get<EventSetup>(path);
      if (options.json) printJson(setup);
      else if (options.terraform) for (const line of setup.eventRule.terraform.trimEnd().split('\n')) printLine(visible(line));
      else print(setup);
      if (setup.state === 'silent' && !options.terraform) process.exitCode = EXIT.problem;
    });
}

function print({ state, lastEventAt, commits, hint, notes, eventRule, nativeTrigger }: EventSetup): void {
  printLine(`${SAYS[state]}; last event ${humanTime(lastEventAt)}`);
  printLine(`commits of the last 24 hours: ${commits.byEvent} by an event, ${commits.withoutEvent} without`);
  if (hint) printLine(visible(hint));
  printLine(`\nBy an event rule (--terraform prints it as code):`);
  for (const step of eventRule.steps) printLine(`  - ${visible(step)}`);
  printLine('\nOr by the native trigger of watch-objects:');
  for (const [variable, value] of Object.entries(nativeTrigger.variables)) printLine(`  ${variable}=${visible(value)}`);
  for (const step of nativeTrigger.steps) printLine(`  - ${visible(step)}`);
  printLine();
  for (const note of notes) printLine(visible(note));
}
