import { afterAll, beforeAll, expect, it } from 'vitest';
import { Secret } from '../../../shared/credentials/secret.ts';
import { Unreachable } from '../../../shared/errors.ts';
import { openDatabase } from '../../../shared/store/database.ts';
import { type TestDatabase, testDatabase, testWorkspace } from '../../support/postgres.ts';

let db: TestDatabase;
let workspace: number;
beforeAll(async () => {
  db = await testDatabase();
  workspace = await testWorkspace(db);
  await db.query('create table mark (n int)');
  await db.query('grant all on mark to datamap_system, datamap_tenant');
});
afterAll(() => db.close());

/** As a failover does: the server ends every other session of this database. */
const cutAll = () =>
  db.query(
    'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
  );
const marks = async () => (await db.query<{ n: number }>('select n from mark order by n')).map((row) => row.n);

it('goes on over new connections when the server closed the idle ones (F35)', async () => {
  const database = openDatabase(db.url, { maxConnections: 4 });
  try {
    for (let round = 0; round < 15; round++) {
      await Promise.all(Array.from({ length: 4 }, () => database.system((tx) => tx.query('select pg_sleep(0.002)'))));
      await cutAll();
      expect(await database.system((tx) => tx.query<{ one: number }>('select 1 as one')), `round ${round}`).toEqual([{ one: 1 }]);
    }
  } finally {
    await database.close();
  }
});

it('commits nothing of a transaction that was cut, and works again afterwards (F33)', async () => {
  const database = openDatabase(db.url);
  try {
    await expect(
      database.system(async (tx) => {
        await tx.query('insert into mark values (1)');
        await cutAll();
        await tx.query('insert into mark values (2)');
      }),
    ).rejects.toThrow();
    expect(await marks()).toEqual([]);
    await database.system((tx) => tx.query('insert into mark values (3)'));
    expect(await marks()).toEqual([3]);
  } finally {
    await database.close();
    await db.query('delete from mark');
  }
});

it('repeats both of two transactions that block each other, until both are done (F34)', async () => {
  await db.query('insert into mark values (10), (20)');
  const add = (first: number, second: number) =>
    db.database.system(async (tx) => {
      await tx.query('update mark set n = n + 1 where n / 10 = $1', [first]);
      await tx.query('select pg_sleep(0.05)');
      await tx.query('update mark set n = n + 1 where n / 10 = $1', [second]);
    });
  await Promise.all([add(1, 2), add(2, 1)]);
  expect(await marks()).toEqual([12, 22]);
  await db.query('delete from mark');
});

it('shows a workspace its own rows only, whatever a query forgets to say', async () => {
  const other = await testWorkspace(db, 'other');
  for (const id of [workspace, other])
    await db.database.tenant(id, (tx) => tx.query('insert into workspace_feed (workspace_id) values ($1)', [id]));
  expect(await db.database.tenant(other, (tx) => tx.query('select workspace_id from workspace_feed'))).toEqual([
    { workspace_id: other },
  ]);
  expect(await db.database.system((tx) => tx.query('select workspace_id from workspace_feed'))).toHaveLength(2);
});

it('says Unreachable, without the password, when there is no server', async () => {
  const database = openDatabase(new Secret('postgres://someone:hidden-word@127.0.0.1:1/none'));
  const failure: Error = await database.system(async () => {}).catch((error) => error);
  expect(failure).toBeInstanceOf(Unreachable);
  expect(`${failure.message} ${failure.stack} ${JSON.stringify(failure.cause)}`).not.toContain('hidden-word');
  await database.close();
});
