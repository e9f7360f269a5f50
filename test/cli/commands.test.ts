import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withLeadingOptionsMoved } from '../../cli/program.ts';
import { finishTest, startTest } from '../../shared/store/connectivity-tests.ts';
import { type Harness, startHarness } from '../functions/console-api/harness.ts';
import { datamap, type Ran, serve } from './command-line.ts';

let api: Harness;
let server: Awaited<ReturnType<typeof serve>>;
let folder: string;
beforeAll(async () => {
  api = await startHarness();
  server = await serve(api);
  folder = mkdtempSync(join(tmpdir(), 'datamap-cli-'));
});
afterAll(async () => {
  await server.close();
  await api.close();
  rmSync(folder, { recursive: true, force: true });
});

const call = (args: string[], env: Record<string, string> = {}): Promise<Ran> =>
  datamap(args, { DATAMAP_URL: server.url, DATAMAP_TOKEN: api.tokens.everywhere, ...env });
const lines = (ran: Ran) =>
  ran.out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

function file(text: string): string {
  const path = join(folder, `${randomUUID()}.yaml`);
  writeFileSync(path, text);
  return path;
}

const yaml = (name: string, secret = '{ fromEnv: TEST_OSS_SECRET }') => `
name: ${name}
catalog: paimon-catalog
metastore: filesystem
filesystem: oss
environments:
  development: { accessMode: ramRole, roleArn: "acs:ram::1234567890123456:role/datamap-reader", region: cn-hangzhou,
                 endpoint: oss-cn-hangzhou-internal.aliyuncs.com, warehouse: "oss://finance-dev/lake/warehouse" }
  production:
    accessMode: accessKey
    accessKeyId: LTAI5tTestTestTestTest
    accessKeySecret: ${secret}
    region: cn-hangzhou
    endpoint: oss-cn-hangzhou-internal.aliyuncs.com
    warehouse: oss://finance/lake/warehouse
`;
const SECRET = { TEST_OSS_SECRET: 'marker-secret-8812' };

