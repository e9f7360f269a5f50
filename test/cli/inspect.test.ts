import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PlainObject } from '../../shared/paimon/table-document.ts';
import { fixtureWarehouses } from '../fixtures/unpack.ts';
import { compareDocument, readExpected } from '../shared/paimon/expected.ts';
import { startDirectoryOss, type TestOss } from '../support/oss.ts';
import { datamap } from './command-line.ts';

let fixtures: string;
let folder: string;

beforeAll(async () => {
  fixtures = await fixtureWarehouses();
  folder = await mkdtemp(join(tmpdir(), 'inspect-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function lines(out: string): (PlainObject & { database: string; table: string })[] {
  return out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

describe('a directory', () => {
  test('gives one line a table, in order, with what it cost', async () => {
    const { code, out } = await datamap(['inspect', join(fixtures, 'impala'), '--json']);
    expect(code).toBe(0);
    expect(lines(out).map(({ database, table, status }) => [database, table, status])).toEqual([
      ['functional', 'alltypes_structs_paimon', 'ok'],
      ['functional', 'paimon_decimal_tbl', 'ok'],
      ['functional', 'paimon_partitioned', 'ok'],
    ]);
    for (const line of lines(out)) {
      expect(line.requests).toBeGreaterThan(5);
      expect(line.bytesRead).toBeGreaterThan(1000);
      expect(line.problems).toEqual([]);
    }
  });

  test('with --full gives every expected value', async () => {
    const expected = await readExpected(join(fixtures, 'impala.expected.json'));
    const { out } = await datamap(['inspect', join(fixtures, 'impala'), '--full', '--json']);
    for (const line of lines(out))
      expect(compareDocument(expected.databases[line.database]![line.table]!, line).differences).toEqual([]);
  });

  test('exits 1 where a table has a problem, and names the object', async () => {
    const damaged = join(fixtures, 'written-java-2.0.0/damaged');
    const { code, out } = await datamap(['inspect', damaged, '--table', 'finance.manifest_missing', '--json']);
    expect(code).toBe(1);
    expect(lines(out)).toMatchObject([
      {
        status: 'degraded',
        liveFileCount: null,
        totalRecordCount: 15,
        problems: [
          { code: 'manifest-missing', object: expect.stringMatching(/^finance\.db\/manifest_missing\/manifest\/manifest-/) },
        ],
      },
    ]);
    const people = await datamap(['inspect', damaged]);
    expect(people.code).toBe(1);
    expect(people.out).toMatch(/finance\.schema_folder_missing +broken/);
    expect(people.out).toContain('53 tables: 22 ok, 25 degraded, 6 broken');
  });

  test('finds names with dots, and a branch', async () => {
    const main = join(fixtures, 'written-java-2.0.0/main');
    const expected = await readExpected(`${main}.expected.json`);
    const [database, table] = Object.entries(expected.databases)
      .flatMap(([name, tables]) => Object.keys(tables).map((each) => [name, each] as const))
      .find(([name]) => name.includes('.'))!;
    expect(lines((await datamap(['inspect', main, '--table', `${database}.${table}`, '--json'])).out)).toMatchObject([
      { database, table },
    ]);

    const branched = Object.keys(expected.databases.support!).find((name) => name.endsWith('_branched'))!;
    const { out } = await datamap(['inspect', main, '--table', `support.${branched}`, '--branch', 'dev', '--full', '--json']);
    const branches = expected.databases.support![branched]!.branches as PlainObject;
    expect(compareDocument(branches.dev!, lines(out)[0]!).differences).toEqual([]);
    expect((await datamap(['inspect', main, '--table', `support.${branched}`, '--branch', 'none'])).code).toBe(2);
  });

  test('says what else a folder is', async () => {
    const table = join(fixtures, 'impala/functional.db/paimon_partitioned');
    for (const [path, said] of [
      [table, 'looks like a table'],
      [join(fixtures, 'impala/functional.db'), 'looks like a database'],
      [fixtures, 'looks like one'],
      [join(table, 'schema'), 'is not a Paimon warehouse'],
      [join(table, 'schema/schema-0'), 'is a file'],
      [join(folder, 'nothing'), 'no such directory'],
    ] as const) {
      const { code, out, err } = await datamap(['inspect', path]);
      expect([code, out]).toEqual([2, '']);
      expect(err).toContain(said);
    }
  });

  test('lets no name reach the terminal as a command', async () => {
    const warehouse = join(folder, 'hostile');
    const schema = {
      version: 3,
      id: 0,
      fields: [{ id: 0, name: 'a\u001b[2J\u202eb', type: 'INT' }],
      highestFieldId: 0,
      partitionKeys: [],
      primaryKeys: [],
      options: {},
      comment: '\u009b31m',
    };
    const root = join(warehouse, 'd.db', 't\u001b]0;x\u0007');
    await mkdir(join(root, 'schema'), { recursive: true });
    await writeFile(join(root, 'schema/schema-0'), JSON.stringify(schema));
    for (const args of [[], ['--json'], ['--table', 'd.t\u001b]0;x\u0007'], ['--table', 'd.t\u001b]0;x\u0007', '--full']]) {
      const { out, err } = await datamap(['inspect', warehouse, ...args]);
      expect(out).toContain('d');
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not be there
      expect(out + err).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
    }
  });
});

describe('an OSS path', () => {
  let oss: TestOss;
  const env = { ALIBABA_CLOUD_ACCESS_KEY_ID: 'LTAItestkey', ALIBABA_CLOUD_ACCESS_KEY_SECRET: 'test-secret' };
  const place = (): string[] => ['--endpoint', oss.url, '--region', 'cn-hangzhou'];

  beforeAll(async () => {
    oss = await startDirectoryOss();
    await cp(join(fixtures, 'impala'), join(oss.directory, 'some/warehouse'), { recursive: true });
  });
  afterAll(() => oss.close());

  test('reads the same as the directory', async () => {
    const local = await datamap(['inspect', join(fixtures, 'impala'), '--full', '--json']);
    const remote = await datamap(['inspect', 'oss://lake/some/warehouse', ...place(), '--full', '--json'], env);
    expect(remote.code).toBe(0);
    expect(lines(remote.out)).toEqual(lines(local.out));
  });

  test('exits 3 where the store refuses, is not there or holds no such bucket', async () => {
    expect(
      (await datamap(['inspect', 'oss://lake/some', ...place()], { ...env, ALIBABA_CLOUD_ACCESS_KEY_SECRET: 'wrong' })).code,
    ).toBe(3);
    expect((await datamap(['inspect', 'oss://missing/some', ...place()], env)).code).toBe(3);
    const gone = await startDirectoryOss();
    await gone.close();
    expect((await datamap(['inspect', 'oss://lake/x', '--endpoint', gone.url, '--region', 'cn-hangzhou'], env)).code).toBe(3);
  });

  test('exits 2 without credentials, region or bucket', async () => {
    for (const args of [['oss://lake/some', ...place()], ['oss:///some', ...place()], ['oss://lake/some'], ['s3://lake/some']]) {
      expect((await datamap(['inspect', ...args], { ALIBABA_CLOUD_ACCESS_KEY_ID: '' })).code).toBe(2);
    }
  });
});
