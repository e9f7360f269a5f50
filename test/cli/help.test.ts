import { spawnSync } from 'node:child_process';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { displayWidth, formatTable, humanBytes, humanCount, jsonLine, visible } from '../../cli/output.ts';
import { createProgram } from '../../cli/program.ts';
import { datamap } from './command-line.ts';

const leaves = (command: Command, path: string[] = []): string[][] =>
  command.commands.length === 0 ? [path] : command.commands.flatMap((sub) => leaves(sub, [...path, sub.name()]));
const commands = leaves(createProgram());

describe('help', () => {
  it.each(commands.map((path) => [path.join(' '), path] as const))('of %s has an example', async (name, path) => {
    const { code, out } = await datamap([...path, '--help']);
    expect(code).toBe(0);
    expect(out).toMatch(/Examples?:/);
    expect(out).toContain(name.split(' ')[0]);
  });

  it('knows the commands that are promised', () => {
    const names = createProgram().commands.map((command) => command.name());
    for (const name of ['start', 'inspect', 'source', 'runs', 'run', 'tables', 'table', 'commits', 'changes', 'invoke'])
      expect(names).toContain(name);
  });
});

describe('completion', () => {
  it('is a script that bash takes, and that completes commands, options and files', async () => {
    const { out } = await datamap(['completion', 'bash']);
    const complete = (words: string[]) => {
      const script = `${out}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')})\nCOMP_CWORD=${words.length - 1}\n_datamap\nprintf '%s\\n' "\${COMPREPLY[@]}"`;
      const ran = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
      expect(ran.stderr).toBe('');
      return ran.stdout.trim().split('\n');
    };
    expect(complete(['datamap', 'so'])).toEqual(['source']);
    expect(complete(['datamap', 'source', 're'])).toEqual(['remove']);
    expect(complete(['datamap', 'tables', '--se'])).toEqual(['--search']);
    expect(complete(['datamap', 'source', 'collect', 'x', '--wa'])).toEqual(['--wait']);
    expect(complete(['datamap', 'source', 'add', '-f', 'package.j'])).toEqual(['package.json']);
  });

  it('names every command for fish and zsh', async () => {
    const fish = (await datamap(['completion', 'fish'])).out;
    for (const path of commands) expect(fish).toContain(`-a ${path.at(-1)} `);
    expect((await datamap(['completion', 'zsh'])).out).toMatch(/^#compdef datamap/);
    expect((await datamap(['completion', 'tcsh'])).code).toBe(2);
  });
});

describe('T15: output', () => {
  it('makes controls visible and keeps other text', () => {
    expect(visible('a\u001b[2Jb\r\nc\t\u0000\u009b\u202e\u2066\ufeff')).toBe(
      'a\\u{1b}[2Jb\\u{d}\\nc\\t\\u{0}\\u{9b}\\u{202e}\\u{2066}\\u{feff}',
    );
    expect(visible('订单 été 🦊 a_b')).toBe('订单 été 🦊 a_b');
    expect(visible('\ud800')).toBe('\ufffd');
  });

  it('writes JSON that is equal as data and harmless as text', () => {
    const value = { '\u202ename': ['\u009b', '\u2028', '\u001b', 'ok'] };
    const line = jsonLine(value);
    expect(JSON.parse(line)).toEqual(value);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not reach a terminal
    expect(line).toMatch(/^[^\u0000-\u001f\u007f-\u009f\u2028\u202e]+$/);
  });

  it('aligns columns by what a terminal shows', () => {
    const [header, ...rows] = formatTable(
      ['NAME', 'ROWS'],
      [
        ['订单', '7'],
        ['a\u0301b', '1,000'],
      ],
      ['ROWS'],
    ).split('\n');
    expect([header, ...rows].map((line) => displayWidth(line!))).toEqual([11, 11, 11]);
  });

  it('shortens sizes and groups counts, exactly beyond 2^53', () => {
    expect([humanBytes('0'), humanBytes('1023'), humanBytes('1536'), humanBytes(null)]).toEqual([
      '0 B',
      '1023 B',
      '1.5 KiB',
      '-',
    ]);
    expect(humanCount('9223372036854775807')).toBe('9,223,372,036,854,775,807');
  });
});