describe('datamap source', () => {
  it('saves what a file says, and never prints its secret', async () => {
    const ran = await call(['source', 'add', '-f', file(yaml('finance')), '--json'], SECRET);
    expect(ran.code, ran.err).toBe(0);
    expect(JSON.parse(ran.out)).toMatchObject({ name: 'finance', environments: { production: { hasAccessKeySecret: true } } });
    const shown = await call(['source', 'show', 'finance']);
    expect(shown.out).toContain('secret stored');
    const listed = await call(['source', 'list', '--json']);
    expect(lines(listed).map((source) => source.name)).toEqual(['finance']);
    for (const each of [ran, shown, listed]) expect(each.out + each.err).not.toContain('marker-secret');
  });

  it('names line and field of each mistake in a file, and does not ask the server', async () => {
    const path = file(yaml('wrong').replace('region: cn-hangzhou\n    endpoint', 'regoin: cn-hangzhou\n    endpoint'));
    const ran = await datamap(['source', 'add', '-f', path], {
      DATAMAP_URL: 'http://127.0.0.1:9',
      DATAMAP_TOKEN: 'x',
      ...SECRET,
    });
    expect(ran.code).toBe(2);
    expect(ran.err).toContain(`${path}:13:5: environments.production.regoin: this name is not known`);
    const broken = await call(['source', 'add', '-f', file('name: "x\nenvironments: [')]);
    expect(broken.code).toBe(2);
    expect(broken.err).toMatch(/\.yaml:\d+:\d+: /);
  });

  it('says which environment variable is missing, with its place', async () => {
    const path = file(yaml('missing'));
    const ran = await call(['source', 'add', '-f', path]);
    expect(ran.code).toBe(2);
    expect(ran.err).toContain(
      `${path}:12:5: environments.production.accessKeySecret: environment variable TEST_OSS_SECRET is not set`,
    );
  });

  it('repeats no value of a file in an error: it may be a secret', async () => {
    const ran = await call(['source', 'add', '-f', file(yaml('list', '[marker-secret-8812]'))]);
    expect(ran.code).toBe(2);
    expect(ran.err).toContain('environments.production.accessKeySecret');
    expect(ran.err).not.toContain('marker-secret');
  });

  it('tells what the server refuses, field by field', async () => {
    const ran = await call(['source', 'add', '-f', file(yaml('refused').replaceAll('cn-hangzhou,', 'cn-nowhere,'))], SECRET);
    expect(ran.code).toBe(2);
    expect(ran.err).toContain('environments.development.region');
    const twice = await call(['source', 'add', '-f', file(yaml('finance')), '--json'], SECRET);
    expect(twice.code).toBe(1);
    expect(JSON.parse(twice.err).error.problem.status).toBe(409);
  });

  it('replaces a data source by a file; a secret left out is kept', async () => {
    const path = file(yaml('finance').replace(/ {4}accessKeySecret.*\n/, ''));
    const ran = await call(['source', 'update', '-f', path, '--json']);
    expect(JSON.parse(ran.out)).toMatchObject({ version: 2, environments: { production: { hasAccessKeySecret: true } } });
  });

  it('refuses to collect while the gate is closed, with the reason', async () => {
    const ran = await call(['source', 'collect', 'finance']);
    expect(ran.code).toBe(1);
    expect(ran.err).toContain('must be Connected first');
  });

  it('waits for the verdict of a test: exit code 1 when it failed', async () => {
    const running = call(['source', 'test', 'finance', '--env', 'production', '--wait', '--json']);
    const test = await expect
      .poll(async () => (await api.db.query<{ id: string }>("select id from connectivity_test where state = 'queued'"))[0]?.id)
      .toBeDefined()
      .then(async () => (await api.db.query<{ id: string }>("select id from connectivity_test where state = 'queued'"))[0]!.id);
    await api.db.database.tenant(api.workspaces.default, async (tx) => {
      const begun = await startTest(tx, test);
      const check = {
        id: 'dns',
        title: 'Name resolves',
        status: 'failed' as const,
        causes: ['a wrong name'],
        remedy: 'look',
        durationMs: 1,
      };
      await finishTest(tx, test, { verdict: 'failed', checks: [check], configVersion: begun!.configVersion });
    });
    const ran = await running;
    expect(ran.code, ran.err).toBe(1);
    expect(JSON.parse(ran.out)).toMatchObject({ verdict: 'failed', checks: [{ id: 'dns', status: 'failed' }] });
  });

  it('gives up waiting when told so', async () => {
    const ran = await call(['source', 'test', 'finance', '--env', 'development', '--wait', '--timeout', '0.3']);
    expect(ran.code).toBe(1);
    expect(ran.err).toContain('gave up after 0.3 s');
  });

  it('collects and waits for the end: exit code 1 when a table failed', async () => {
    await api.db.query("update environment set connection_state = 'connected', tested_config_version = config_version");
    const running = call(['source', 'collect', 'finance', '--table', 'sales.orders', '--wait', '--json']);
    const run = await expect
      .poll(async () => (await api.db.query<{ id: string }>("select id from collection_run where phase = 'queued'"))[0]?.id)
      .toBeDefined()
      .then(async () => (await api.db.query<{ id: string }>("select id from collection_run where phase = 'queued'"))[0]!.id);
    await api.db.query(
      `insert into collection_run_table (workspace_id, run_id, database_name, table_name, state, error_code, error_message, finished_at)
       values ($1, $2, 'sales', $3, 'failed', 'unreachable', 'no answer', now())`,
      [api.workspaces.default, run, 'or\u001b[31mders'],
    );
    await api.db.query(
      "update collection_run set phase = 'done', started_at = now(), finished_at = now(), tables_found = 1 where id = $1",
      [run],
    );
    const ran = await running;
    expect(ran.code, ran.err).toBe(1);
    expect(JSON.parse(ran.out)).toMatchObject({
      phase: 'done',
      tablesFailed: 1,
      requestedTables: [{ database: 'sales', table: 'orders' }],
    });
    const shown = await call(['run', run]);
    expect(shown.code).toBe(1);
    expect(shown.out).toContain('sales.or\\u{1b}[31mders: failed, no answer');
    expect(shown.out).not.toContain('\u001b');
    const asJson = await call(['run', run, '--json']);
    expect(JSON.parse(asJson.out).errors).toEqual([
      { database: 'sales', table: 'or\u001b[31mders', state: 'failed', status: null, code: 'unreachable', message: 'no answer' },
    ]);
    expect(lines(await call(['runs', '--source', 'finance', '--json']))).toHaveLength(1);
  });

  it('removes only when told so, and says what went', async () => {
    const asked = await call(['source', 'remove', 'finance']);
    expect(asked.code).toBe(2);
    expect(asked.err).toContain('0 tables in 0 databases, 1 runs');
    expect((await call(['source', 'remove', 'finance', '--yes'])).code).toBe(0);
    expect((await call(['source', 'show', 'finance'])).code).toBe(2);
    expect((await call(['source', 'list'])).out).toBe('No data sources.\n');
  });
});

