import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cached } from '../support/cached.ts';
import { startDirectoryOss, startMinioOss, type TestOss } from '../support/oss.ts';
import { paimonClient, runProgram as run, runPaimon } from '../support/paimon-java.ts';

/** Clients that know nothing of this project, each in its own language, against the local OSS endpoint. */

const here = import.meta.dirname;
const PREPARING_MS = 15 * 60_000;
const JAVA_MS = 5 * 60_000;

const lastLine = (output: string) => JSON.parse(output.trim().split('\n').at(-1) ?? '') as Record<string, unknown>;

/** Wheels in a plain folder: an environment's own folder could not be moved. */
function pythonPackages(): Promise<string> {
  const requirements = join(here, 'python', 'requirements.txt');
  return cached('python-clients', readFileSync(requirements, 'utf8'), async (folder) => {
    await run('python3', ['-m', 'venv', join(folder, 'environment')]);
    await run(join(folder, 'environment', 'bin', 'python'), [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--target',
      join(folder, 'packages'),
      '-r',
      requirements,
    ]);
  });
}

let packages: string;
let java: string;
beforeAll(async () => {
  packages = await pythonPackages();
  java = await paimonClient();
}, PREPARING_MS);

describe.each([
  ['a directory', startDirectoryOss],
  ['MinIO', startMinioOss],
] as const)('on %s', (_backend, start) => {
  let oss: TestOss;
  beforeAll(async () => {
    oss = await start();
  });
  afterAll(() => oss?.close());

  const keys = () => [oss.keys.accessKeyId, oss.keys.accessKeySecret.reveal()];
  async function python(script: string, ...more: string[]) {
    const env = { ...process.env, PYTHONPATH: join(packages, 'packages') };
    const output = await run('python3', [join(here, 'python', script), oss.url, ...keys(), oss.bucket, ...more], { env });
    return lastLine(output);
  }

  const names = (folder: string) => ['a b.txt', 'dir/sub/x', 'dir/ä%20+&.txt', '销售/订单'].map((name) => `${folder}/${name}`);

  it.each(['v1', 'v4'])('oss2 (Python) does everything, signed %s', async (version) => {
    expect(await python('with_oss2.py', version)).toEqual({
      roundtrip: 'content of dir/ä%20+&.txt',
      range: 'content',
      length: 18,
      meta_etag: true,
      v1_keys: names('py2'),
      v2_keys: names('py2'),
      folders: ['py2/dir/', 'py2/销售/'],
      copied: 'content of 销售/订单',
      forbidden: [409, 'FileAlreadyExists'],
      absent: [404, 'NoSuchKey'],
      exists: [true, false],
      parts: [102_400, 7],
      large: 102_407,
      presigned: 'content of a b.txt',
      deleted: ['py2/copied 订单', 'py2/large'],
      location: 'oss-cn-hangzhou',
      info: ['lake', 'oss-cn-hangzhou'],
      listed_bucket: true,
      left: 0,
    });
  });

  it('alibabacloud-oss-v2 (Python) does everything', async () => {
    expect(await python('with_oss_v2.py')).toEqual({
      roundtrip: 'content of dir/ä%20+&.txt',
      range: 'content',
      length: 18,
      keys: names('pyv2'),
      folders: ['pyv2/dir/', 'pyv2/销售/'],
      copied: 'content of 销售/订单',
      forbidden: [409, 'FileAlreadyExists'],
      absent: [404, 'NoSuchKey'],
      large: 102_407,
      deleted: ['pyv2/copied 订单', 'pyv2/large'],
      location: 'oss-cn-hangzhou',
      info: 'lake',
      listed_bucket: true,
      left: 0,
    });
  });

  async function paimon(...commands: string[][]) {
    return runPaimon(java, { url: oss.url, keys: keys(), warehouse: `oss://${oss.bucket}/java/warehouse` }, commands);
  }

  it('Paimon’s own oss:// file access writes, alters, renames, reads and drops tables', { timeout: JAVA_MS }, async () => {
    const written = { rows: 30, partitions: 3, snapshotId: 3, schemaId: 0 };
    const answers = await paimon(
      ['write', 'shop', 'incoming', '3'],
      ['rename', 'shop', 'incoming', 'orders'],
      ['alter', 'shop', 'orders', 'note'],
      ['write', 'shop', 'mistake', '1'],
      ['drop', 'shop', 'mistake'],
    );
    expect(answers).toEqual([
      written,
      written,
      { ...written, schemaId: 1 },
      { rows: 10, partitions: 3, snapshotId: 1, schemaId: 0 },
      { tables: 1 },
    ]);
    expect(await paimon(['read', 'shop', 'orders'])).toEqual([{ ...written, schemaId: 1 }]);
    const refused = oss.requests({ prefix: 'java/' }).filter(({ status }) => status >= 400 && status !== 404);
    expect(refused).toEqual([]);
  });
});
