import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { announce, numberFeed, readChanges } from '../../../shared/store/change-feed.ts';
import { fence, takeLease } from '../../../shared/store/leases.ts';
import { type TestDatabase, testDatabase, testWorkspace } from '../../support/postgres.ts';

let db: TestDatabase;
let workspace: number;
let other: number;
beforeAll(async () => {
  db = await testDatabase({ maxConnections: 20 });
  workspace = await testWorkspace(db);
  other = await testWorkspace(db, 'other');
});
afterAll(() => db.close());

const read = (id: number, after: bigint, limit = 1_000) => db.database.tenant(id, async (tx) => readChanges(tx, after, limit));

it('numbers each workspace from 1 in order, and hides one from the other', async () => {
  for (const [id, subject] of [
    [workspace, 'a'],
    [other, 'b'],
    [workspace, 'c'],
  ] as const)
    await db.database.tenant(id, (tx) => announce(tx, { type: 'table.created', subject, data: { rows: '9007199254740993' } }));
  expect(await numberFeed(db.database)).toBe(3);
  expect(await read(workspace, 0n)).toMatchObject([
    { sequence: 1n, subject: 'a', data: { rows: '9007199254740993' } },
    { sequence: 2n, subject: 'c' },
  ]);
  expect(await read(other, 0n)).toMatchObject([{ sequence: 1n, subject: 'b' }]);
  expect(await numberFeed(db.database)).toBe(0);
});

it('gives no number to an entry whose transaction failed', async () => {
  const before = (await read(workspace, 0n)).length;
  await expect(
    db.database.tenant(workspace, async (tx) => {
      await announce(tx, { type: 'table.created', subject: 'never', data: {} });
      throw new Error('not committed');
    }),
  ).rejects.toThrow();
  await db.database.tenant(workspace, (tx) => announce(tx, { type: 'table.created', subject: 'next', data: {} }));
  await numberFeed(db.database);
  const entries = await read(workspace, 0n);
  expect(entries).toHaveLength(before + 1);
  expect(entries.at(-1)).toMatchObject({ subject: 'next', sequence: BigInt(before + 1) });
});

it('has no gap, no repeat and no table out of order under 16 writers and polling readers (P5)', async () => {
  const feed = await testWorkspace(db, 'busy');
  const environment = randomUUID();
  const writers = 16;
  const commits = 25;
  const tables = 5;
  let writing = true;

  // A reader with a cursor, as a consumer would poll: it must see every sequence once, in order.
  const seen: { sequence: bigint; table: number; n: number }[] = [];
  const reader = (async () => {
    let cursor = 0n;
    for (;;) {
      const last = !writing;
      await numberFeed(db.database);
      const page = await read(feed, cursor, 50);
      for (const entry of page) seen.push({ sequence: entry.sequence, ...(entry.data as { table: number; n: number }) });
      cursor = page.at(-1)?.sequence ?? cursor;
      if (last && page.length === 0) return;
    }
  })();

  const next = Array.from({ length: tables }, () => 0);
  let announced = 0;
  await Promise.all(
    Array.from({ length: writers }, async (_, writer) => {
      for (let i = 0; i < commits; i++) {
        const table = (writer * 7 + i) % tables;
        const fenced = await db.database.tenant(feed, async (tx) => {
          const lease = await takeLease(tx, environment, `db.t${table}-${writer}`, 'writer');
          // One lock for the table's writers; the transaction stays open for a moment after its entry is written.
          await tx.query('select pg_advisory_xact_lock($1)', [table]);
          if (lease && !(await fence(tx, lease))) return false;
          await announce(tx, { type: 'table.changed', subject: `t${table}`, data: { table, n: ++next[table]! } });
          await tx.query('select pg_sleep($1)', [Math.random() * 0.008]);
          return true;
        });
        if (fenced) announced++;
      }
    }),
  );
  writing = false;
  await reader;

  expect(announced).toBe(writers * commits);
  expect(seen.map((entry) => entry.sequence)).toEqual(Array.from({ length: announced }, (_, i) => BigInt(i + 1)));
  for (let table = 0; table < tables; table++) {
    const order = seen.filter((entry) => entry.table === table).map((entry) => entry.n);
    expect(order, `table ${table}`).toEqual(order.map((_, i) => i + 1));
  }
});
