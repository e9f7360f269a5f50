import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { QUEUES } from '../../../shared/messages.ts';
import { type LedgerRow, listCommits } from '../../../shared/store/commit-ledger.ts';
import { collectionScene } from '../../support/collection.ts';

const SALES = 'written-java-2.0.0/main/sales.db';
const LARGE = `${SALES}/accounts_large`;

let scene: Awaited<ReturnType<typeof collectionScene>>;
beforeEach(async () => {
  scene = await collectionScene();
});
afterEach(() => scene.close());

const snapshots = () => join(scene.warehouse, 'd.db/t/snapshot');

/** Leaves only these snapshots visible, as they are before later commits or after expiry; nothing else changes. */
function showOnly(all: Map<string, Buffer>, holds: (id: number) => boolean): void {
  for (const [name, bytes] of all)
    if (holds(Number(name.slice(9)))) writeFileSync(join(snapshots(), name), bytes);
    else rmSync(join(snapshots(), name), { force: true });
  for (const hint of ['LATEST', 'EARLIEST']) rmSync(join(snapshots(), hint), { force: true });
}

function allSnapshots(): Map<string, Buffer> {
  const names = readdirSync(snapshots()).filter((name) => name.startsWith('snapshot-'));
  names.sort((a, b) => Number(a.slice(9)) - Number(b.slice(9)));
  return new Map(names.map((name) => [name, readFileSync(join(snapshots(), name))]));
}

async function ledger(table: string, branch = ''): Promise<LedgerRow[]> {
  const found = (await scene.tables()).find((each) => `${each.database}.${each.name}` === table);
  return scene.db.database.tenant(scene.workspaceId, (tx) => listCommits(tx, found!.id, { branch, limit: 1_000 }));
}

/** The ledger in short: `3` a commit, `4-6 expired` a gap. */
const short = (rows: LedgerRow[]) =>
  rows.map((row) => (row.gapTo ? `${row.snapshotId}-${row.gapTo} ${row.gapCause}` : row.snapshotId));
const idsOf = (all: Map<string, Buffer>) => [...all.keys()].map((name) => name.slice(9));

describe('a first collection', () => {
  it('writes every commit that still exists, with sums that add up to what the writer says', async () => {
    await scene.copy(SALES, 'sales.db');
    await scene.copy('written-java-2.0.0/main/risk.db', 'risk.db');
    await scene.collect();
    let commits = 0;
    let whole = 0;
    for (const table of await scene.tables()) {
      const documents = await scene.db.query<{ ids: string[] }>(
        `select array(select jsonb_array_elements_text(document -> 'snapshotIds')) as ids from table_document where table_id = $1`,
        [table.id],
      );
      const rows = await ledger(`${table.database}.${table.name}`);
      const applied = rows.filter((row) => row.gapCause === null);
      expect(
        applied.map((row) => row.snapshotId),
        table.name,
      ).toEqual(documents[0]!.ids);
      for (const row of applied) {
        commits++;
        if (row.rowsAdded === null) continue;
        expect(BigInt(row.rowsAdded) - BigInt(row.rowsDeleted!), `${table.name} ${row.snapshotId}`).toBe(BigInt(row.deltaRows!));
      }
      if (rows[0]?.snapshotId !== '1' || rows.some((row) => row.rowsAdded === null)) continue;
      // From the first commit on, what the deltas add up to is what is there.
      const sum = (value: (row: LedgerRow) => string | null) => rows.reduce((total, row) => total + BigInt(value(row)!), 0n);
      const [state] = await scene.db.query('select file_count, size_bytes from table_state where table_id = $1', [table.id]);
      expect(state, table.name).toEqual({
        file_count: String(sum((row) => row.filesAdded) - sum((row) => row.filesDeleted)),
        size_bytes: String(sum((row) => row.bytesAdded) - sum((row) => row.bytesDeleted)),
      });
      whole++;
    }
    expect(commits).toBeGreaterThan(20);
    expect(whole).toBeGreaterThan(2);
    const feed = (await scene.feed()).filter((entry) => entry.startsWith('commit.applied'));
    expect(feed).toHaveLength(commits);
  });

  it('takes few requests more than the table itself: manifests are asked for once', async () => {
    await scene.copy(LARGE, 'd.db/t');
    const seen: string[] = [];
    const { store } = scene;
    scene.store = {
      ...store,
      get: (key, options) => {
        seen.push(key);
        return store.get(key, options);
      },
    };
    await scene.collect();
    const manifests = seen.filter((key) => key.includes('/manifest/'));
    expect(manifests.length).toBeGreaterThan(0);
    expect(new Set(manifests).size).toBe(manifests.length);
  });
});

