import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { createProgram } from '../../cli/program.ts';
import { datamap } from './command-line.ts';

/** Every command that documents and help show exists, with its options and the files it names. */
const program = createProgram();

interface Shown {
  where: string;
  words: string[];
}

/** Text of a document that is code: fenced blocks, lines joined at a backslash, and what stands between backticks. */
function commandsIn(where: string, text: string): Shown[] {
  const joined = text.replace(/\\\n\s*/g, ' ');
  const found = joined.matchAll(/(?:^|[`|&;(\s])datamap ((?:[^`\n#|&;()]|\|(?=[a-z]))+)/g);
  return [...found].map(([, rest = '']) => ({ where, words: rest.trim().split(/\s+/) }));
}

const documents = execFileSync('git', ['ls-files', '*.md'], { encoding: 'utf8' })
  .split('\n')
  .filter((file) => file !== '' && existsSync(file));
const shownInDocuments = documents.flatMap((file) =>
  commandsIn(
    file,
    [...readFileSync(file, 'utf8').matchAll(/```\w*\n([\s\S]*?)```|`([^`\n]+)`/g)].map((code) => code[1] ?? code[2]).join('\n'),
  ),
);

function leaves(command: Command, path: string[] = []): string[][] {
  return command.commands.length === 0 ? [path] : command.commands.flatMap((sub) => leaves(sub, [...path, sub.name()]));
}

function namedIn(command: Command, name: string): Command | undefined {
  return command.commands.find((sub) => sub.name() === name || sub.aliases().includes(name));
}

function mistakesOf({ words }: Shown): string[] {
  let command: Command = program;
  const rest = [...words];
  while (rest[0] !== undefined) {
    // `list|show` stands for both.
    const named = rest[0].split('|').map((name) => namedIn(command, name));
    if (!named[0] || named.includes(undefined)) break;
    command = named[0];
    rest.shift();
  }
  if (command.commands.length > 0 && rest[0] !== undefined && /^[a-z]/.test(rest[0]))
    return [`no command '${rest[0]}' in '${command.name()}'`];
  const known = new Set(command.options.flatMap((option) => [option.long, option.short]));
  const options = rest.filter((word) => /^\[?--?[a-z]/.test(word)).map((word) => word.replace(/^\[|\]?…?$|=.*$/g, ''));
  const mistakes = options
    .filter((option) => option !== '--help' && option !== '--version' && !known.has(option))
    .map((option) => `no option '${option}' of '${command.name()}'`);
  const files = rest.filter((word) => word.startsWith('events/') && !existsSync(word));
  return [...mistakes, ...files.map((file) => `no file ${file}`)];
}

describe('what is shown works', () => {
  it.each(shownInDocuments.map((shown) => [`datamap ${shown.words.join(' ')}`, shown.where, shown] as const))(
    '%s (%s)',
    (_text, _where, shown) => {
      expect(mistakesOf(shown)).toEqual([]);
    },
  );

  it('also in the help of every command', async () => {
    const shown: Shown[] = [];
    for (const path of [[], ...leaves(program)]) {
      const { out } = await datamap([...path, '--help']);
      // What Commander itself writes stands before the examples.
      const examples = out
        .slice(out.search(/Examples?:/))
        .replace(/ {2,}\S.*$/gm, (tail, at: number, all: string) => (all[at - 1] === '\n' || at === 0 ? tail : ''));
      shown.push(...commandsIn(`${path.join(' ')} --help`, examples));
    }
    expect(shown.length).toBeGreaterThan(20);
    expect(shown.flatMap((one) => mistakesOf(one).map((mistake) => `${one.where}: ${mistake}`))).toEqual([]);
  });

  it('finds mistakes', () => {
    const wrong = commandsIn(
      'here',
      'npx datamap source ad -f x.yaml && datamap source list|show && datamap tables --serach x\ndatamap invoke x -f events/none.json',
    );
    expect(wrong.flatMap(mistakesOf)).toEqual([
      "no command 'ad' in 'source'",
      "no option '--serach' of 'tables'",
      'no file events/none.json',
    ]);
  });
});
