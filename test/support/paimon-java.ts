import { execFile } from 'node:child_process';
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cached } from './cached.ts';

const PROJECT = join(import.meta.dirname, '../clients/paimon-java');

/** What a program prints on its standard output; throws with the end of what it says when it fails. */
export async function runProgram(
  command: string,
  args: string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const { stdout } = await promisify(execFile)(command, args, { ...options, maxBuffer: 16 * 1024 * 1024 }).catch(
    (error: { stderr?: string; stdout?: string; message: string }) => {
      throw new Error(`${command} failed: ${(error.stderr || error.stdout || error.message).slice(-4_000)}`);
    },
  );
  return stdout;
}

/** The folder of the Java client's classes and all jars it needs, side by side; a first call builds it, which takes minutes. */
export function paimonClient(): Promise<string> {
  const source = readFileSync(join(PROJECT, 'src/main/java/datamap/Warehouse.java'), 'utf8');
  return cached('paimon-java', readFileSync(join(PROJECT, 'pom.xml'), 'utf8') + source, async (folder) => {
    for (const part of ['pom.xml', 'src']) cpSync(join(PROJECT, part), join(folder, part), { recursive: true });
    await runProgram('mvn', ['-q', '-B', 'package'], { cwd: folder });
  });
}

/** One answer for each command, all in one process: starting Java is what takes long. `warehouse`: `oss://bucket/path`. */
export async function runPaimon(
  client: string,
  place: { url: string; keys: string[]; warehouse: string },
  commands: string[][],
): Promise<Record<string, unknown>[]> {
  const classPath = readFileSync(join(client, 'target', 'classpath.txt'), 'utf8').trim();
  const program = ['-Xmx512m', '-cp', `${join(client, 'target', 'classes')}:${classPath}`, 'datamap.Warehouse'];
  const list = commands.flatMap((command, i) => (i === 0 ? command : ['--', ...command]));
  const output = await runProgram('java', [...program, place.url, ...place.keys, place.warehouse, ...list]);
  return output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
}
