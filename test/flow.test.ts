import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Answer, type Api, apiOf, dataSource, endedRun } from './support/api.ts';
import { dataFolder, filesBelow, type Platform, removeFolder, startPlatform } from './support/platform.ts';
import { copySample, readDirectly } from './support/warehouses.ts';

// Whole collections in processes of their own: slow where the machine is busy.
vi.setConfig({ testTimeout: 300_000 });

/** Three warehouses in one storage bucket, by data source. */
const WAREHOUSES = {
  java: ['clickstream', 'iot', 'research', '销售部'],
  spark: ['functional'],
  mixed: ['default'],
} as const;
const SOURCES = Object.keys(WAREHOUSES) as (keyof typeof WAREHOUSES)[];

const lake = dataFolder();
const data = dataFolder();
let platform: Platform;
let api: Api;

beforeAll(async () => {
  for (const source of SOURCES) copySample(join(lake, source), WAREHOUSES[source]);
  platform = await startPlatform({ data, buckets: { lake }, args: ['--no-sample', '--faults'] });
  api = apiOf(platform);
});
afterAll(async () => {
  await platform?.stop();
  removeFolder(data);
  removeFolder(lake);
});

/** Everything that the map says of one environment, without times and what it cost. */
async function mapOf(source: string, environment = 'production'): Promise<Answer[]> {
  const summaries = await api.all(`tables?source=${source}&environment=${environment}&limit=100`);
  return Promise.all(summaries.map((summary) => api.get(`tables/${summary.id}?full=true`)));
}

async function database<Row>(sql: string): Promise<Row[]> {
  const { password, port } = JSON.parse(readFileSync(join(data, 'postgres', 'server.json'), 'utf8'));
  const client = new pg.Client({ connectionString: `postgres://datamap:${password}@127.0.0.1:${port}/datamap` });
  await client.connect();
  try {
    return (await client.query(sql)).rows as Row[];
  } finally {
    await client.end();
  }
}

describe('from a saved data source to the data map', () => {
  it('saves, tests both environments, opens the gate and collects', async () => {
    for (const source of SOURCES) {
      const saved = await api.post('data-sources', dataSource(platform, source, `oss://lake/${source}`));
      expect(saved.gate.open).toBe(false);
    }
    for (const source of SOURCES) {
      for (const environment of ['development', 'production']) {
        const run = await endedRun(api, source, { environment });
        expect(run, `${source} ${environment}`).toMatchObject({
          phase: 'done',
          cause: 'connected',
          tablesFailed: 0,
          error: null,
        });
      }
      const { environments, gate, findings } = await api.get(`data-sources/${source}`);
      expect(gate).toMatchObject({ open: true, waitingFor: [] });
      expect(environments.development.connectionState).toBe('connected');
      expect(environments.production.connectionState).toBe('connected');
      // Development and production lie at one place here: the rules say so, and let it pass.
      expect(findings.map((finding: Answer) => finding.severity)).toContain('warning');
      expect(findings.map((finding: Answer) => finding.severity)).not.toContain('error');
    }
  });

  it.each(SOURCES)('holds exactly what a direct read of %s says, in both environments', async (source) => {
    const direct = await readDirectly(lake, `${source}/`);
    expect(direct.size).toBeGreaterThan(0);
    for (const environment of ['development', 'production']) {
      const map = new Map((await mapOf(source, environment)).map((table) => [`${table.database}.${table.table}`, table]));
      expect([...map.keys()].sort()).toEqual([...direct.keys()].sort());
      for (const [name, document] of direct) expect(map.get(name), `${environment} ${name}`).toMatchObject(document);
    }
  });

  it('keeps every check of a test with its evidence', async () => {
    const tests = await api.all('data-sources/java/environments/production/connectivity-tests');
    expect(tests[0]).toMatchObject({ state: 'done', verdict: 'connected' });
    const checks: Answer[] = tests[0].checks;
    expect(checks.length).toBeGreaterThan(5);
    for (const check of checks)
      expect(check, check.id).toMatchObject({ status: expect.stringMatching(/^(ok|warning|skipped)$/) });
  });
});

