import { afterAll, beforeAll, expect, it } from 'vitest';
import { appendCommits, type LedgerCommit } from '../../../shared/store/commit-ledger.ts';
import { datamap, serve } from '../../cli/command-line.ts';
import { dataSource, type Harness, startHarness } from './harness.ts';

const NAME = { database: 'sales', table: 'orders.v2' };
const EVENT_AT = new Date('2026-11-24T01:02:03.004Z');

let api: Harness;
let server: Awaited<ReturnType<typeof serve>>;
let tableId: string;
beforeAll(async () => {
  api = await startHarness();
  server = await serve(api);
  const made = await api.call('POST', '/data-sources', { body: dataSource('shop') });
  const environmentId = made.body.environments.production.id;
  const [row] = await api.db.query<{ public_id: string }>(
    `with home as (insert into catalog_database (workspace_id, environment_id, name) values ($1, $2, $3) returning id)
     insert into catalog_table (workspace_id, environment_id, database_id, name) select $1, $2, id, $4 from home returning public_id`,
    [api.workspaces.default, environmentId, NAME.database, NAME.table],
  );
  tableId = row!.public_id;
  const place = { environmentId, dataSourceName: 'shop', environment: 'production' };
  const gap = { from: 1n, to: 41n, cause: 'first-seen' } as const;
  const append = {
    branch: '',
    before: undefined,
    entries: [gap, ...Array.from({ length: 7 }, (_, i) => commit(42n + BigInt(i)))],
  };
  const branch = { branch: 'audit', before: undefined, entries: [commit(42n)] };
  await api.db.database.tenant(api.workspaces.default, (tx) => appendCommits(tx, place, NAME, [append, branch], EVENT_AT));
});
afterAll(async () => {
  await server.close();
  await api.close();
});

const commit = (snapshotId: bigint): LedgerCommit => ({
  snapshotId,
  identity: `${snapshotId}/x`,
  schemaId: 3n,
  commitKind: 'APPEND',
  commitUser: 'writer\u202e',
  commitIdentifier: 9223372036854775807n,
  watermark: null,
  timeMillis: 1_763_000_000_000n,
  totalRows: 9007199254740993n,
  deltaRows: 5n,
  changelogRows: null,
  delta:
    snapshotId === 42n
      ? null
      : {
          rowsAdded: 7n,
          rowsDeleted: 2n,
          filesAdded: 2,
          filesDeleted: 1,
          bytesAdded: 4096n,
          bytesDeleted: 1024n,
          partitionsTouched: 1,
          bucketsTouched: 2,
        },
});

it('answers the ledger oldest first, the same at any page size', async () => {
  const whole = await api.call('GET', `/tables/${tableId}/commits`, { as: 'viewer' });
  expect(whole.status, whole.text).toBe(200);
  expect(whole.body.items).toHaveLength(8);
  expect(whole.body.items[0]).toMatchObject({
    gap: { fromSnapshotId: '1', toSnapshotId: '41', cause: 'first-seen' },
    snapshotId: null,
    eventAt: null,
  });
  expect(whole.body.items[1]).toMatchObject({ snapshotId: '42', rowsAdded: null, commitIdentifier: '9223372036854775807' });
  expect(whole.body.items[2]).toMatchObject({
    gap: null,
    snapshotId: '43',
    totalRows: '9007199254740993',
    rowsAdded: '7',
    filesDeleted: '1',
    bucketsTouched: 2,
    eventAt: EVENT_AT.toISOString(),
  });
  const paged = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page = await api.call('GET', `/tables/${tableId}/commits?limit=3${cursor && `&cursor=${cursor}`}`);
    paged.push(...page.body.items);
    cursor = page.body.nextCursor;
  }
  expect(paged).toEqual(whole.body.items);
  const audit = await api.call('GET', `/tables/${tableId}/commits?branch=audit`);
  expect(audit.body.items.map((item: { snapshotId: string }) => item.snapshotId)).toEqual(['42']);
  expect((await api.call('GET', `/tables/${tableId}/commits`, { as: 'stranger' })).status).not.toBe(200);
  expect((await api.call('GET', `/tables/${tableId}/commits?cursor=WyJ4Il0`)).status).toBe(400);
});

it('prints the ledger on the command line', async () => {
  const call = (args: string[]) => datamap(args, { DATAMAP_URL: server.url, DATAMAP_TOKEN: api.tokens.viewer });
  const ran = await call(['commits', 'shop', 'sales.orders.v2', '--json']);
  expect(ran.code, ran.err).toBe(0);
  const lines = ran.out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines[0]).toMatchObject({ gap: { fromSnapshotId: 1, toSnapshotId: 41, cause: 'first-seen' } });
  expect(lines[2]).toMatchObject({
    snapshotId: 43,
    schemaId: 3,
    commitKind: 'APPEND',
    commitIdentifier: '9223372036854775807',
    timeMillis: 1_763_000_000_000,
    eventAtMillis: EVENT_AT.getTime(),
    appliedAtMillis: expect.any(Number),
    rowsAdded: 7,
    rowsDeleted: 2,
    filesAdded: 2,
    bytesDeleted: 1024,
  });
  expect(ran.out).not.toContain('\u202e');
  const human = await call(['commits', 'shop', 'sales.orders.v2']);
  expect(human.out).toContain('1-41');
  expect(human.out).toContain('not seen: first-seen');
  expect(human.out).toContain('writer\\u{202e}');
  expect((await call(['commits', 'shop', 'sales.orders.v2', '--branch', 'none'])).out).toBe('No commits.\n');
  expect((await call(['commits', 'shop', 'sales.nothing'])).code).toBe(2);
});
