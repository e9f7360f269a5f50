import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readDeployment } from '../../../local/fc/deployment.ts';
import { queuesOf } from '../../../local/fc/function-endpoint.ts';

const file = fileURLToPath(new URL('./project/s.yaml', import.meta.url));
const original = readFileSync(file, 'utf8');
const changed = (from: string | RegExp, to: string) => {
  const text = original.replace(from, to);
  expect(text).not.toBe(original);
  const copy = join(mkdtempSync(join(tmpdir(), 'datamap-yaml-')), 's.yaml');
  writeFileSync(copy, text);
  return copy;
};
const read = (path = file, env: Record<string, string> = {}) => readDeployment(path, { env, accountId: '1234567890' });

describe('readDeployment', () => {
  it('lays resources over their template and fills variables', () => {
    const { functions, name, region } = read(file, { GREETING: 'hi' });
    expect([name, region, functions.map((f) => f.key)]).toEqual(['trial', 'cn-hangzhou', ['probe', 'callback', 'web', 'broken']]);
    expect(functions[0]).toMatchObject({
      memorySize: 256,
      role: 'acs:ram::1234567890:role/trial',
      environmentVariables: { GREETING: 'hi', OWN: '1' },
    });
    expect(functions[1]!.handler).toBe('index.callback');
    expect(functions[1]!.environmentVariables).toEqual({ GREETING: 'hi' });
  });

  it('hides messages six times as long as their function may take', () => {
    expect([...queuesOf(read())]).toEqual([
      ['trial-work', 12],
      ['trial-work-dead', 30],
      ['trial-async-dead', 30],
    ]);
  });

  it.each([
    ['an unknown property', 'memorySize: 256', 'memorySize: 256\n    memory: 1', /memory/],
    ['an unknown trigger key', 'enable: true', 'enabled: true', /enable/],
    ['a runtime that does not exist', 'runtime: nodejs20', 'runtime: nodejs22', /runtime/],
    ['a variable without a value', "env('GREETING', 'hello')", "env('GREETING')", /GREETING/],
    ['an unknown expression', /\$\{vars.region\}/, `\${path.x}`, /path\.x/],
    ['a missing template', /extend: \{ name: base \}/, 'extend: { name: bas }', /bas/],
    ['a timer that is text', 'timeout: 2', 'timeout: two', /timeout/],
  ])('refuses %s by name', (_, from, to, message) => {
    expect(() => read(changed(from, to))).toThrow(message);
  });

  it('names every missing variable at once', () => {
    const path = changed("env('GREETING', 'hello')", "env('ONE')} ${env('TWO')");
    expect(() => read(path)).toThrow(/ONE.*TWO/);
  });
});