describe('following a table', () => {
  it('adds each commit once, in order, however often the message comes', async () => {
    await scene.copy(LARGE, 'd.db/t');
    const all = allSnapshots();
    const ids = idsOf(all);
    for (const newest of [ids[1], ids[2], ids.at(-1)]) {
      showOnly(all, (id) => id <= Number(newest));
      await scene.request();
      await scene.drain({ times: 2 });
    }
    expect(short(await ledger('d.t'))).toEqual(ids);
    const fed = await scene.db.query<{ data: { snapshotId: string; tableId: string } }>(
      `select data from change_feed where type = 'commit.applied' order by sequence`,
    );
    expect(fed.map(({ data }) => data.snapshotId)).toEqual(ids);
  });

  it('says the same after one look at many commits as after a look at each', async () => {
    await scene.copy(LARGE, 'd.db/t');
    const all = allSnapshots();
    for (const name of all.keys()) {
      showOnly(all, (id) => id <= Number(name.slice(9)));
      await scene.collect();
    }
    const facts = ({ id: _, appliedAt: __, ...row }: LedgerRow) => row;
    const step = (await ledger('d.t')).map(facts);
    await scene.db.query('delete from catalog_database');
    expect(await scene.db.query('select 1 from commit_ledger')).toEqual([]);
    await scene.collect();
    expect((await ledger('d.t')).map(facts)).toEqual(step);
  });

  it('records what expired between two looks as a gap', async () => {
    await scene.copy(LARGE, 'd.db/t');
    const all = allSnapshots();
    const last = Number(idsOf(all).at(-1));
    showOnly(all, (id) => id <= 2);
    await scene.collect();
    showOnly(all, (id) => id >= 5);
    await scene.collect();
    const late = idsOf(all).filter((id) => Number(id) >= 5);
    expect(last).toBeGreaterThan(5);
    expect(short(await ledger('d.t'))).toEqual(['1', '2', '3-4 expired', ...late]);
    expect(await scene.feed()).toContain('commits.missed lake/production/d.t');
  });

  it('records what was gone before the first look as a gap, and one that vanished in the middle', async () => {
    await scene.copy(LARGE, 'd.db/t');
    const all = allSnapshots();
    showOnly(all, (id) => id === 2 || id === 4);
    await scene.collect();
    expect(short(await ledger('d.t'))).toEqual(['1-1 first-seen', '2', '3-3 missing', '4']);
  });

  it('goes back with a rollback, and takes the commits after it as new ones', async () => {
    await scene.copy(LARGE, 'd.db/t');
    const all = allSnapshots();
    showOnly(all, (id) => id <= 4);
    await scene.collect();
    showOnly(all, (id) => id <= 2);
    await scene.collect();
    expect(short(await ledger('d.t'))).toEqual(['1', '2', '3', '4']);
    const [entry] = await scene.db.query(`select data from change_feed where type = 'table.rolled-back'`);
    expect(entry).toMatchObject({ data: { fromSnapshotId: '4', toSnapshotId: '2' } });
    // Another commit takes the id.
    const other = JSON.parse(all.get('snapshot-3')!.toString());
    writeFileSync(join(snapshots(), 'snapshot-3'), JSON.stringify({ ...other, uuid: 'another-commit' }));
    await scene.collect();
    const rows = await ledger('d.t');
    expect(short(rows)).toEqual(['1', '2', '3', '4', '3']);
    expect(rows[2]!.identity).not.toBe(rows[4]!.identity);
    await scene.collect({ tables: [{ database: 'd', table: 't' }] });
    expect(await ledger('d.t')).toEqual(rows);
  });

  it('begins again with a table that was dropped and made again', async () => {
    await scene.copy(LARGE, 'd.db/t');
    await scene.collect();
    const before = (await ledger('d.t')).length;
    rmSync(join(scene.warehouse, 'd.db/t'), { recursive: true });
    await scene.copy('written-java-2.0.0/main/research.db/quotes_schema_ahead', 'd.db/t');
    const ids = idsOf(allSnapshots());
    await scene.collect();
    const rows = (await ledger('d.t')).slice(before);
    expect(short(rows)).toEqual(ids);
    expect(rows.every((row) => row.incarnation === 2)).toBe(true);
  });

  it('keeps when the object event happened that led there; a sweep has none', async () => {
    await scene.copy(LARGE, 'd.db/t');
    const all = allSnapshots();
    showOnly(all, (id) => id <= 2);
    await scene.collect();
    showOnly(all, (id) => id <= 3);
    const eventAt = '2026-11-24T01:02:03.000Z';
    const { workspaceId, environmentId } = scene;
    const data = { workspaceId, environmentId, tables: [{ database: 'd', table: 't' }], eventAt };
    await scene.deliver({ queueName: QUEUES.tableEvents, message: { type: 'table-collection.requested', data } });
    const rows = await ledger('d.t');
    expect(rows.map((row) => row.eventAt?.toISOString() ?? null)).toEqual([null, null, eventAt]);
    const [{ fed } = { fed: {} }] = await scene.db.query<{ fed: Record<string, unknown> }>(
      `select data as fed from change_feed where type = 'commit.applied' order by sequence desc limit 1`,
    );
    expect(fed).toEqual({
      tableId: expect.any(String),
      database: 'd',
      table: 't',
      snapshotId: '3',
      schemaId: rows[2]!.schemaId,
      commitKind: rows[2]!.commitKind,
      commitUser: rows[2]!.commitUser,
      commitIdentifier: rows[2]!.commitIdentifier,
      watermark: rows[2]!.watermark,
      timeMillis: rows[2]!.timeMillis,
      totalRows: rows[2]!.totalRows,
      deltaRows: rows[2]!.deltaRows,
      changelogRows: rows[2]!.changelogRows,
      rowsAdded: rows[2]!.rowsAdded,
      rowsDeleted: rows[2]!.rowsDeleted,
      filesAdded: Number(rows[2]!.filesAdded),
      filesDeleted: Number(rows[2]!.filesDeleted),
      bytesAdded: rows[2]!.bytesAdded,
      bytesDeleted: rows[2]!.bytesDeleted,
      partitionsTouched: rows[2]!.partitionsTouched,
      bucketsTouched: rows[2]!.bucketsTouched,
      eventAt,
    });
  });
});
