import { Argument, Command } from 'commander';
import { printLine } from './output.ts';

/** `datamap completion SHELL`: a script for the shell, made from the commands as they are. */
export function completionCommand(program: Command): Command {
  return new Command('completion')
    .description('print a completion script for bash, zsh or fish')
    .addArgument(new Argument('<shell>').choices(['bash', 'zsh', 'fish']))
    .addHelpText(
      'after',
      '\nExamples:\n  source <(datamap completion bash)\n  datamap completion zsh > ~/.zfunc/_datamap\n  datamap completion fish > ~/.config/fish/completions/datamap.fish',
    )
    .action((shell: 'bash' | 'zsh' | 'fish') => printLine(SCRIPTS[shell](wordsOf(program))));
}

/** What may follow each path of commands: `''` → all commands, `source` → its own and its options. */
type Words = Map<string, { commands: { name: string; summary: string }[]; options: { flag: string; summary: string }[] }>;

function wordsOf(program: Command): Words {
  const words: Words = new Map();
  const visit = (command: Command, path: string) => {
    words.set(path, {
      commands: command.commands.map((sub) => ({ name: sub.name(), summary: sub.description() })),
      options: command.options.flatMap((option) =>
        option.long && !option.hidden ? [{ flag: option.long, summary: option.description }] : [],
      ),
    });
    for (const sub of command.commands) visit(sub, path === '' ? sub.name() : `${path} ${sub.name()}`);
  };
  visit(program, '');
  return words;
}

const SCRIPTS = { bash, zsh, fish };

function bash(words: Words): string {
  const cases = [...words].map(
    ([path, { commands, options }]) =>
      `    ${JSON.stringify(path)}) words=${JSON.stringify([...commands.map((c) => c.name), ...options.map((o) => o.flag), '--help'].join(' '))} ;;`,
  );
  return `_datamap() {
  local path="" word words="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    [[ $word == -* ]] && break
    case " ${[...words.keys()].filter(Boolean).join('|').replaceAll(' ', '_')} " in
      *[\\ \\|]"\${path:+\${path// /_}_}$word"[\\ \\|]*) path="\${path:+$path }$word" ;;
    esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  if [[ \${COMP_WORDS[COMP_CWORD-1]} == -f || \${COMP_WORDS[COMP_CWORD-1]} == --file ]]; then
    COMPREPLY=($(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}"))
  else
    COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
  fi
}
complete -o default -F _datamap datamap`;
}

function zsh(words: Words): string {
  return `#compdef datamap
autoload -U +X bashcompinit && bashcompinit
${bash(words)}`;
}

function fish(words: Words): string {
  const quote = (text: string) => `'${text.replace(/[\\']/g, '\\$&')}'`;
  const lines: string[] = [];
  for (const [path, { commands, options }] of words) {
    const seen = path.split(' ').filter(Boolean);
    const subs = commands.map((command) => command.name);
    const inside =
      seen.length === 0 ? '__fish_use_subcommand' : seen.map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ');
    const here =
      subs.length === 0 || seen.length === 0 ? inside : `${inside}; and not __fish_seen_subcommand_from ${subs.join(' ')}`;
    for (const { name, summary } of commands)
      lines.push(`complete -c datamap -f -n ${quote(here)} -a ${name} -d ${quote(summary)}`);
    for (const { flag, summary } of options)
      lines.push(`complete -c datamap -n ${quote(here)} -l ${flag.slice(2)} -d ${quote(summary)}`);
  }
  return lines.join('\n');
}
