import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readTable } from '../../../shared/paimon/table.ts';
import { type PlainObject, toDocument } from '../../../shared/paimon/table-document.ts';
import { withLiveHistory } from '../../../shared/store/live-history.ts';
import { getTableDocument } from '../../../shared/store/map-reads.ts';
import { collectionScene } from '../../support/collection.ts';

let scene: Awaited<ReturnType<typeof collectionScene>>;
beforeEach(async () => {
  scene = await collectionScene();
});
afterEach(() => scene.close());

const LIVE = ['liveFiles', 'liveFileSize', 'liveFileRowCount'] as const;
type Entry = Record<string, unknown>;

/** Of every table: what was filled in, each held against a full read of the warehouse. Returns how many were, of how many. */
async function compare(): Promise<{ filled: number; of: number }> {
  const count = { filled: 0, of: 0 };
  for (const table of await scene.tables()) {
    const document = await scene.db.database.tenant(scene.workspaceId, async (tx) =>
      withLiveHistory(tx, table.id, await getTableDocument(tx, table.id)),
    );
    const location = { warehousePrefix: 'wh/', database: table.database, table: table.name };
    const full: PlainObject = toDocument(await readTable(scene.store, location, { full: true }));
    const check = (entry: Entry, truth: Entry | undefined, what: string) => {
      count.of++;
      if (!('liveFiles' in entry)) return;
      count.filled++;
      // A full read cannot tell either where manifests are gone.
      if (truth && 'liveFiles' in truth)
        expect(
          LIVE.map((name) => entry[name]),
          `${table.name} ${what}`,
        ).toEqual(LIVE.map((name) => truth[name]));
    };
    const truths = new Map((full.snapshots as Entry[]).map((entry) => [entry.id, entry]));
    for (const entry of (document.snapshots ?? []) as Entry[]) check(entry, truths.get(entry.id), `snapshot ${entry.id}`);
    for (const [name, entry] of Object.entries((document.tags ?? {}) as Record<string, Entry>))
      check(entry, (full.tags as Record<string, Entry>)[name], `tag ${name}`);
  }
  return count;
}

describe('live files of earlier snapshots', () => {
  it('are what a full read finds, for real tables', async () => {
    await scene.copy('written-java-2.0.0/main/sales.db', 'sales.db');
    await scene.copy('written-java-2.0.0/main/risk.db', 'risk.db');
    await scene.copy('written-java-2.0.0/damaged/finance.db', 'finance.db');
    await scene.collect();
    const { filled, of } = await compare();
    console.log(`live files of ${filled} of ${of} snapshots and tags`);
    expect(filled).toBeGreaterThan(of / 2);
  });

  it('are right after a rollback and other commits of the same ids', async () => {
    await scene.copy('written-java-2.0.0/main/sales.db/accounts_large', 'd.db/t');
    const folder = join(scene.warehouse, 'd.db/t/snapshot');
    const all = new Map(
      readdirSync(folder)
        .filter((name) => name.startsWith('snapshot-'))
        .map((name) => [name, readFileSync(join(folder, name))]),
    );
    const newest = Math.max(...[...all.keys()].map((name) => Number(name.slice(9))));
    for (const upTo of [newest, newest - 2, newest]) {
      for (const [name, bytes] of all)
        if (Number(name.slice(9)) <= upTo) writeFileSync(join(folder, name), bytes);
        else if (existsSync(join(folder, name))) rmSync(join(folder, name));
      await scene.collect();
      const { filled } = await compare();
      expect(filled).toBeGreaterThan(2);
    }
  });

  it('are not told where a delta is unknown, or rows do not agree', async () => {
    await scene.copy('written-java-2.0.0/main/sales.db/accounts_large', 'd.db/t');
    await scene.collect();
    const whole = await compare();
    await scene.db.query(
      'update commit_ledger set rows_added = null, files_added = null, bytes_added = null where snapshot_id = 3',
    );
    const cut = await compare();
    expect(cut.filled).toBeLessThan(whole.filled);
    await scene.db.query('update commit_ledger set total_rows = total_rows + 1');
    expect((await compare()).filled).toBe(0);
  });
});