describe('datamap tables and table', () => {
  let environmentId: string;
  const names = ['orders', '__proto__', 'wi\u0085ld\u202egnp.tsv', '订单明细', 'a.b'];
  beforeAll(async () => {
    const ran = await call(['source', 'add', '-f', file(yaml('shop')), '--json'], SECRET);
    environmentId = JSON.parse(ran.out).environments.production.id;
    const [database] = await api.db.query<{ id: string }>(
      "insert into catalog_database (workspace_id, environment_id, name) values ($1, $2, 'sales') returning id",
      [api.workspaces.default, environmentId],
    );
    for (const name of names) {
      const [table] = await api.db.query<{ id: string }>(
        'insert into catalog_table (workspace_id, environment_id, database_id, name, columns) values ($1, $2, $3, $4, \'[{"id":0,"name":"id","type":"INT"}]\') returning id',
        [api.workspaces.default, environmentId, database!.id, name],
      );
      await api.db.query(
        "insert into table_state (workspace_id, table_id, status, row_count, size_bytes, collected_at) values ($1, $2, 'ok', 9007199254740993, 2048, now())",
        [api.workspaces.default, table!.id],
      );
      await api.db.query('insert into table_document (workspace_id, table_id, document) values ($1, $2, $3)', [
        api.workspaces.default,
        table!.id,
        JSON.stringify({ partitionCount: 25_000, commitIdentifier: '9223372036854775807', branches: { ghost: null } }),
      ]);
    }
  });

  it('print every table, one JSON object a line, with names unharmed and harmless', async () => {
    const ran = await call(['tables', '--source', 'shop', '--json']);
    expect(
      lines(ran)
        .map((table) => table.table)
        .sort(),
    ).toEqual([...names].sort());
    expect(lines(ran)[0].rowCount).toBe('9007199254740993');
    expect(ran.out).not.toMatch(/[\u0080-\u009f\u202e]/);
    const human = await call(['tables', '--source', 'shop']);
    expect(human.out).toContain('sales.wi\\u{85}ld\\u{202e}gnp.tsv');
    expect(human.out).toContain('9,007,199,254,740,993');
    const widths = human.out
      .split('\n')
      .filter((line) => line.includes('2.0 KiB'))
      .map((line) => line.indexOf('KiB'));
    expect(widths).toHaveLength(names.length);
  });

  it('take production unless told otherwise', async () => {
    expect((await call(['tables', '--env', 'development'])).out).toBe('No tables.\n');
    expect(lines(await call(['tables', '--env', 'all', '--json']))).toHaveLength(names.length);
    expect((await call(['tables', '--env', 'staging'])).code).toBe(2);
  });

  it('find a table whose name holds dots', async () => {
    expect(JSON.parse((await call(['table', 'shop', 'sales.a.b', '--json'])).out)).toMatchObject({
      database: 'sales',
      table: 'a.b',
    });
    expect((await call(['table', 'shop', 'sales.nothing'])).code).toBe(2);
    expect((await call(['table', 'shop', 'sales'])).code).toBe(2);
  });

  it('hold all partitions of a table, however many pages they are', async () => {
    await api.db.query(
      `insert into table_partition (workspace_id, table_id, partition_key, path, spec, row_count, size_bytes, file_count, detail)
       select $1, (select id from catalog_table where name = 'orders'), lpad(to_hex(g), 8, '0'), 'dt=' || lpad(g::text, 6, '0'),
              jsonb_build_object('dt', g), 9007199254740993, g, 1, '{"buckets":[0]}' from generate_series(1, 25000) g`,
      [api.workspaces.default],
    );
    const table = JSON.parse((await call(['table', 'shop', 'sales.orders', '--json'])).out);
    expect(table.partitions).toHaveLength(25_000);
    expect(table.partitions[24_999]).toEqual({
      partition: { dt: 25_000 },
      path: 'dt=025000',
      hex: '000061a8',
      files: 1,
      size: 25_000,
      records: '9007199254740993',
      buckets: [0],
    });
    expect(table.partitionsNextCursor).toBeUndefined();
    expect(table.commitIdentifier).toBe('9223372036854775807');
    // A branch folder without a schema: known by name only.
    expect(table.branches).toEqual({ ghost: null });
  });
});