describe('a second collection of an unchanged warehouse', () => {
  it('changes nothing but times, and asks at most two requests a table plus listings', async () => {
    const before = await mapOf('java');
    const feed = await api.all('changes?limit=1000').then((changes) => changes.length);
    const runs = (await api.all('collection-runs')).map((run: Answer) => run.id);
    await api.post('collection-runs', { dataSource: 'java', environment: 'production' });
    const run = await endedRun(api, 'java', { notBefore: runs });
    expect(run).toMatchObject({ phase: 'done', tablesRead: 0, tablesFailed: 0, tablesUnchanged: before.length });
    const listings = WAREHOUSES.java.length + 1;
    console.log(`second collection: ${run.requests} requests for ${before.length} tables`);
    expect(run.requests).toBeLessThanOrEqual(2 * before.length + listings);

    const timeless = (tables: Answer[]) =>
      tables.map(({ collectedAt, lastSeenAt, ...rest }: Answer) => ({
        ...rest,
        timesAreThere: Boolean(collectedAt && lastSeenAt),
      }));
    expect(timeless(await mapOf('java'))).toEqual(timeless(before));
    expect((await api.all('changes?limit=1000')).length).toBe(feed);
  });
});

describe('the gate', () => {
  it('refuses to collect while an environment is not Connected, and says which', async () => {
    const wrong = dataSource(platform, 'half', 'oss://lake/java') as Answer;
    wrong.environments.development = { ...wrong.environments.development, warehouse: 'oss://no-such-bucket/java' };
    await api.post('data-sources', wrong);
    await expect
      .poll(
        async () => {
          const { environments } = await api.get('data-sources/half');
          return [environments.development.connectionState, environments.production.connectionState].join(' ');
        },
        { timeout: 40_000, interval: 200 },
      )
      .toBe('failed connected');
    const refused = await api.send('POST', 'collection-runs', { dataSource: 'half', environment: 'production' });
    expect(refused).toMatchObject({ status: 409, body: { code: 'gate-closed', detail: expect.stringContaining('development') } });
    expect((await api.all('collection-runs')).filter((run: Answer) => run.dataSource === 'half')).toEqual([]);
  });
});

describe('secrets', () => {
  it('are found nowhere after saving with a key pair, testing and collecting (P7)', async () => {
    const { accessKeyId, accessKeySecret, apiToken } = platform.credentials;
    const keys = { accessMode: 'accessKey', accessKeyId, accessKeySecret, roleArn: undefined };
    const answers: string[] = [];
    answers.push(JSON.stringify(await api.post('data-sources', dataSource(platform, 'keyed', 'oss://lake/spark', keys))));
    expect(await endedRun(api, 'keyed')).toMatchObject({ phase: 'done', tablesFailed: 0 });
    // A wrong one, so that failures speak too.
    const wrongSecret = 'wrong-but-secret-all-the-same';
    answers.push(
      JSON.stringify(
        await api.post(
          'data-sources',
          dataSource(platform, 'refused', 'oss://lake/spark', { ...keys, accessKeySecret: wrongSecret }),
        ),
      ),
    );
    await expect
      .poll(async () => (await api.get('data-sources/refused')).environments.production.connectionState, { timeout: 40_000 })
      .toBe('failed');
    for (const path of [
      'data-sources',
      'data-sources/keyed',
      'data-sources/refused',
      'data-sources/refused/environments/production/connectivity-tests',
      'collection-runs',
      'tables?source=keyed',
      'changes?limit=1000',
    ])
      answers.push(JSON.stringify(await api.get(path)));

    const rows: string[] = [];
    const tables = await database<{ name: string }>(
      "select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname in ('public', 'local_queue')",
    );
    expect(tables.length).toBeGreaterThan(15);
    for (const { name } of tables)
      rows.push(...(await database<{ row: string }>(`select t::text as row from ${name} t`)).map(({ row }) => row));
    await database('checkpoint');
    const files = filesBelow(data).filter((file) => file !== join(data, 'credentials.json'));
    expect(files.some((file) => file.endsWith('platform.log'))).toBe(true);

    for (const secret of [accessKeySecret, wrongSecret]) {
      const forms = formsOf(secret);
      const holds = (text: Buffer | string) => forms.some((form) => text.includes(form));
      expect(answers.filter(holds)).toEqual([]);
      expect(rows.filter(holds)).toEqual([]);
      expect(holds(platform.output())).toBe(false);
      // Logs, database files, its write-ahead log: also what was deleted since.
      expect(files.filter((file) => holds(readFileSync(file)))).toEqual([]);
    }
    expect(rows.filter((row) => row.includes(apiToken))).toEqual([]);
  });
});

/** As it is, in hex, and in base64 at each of the three alignments. */
function formsOf(secret: string): string[] {
  const shifted = [0, 1, 2].map((shift) => {
    const text = Buffer.from('x'.repeat(shift) + secret).toString('base64');
    // The characters that mix with neighbours go.
    return text.slice(shift === 0 ? 0 : shift + 1, text.replace(/=+$/, '').length - 1);
  });
  return [secret, Buffer.from(secret).toString('hex'), ...shifted];
}
