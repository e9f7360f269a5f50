import { InvalidInput } from '../../shared/errors.ts';

interface Sources {
  env: Record<string, string | undefined>;
  accountId: string;
}

const EXPRESSION = /\$\{([^}]*)\}/g;

/**
 * Fills `${env('NAME', 'default')}`, `${config('AccountID')}` and `${vars.name}` throughout a project file. Throws
 * InvalidInput that lists every variable without a value, and every expression of another kind.
 */
export function expandVariables(raw: Record<string, unknown>, sources: Sources): unknown {
  const issues = new Map<string, string>();
  const vars = (raw.vars ?? {}) as Record<string, unknown>;

  function evaluate(expression: string, depth: number): string {
    const env = /^env\(\s*'([^']*)'\s*(?:,\s*'([^']*)'\s*)?\)$/.exec(expression);
    if (env) {
      const value = sources.env[env[1]!] ?? env[2];
      if (value === undefined) issues.set(`environment variable ${env[1]}`, 'is not set, and has no default');
      return value ?? '';
    }
    if (/^config\(\s*'AccountID'\s*\)$/.test(expression)) return sources.accountId;
    const name = /^vars\.(\w+)$/.exec(expression)?.[1];
    if (name !== undefined && typeof vars[name] === 'string' && depth < 8) return expand(vars[name], depth + 1);
    issues.set(`s.yaml \${${expression}}`, name === undefined ? 'is not an expression known here' : 'names no variable');
    return '';
  }

  function expand(text: string, depth = 0): string {
    return text.replace(EXPRESSION, (_, expression: string) => evaluate(expression.trim(), depth));
  }

  function walk(value: unknown): unknown {
    if (typeof value === 'string') return expand(value);
    if (Array.isArray(value)) return value.map(walk);
    if (typeof value === 'object' && value !== null)
      return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, walk(inner)]));
    return value;
  }

  const expanded = walk(raw);
  if (issues.size > 0) throw new InvalidInput([...issues].map(([path, issue]) => ({ path, issue })));
  return expanded;
}
