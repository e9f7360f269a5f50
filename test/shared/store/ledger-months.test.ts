import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keepLedgerMonths, LEDGER_RETENTION_DAYS } from '../../../shared/store/timer-work.ts';
import { type TestDatabase, testDatabase, testWorkspace } from '../../support/postgres.ts';

let db: TestDatabase;
let tableId: string;
let workspaceId: number;
beforeEach(async () => {
  db = await testDatabase();
  workspaceId = await testWorkspace(db);
  const [table] = await db.query<{ id: string }>(
    `with source as (
       insert into data_source (workspace_id, id, name, external_id) values ($1, gen_random_uuid(), 's', 'x') returning id
     ), place as (
       insert into environment (workspace_id, id, data_source_id, name, region, warehouse)
       select $1, gen_random_uuid(), id, 'production', 'cn-hangzhou', 'oss://lake/wh' from source returning id
     ), home as (
       insert into catalog_database (workspace_id, environment_id, name) select $1, id, 'd' from place returning id, environment_id
     )
     insert into catalog_table (workspace_id, environment_id, database_id, name, type, comment, owner, primary_keys, partition_keys,
       merge_engine, schema_id, column_count, columns, options)
     select $1, environment_id, id, 't', 'table', null, null, '{}', '{}', null, 0, 0, '[]', '{}' from home returning id`,
    [workspaceId],
  );
  tableId = table!.id;
});
afterEach(() => db.close());

const months = async () =>
  (
    await db.query<{ name: string }>(
      `select inhrelid::regclass::text as name from pg_inherits where inhparent = 'commit_ledger'::regclass order by 1`,
    )
  )
    .map(({ name }) => name.replace('commit_ledger_', ''))
    .filter((name) => name !== 'rest');

async function commitAt(appliedAt: Date, snapshotId: number): Promise<void> {
  await db.query(
    `insert into commit_ledger (workspace_id, table_id, incarnation, branch, snapshot_id, identity, applied_at)
     values ($1, $2, 1, '', $3, 'i', $4)`,
    [workspaceId, tableId, snapshotId, appliedAt],
  );
}

const commits = async () =>
  (
    await db.query<{ place: string; id: string }>(
      'select tableoid::regclass::text as place, snapshot_id as id from commit_ledger order by 2',
    )
  ).map(({ place, id }) => `${id} in ${place.replace('commit_ledger_', '')}`);

const year = new Date().getUTCFullYear();
const later = (years: number, month: number, day: number) => new Date(Date.UTC(year + years, month - 1, day, 12));

describe('months of the ledger', () => {
  it('are made ahead of their time, and only once', async () => {
    const before = await months();
    expect(await keepLedgerMonths(db.database)).toEqual({ created: 0, dropped: 0 });
    expect(await months()).toEqual(before);
    // In the last months that the first migration made.
    const far = later(5, 11, 15);
    expect(await keepLedgerMonths(db.database, far)).toMatchObject({ created: 3 });
    expect(await keepLedgerMonths(db.database, far)).toEqual({ created: 0, dropped: 0 });
    expect((await months()).slice(-3)).toEqual([`${year + 5}11`, `${year + 5}12`, `${year + 6}01`]);
    await commitAt(later(6, 1, 31), 1);
    expect(await commits()).toEqual([`1 in ${year + 6}01`]);
  });

  it('go whole when their youngest commit is too old, not a day before', async () => {
    const [first] = await months();
    const begin = new Date(Date.UTC(Number(first!.slice(0, 4)), Number(first!.slice(4)) - 1, 1));
    const end = new Date(Date.UTC(begin.getUTCFullYear(), begin.getUTCMonth() + 1, 1));
    await commitAt(new Date(end.getTime() - 1), 1);
    await commitAt(end, 2);
    const day = 86_400_000;
    await keepLedgerMonths(db.database, new Date(end.getTime() + LEDGER_RETENTION_DAYS * day - 1));
    expect(await commits()).toHaveLength(2);
    expect(await keepLedgerMonths(db.database, new Date(end.getTime() + LEDGER_RETENTION_DAYS * day))).toMatchObject({
      dropped: 1,
    });
    expect((await commits()).map((each) => each[0])).toEqual(['2']);
    expect(await months()).not.toContain(first);
  });

  it('that come late take their commits from the last partition, whose own old ones go too', async () => {
    await commitAt(later(9, 3, 1), 1);
    await commitAt(later(4, 3, 1), 2);
    expect(await commits()).toEqual(['1 in rest', '2 in rest']);
    await keepLedgerMonths(db.database, later(9, 3, 2));
    expect(await commits()).toEqual([`1 in ${year + 9}03`]);
    // Rows keep drawing ids, and leave with their table.
    await commitAt(later(9, 3, 3), 3);
    const ids = await db.query<{ id: string }>('select id from commit_ledger order by snapshot_id');
    expect(BigInt(ids[1]!.id)).toBeGreaterThan(BigInt(ids[0]!.id));
    await db.query('delete from catalog_database');
    expect(await commits()).toEqual([]);
  });

  it('keep one workspace from seeing another, as the whole does', async () => {
    await keepLedgerMonths(db.database, later(5, 11, 15));
    await commitAt(later(5, 11, 16), 1);
    const other = await testWorkspace(db, 'other');
    const seen = (id: number) => db.database.tenant(id, (tx) => tx.query('select snapshot_id from commit_ledger'));
    expect(await seen(workspaceId)).toHaveLength(1);
    expect(await seen(other)).toEqual([]);
    await expect(db.database.tenant(workspaceId, (tx) => tx.query(`select * from commit_ledger_${year + 5}11`))).rejects.toThrow(
      /permission denied/,
    );
  });

  it('are no tenant’s business', async () => {
    await expect(
      db.database.tenant(workspaceId, (tx) => tx.query('select keep_commit_months(clock_timestamp(), 1)')),
    ).rejects.toThrow(/permission denied/);
  });

  it('wait for nobody: a lock that is held leaves them to the next minute', async () => {
    await db.database.system(async (tx) => {
      await tx.query('select 1 from commit_ledger limit 1');
      expect(await keepLedgerMonths(db.database, later(7, 1, 1))).toEqual({ created: 0, dropped: 0 });
    });
    expect(await keepLedgerMonths(db.database, later(7, 1, 1))).toMatchObject({ created: 3 });
  });
});