describe('the rest', () => {
  it('makes, lists and revokes tokens', async () => {
    const made = JSON.parse((await call(['token', 'create', 'ci', '--role', 'operator', '--json'])).out);
    expect(made.token).toMatch(/^dm_/);
    expect((await call(['source', 'list'], { DATAMAP_TOKEN: made.token })).code).toBe(0);
    expect(lines(await call(['token', 'list', '--json'])).map((token) => token.id)).toContain(made.id);
    expect((await call(['token', 'revoke', made.id])).code).toBe(0);
    const refused = await call(['source', 'list'], { DATAMAP_TOKEN: made.token });
    expect(refused).toMatchObject({ code: 2 });
    expect(refused.err).toContain('Authorization');
  });

  it('follows the change feed from a sequence on', async () => {
    const changes = lines(await call(['changes', '--json']));
    expect(changes.map((change) => change.sequence)).toEqual(changes.map((_, i) => String(i + 1)));
    expect(lines(await call(['changes', '--json', '--after', '2']))[0].sequence).toBe('3');
    expect((await call(['changes', '--after', 'x'])).code).toBe(2);
  });

  it('works in other workspaces, also with the option before the command', async () => {
    expect((await call(['--workspace', 'lab', 'source', 'list'])).out).toBe('No data sources.\n');
    expect((await call(['source', 'list', '--workspace', 'nowhere'])).code).toBe(2);
    expect(withLeadingOptionsMoved(['--json', '--workspace=lab', 'tables', '--', 'x'])).toEqual([
      'tables',
      '--json',
      '--workspace=lab',
      '--',
      'x',
    ]);
    expect((await call(['workspace', 'add', 'team', '--kind', 'basic'])).out).toContain('team');
    expect(lines(await call(['workspace', 'list', '--json'])).map((workspace) => workspace.name)).toContain('team');
  });

  it('exits 3 without a server, 2 for wrong use, 0 for help', async () => {
    expect((await datamap(['tables'], { DATAMAP_URL: 'http://127.0.0.1:9', DATAMAP_TOKEN: 'x' })).code).toBe(3);
    expect((await datamap(['tables', '--data', join(folder, 'nothing')])).code).toBe(3);
    expect((await datamap(['tables'], { DATAMAP_URL: 'nonsense', DATAMAP_TOKEN: 'x' })).code).toBe(2);
    expect((await datamap(['tables'], { DATAMAP_URL: server.url })).code).toBe(2);
    expect((await datamap(['nonsense'])).code).toBe(2);
    expect((await datamap(['source', 'add'])).code).toBe(2);
    expect((await datamap([])).code).toBe(2);
    expect((await datamap(['--help'])).code).toBe(0);
    expect((await datamap(['--version'])).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it('finds a local platform by its folder', async () => {
    writeFileSync(join(folder, 'state.json'), JSON.stringify({ ports: { console: Number(new URL(server.url).port) } }));
    writeFileSync(join(folder, 'credentials.json'), JSON.stringify({ apiToken: api.tokens.everywhere }));
    expect((await datamap(['source', 'list', '--data', folder])).code).toBe(0);
    expect((await datamap(['source', 'list'], { DATAMAP_DATA: folder })).code).toBe(0);
  });
});
