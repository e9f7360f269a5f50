import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { packMemory, readWithMemory, type TableMemory, unpackMemory } from '../../../functions/collect-tables/table-memory.ts';
import { type Doubt, MISMATCHES } from '../../../shared/paimon/follow.ts';
import { readTable } from '../../../shared/paimon/table.ts';
import { toDocument } from '../../../shared/paimon/table-document.ts';
import { fixtureWarehouses } from '../../fixtures/unpack.ts';
import { MemoryStore } from '../../shared/paimon/memory-store.ts';
import { TableWriter, type WrittenFile } from '../../shared/paimon/write-table.ts';
import { collectionScene, rowVersions } from '../../support/collection.ts';

vi.setConfig({ testTimeout: 300_000 });

const LOCATION = { warehousePrefix: 'wh/', database: 'd', table: 't' };
const ROOT = 'wh/d.db/t/';

/** Looks at one table again and again, as the function does, and holds each look against a whole read. */
function follower(store: MemoryStore) {
  let memory: TableMemory | undefined;
  return async (options: { isCheck?: boolean } = {}) => {
    store.requests.length = 0;
    const read = await readWithMemory(store, LOCATION, memory, options);
    const requests = [...store.requests];
    const whole = await readTable(store, LOCATION);
    expect(toDocument(read.metadata)).toEqual(toDocument(whole));
    expect(read.metadata).toEqual(whole);
    memory = unpackMemory(packMemory(read.left)!);
    return {
      isFollowed: read.following.followed.has(''),
      doubt: read.following.doubts.get(''),
      gets: requests.filter((request) => request.startsWith('get ')).map((request) => request.slice(4 + ROOT.length)),
      live: read.metadata.live,
    };
  };
}

function hints(store: MemoryStore): void {
  const ids = [...store.objects.keys()]
    .flatMap((key) => /^wh\/d\.db\/t\/snapshot\/snapshot-(\d+)$/.exec(key)?.[1] ?? [])
    .map(Number);
  for (const [name, id] of [['EARLIEST', Math.min(...ids)] as const, ['LATEST', Math.max(...ids)] as const])
    if (ids.length > 0) store.put(`${ROOT}snapshot/${name}`, String(id));
    else store.objects.delete(`${ROOT}snapshot/${name}`);
}

/** Every table of the fixtures and the sample with more than one snapshot, by the folder that it lies in. */
async function tablesWithHistory(): Promise<string[]> {
  const found: string[] = [];
  const look = (dir: string): void => {
    if (dir.endsWith('/snapshot')) {
      if (readdirSync(dir).filter((name) => /^snapshot-\d+$/.test(name)).length > 1)
        found.push(dir.slice(0, -'/snapshot'.length));
      return;
    }
    for (const entry of readdirSync(dir, { withFileTypes: true }))
      if (entry.isDirectory() && !/^(branch|manifest|bucket-.*)$/.test(entry.name)) look(join(dir, entry.name));
  };
  look(await fixtureWarehouses());
  look('sample/warehouse');
  return found;
}

/** Metadata only: what follows commits does not look at data. */
function load(folder: string, store: MemoryStore): void {
  for (const part of readdirSync(folder)) {
    if (!/^(schema|snapshot|manifest|tag|branch|consumer|changelog|statistics)$/.test(part)) continue;
    for (const name of readdirSync(join(folder, part), { recursive: true, encoding: 'utf8' })) {
      const file = join(folder, part, name);
      if (statSync(file).isFile()) store.put(`${ROOT}${part}/${name}`, readFileSync(file));
    }
  }
}

describe('real tables, snapshot by snapshot', () => {
  it('are the same after each commit as after a whole read, and mostly followed', async () => {
    const outcomes = new Map<string, number>();
    const tables = await tablesWithHistory();
    expect(tables.length).toBeGreaterThan(40);
    for (const folder of tables) {
      const store = new MemoryStore();
      load(folder, store);
      const prefix = `${ROOT}snapshot/snapshot-`;
      const snapshots = [...store.objects].filter(([key]) => key.startsWith(prefix));
      snapshots.sort(([a], [b]) => Number(a.slice(prefix.length)) - Number(b.slice(prefix.length)));
      for (const [key] of snapshots) store.objects.delete(key);
      hints(store);
      const look = follower(store);
      const note = ({ isFollowed, doubt }: { isFollowed: boolean; doubt: Doubt | undefined }) => {
        const outcome = isFollowed ? 'followed' : (doubt ?? 'nothing known');
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        // One of the damaged tables claims rows that it does not have.
        if (doubt && MISMATCHES.has(doubt)) expect(folder).toContain('/damaged/');
      };
      for (const [key, bytes] of snapshots) {
        store.put(key, bytes);
        hints(store);
        note(await look());
      }
      // Two at once after a rollback, the oldest expired, then back to the first alone.
      for (const [key] of snapshots.slice(-2)) store.objects.delete(key);
      hints(store);
      await look();
      for (const [key, bytes] of snapshots) store.put(key, bytes);
      store.objects.delete(snapshots[0]![0]);
      hints(store);
      note(await look());
      for (const [key] of snapshots.slice(1)) store.objects.delete(key);
      store.put(...snapshots[0]!);
      hints(store);
      await look();
    }
    console.log('looks at real tables:', Object.fromEntries(outcomes));
    const looks = [...outcomes.values()].reduce((a, b) => a + b, 0);
    expect(outcomes.get('followed')!).toBeGreaterThan((looks - outcomes.get('nothing known')!) / 2);
  });
});

/** A table that a model of writers works on. */
class Model {
  readonly store = new MemoryStore();
  readonly writer = new TableWriter(this.store, ROOT);
  #snapshots: { id: number; base: ReturnType<TableWriter['manifest']>[]; live: WrittenFile[] }[] = [];
  #files = 0;
  #clock = 1_000;
  #schemas = 0;

  constructor() {
    this.#create();
  }

  #create(): void {
    this.writer.schema(0, { timeMillis: this.#clock++ });
    this.#schemas = 1;
  }

  get #last() {
    return this.#snapshots.at(-1) ?? { id: 0, base: [], live: [] };
  }

  #file(partition: string, bucket: number, clock: number, totalBuckets: number): WrittenFile {
    const name = `data-${this.#files++}.${this.#files % 5 === 0 ? 'orc' : 'parquet'}`;
    return {
      name,
      partition,
      bucket,
      level: this.#files % 3,
      size: 100 + this.#files,
      rows: 1 + (this.#files % 7),
      totalBuckets,
      creation: clock,
      deleteRows: this.#files % 2,
    };
  }

  commit(entries: WrittenFile[], over: Record<string, unknown> = {}): void {
    const { id, base, live } = this.#last;
    const delta = entries.length > 0 ? [this.writer.manifest(entries)] : [];
    const gone = new Set(entries.flatMap((file) => (file.kind === 1 ? [file.name] : [])));
    const now = [...live.filter((file) => !gone.has(file.name)), ...entries.filter((file) => file.kind !== 1)];
    this.#put(id + 1, base, delta, now, live, over);
  }

  #put(
    id: number,
    base: ReturnType<TableWriter['manifest']>[],
    delta: ReturnType<TableWriter['manifest']>[],
    now: WrittenFile[],
    before: WrittenFile[],
    over: Record<string, unknown>,
  ): void {
    const rows = (files: WrittenFile[]) => files.reduce((sum, file) => sum + Number(file.rows), 0);
    const [baseList, deltaList] = [this.writer.list(base), this.writer.list(delta)];
    const snapshot = {
      version: 3,
      id,
      schemaId: this.#schemas - 1,
      baseManifestList: baseList.name,
      baseManifestListSize: baseList.size,
      deltaManifestList: deltaList.name,
      deltaManifestListSize: deltaList.size,
      commitUser: 'model',
      commitIdentifier: id,
      commitKind: 'APPEND',
      timeMillis: this.#clock,
      totalRecordCount: rows(now),
      deltaRecordCount: rows(now) - rows(before),
      ...over,
    };
    this.store.put(`${ROOT}snapshot/snapshot-${id}`, JSON.stringify(snapshot));
    this.#snapshots.push({ id, base: [...base, ...delta], live: now });
    hints(this.store);
  }

  append(count: number, partition: string, totalBuckets = 2): void {
    this.#clock += count % 2;
    this.commit(
      Array.from({ length: count }, (_, i) => this.#file(partition, i % totalBuckets, this.#clock - (i % 2), totalBuckets)),
    );
  }

  /** Some live files become one new; `keepsClock`: with the time of an older one. */
  compact(pick: number, keepsClock: boolean): void {
    const victims = this.#last.live
      .filter((_, i) => (i + pick) % 2 === 0)
      .filter((file, _, all) => file.partition === all[0]!.partition);
    if (victims.length === 0) return;
    const first = victims[0]!;
    this.commit(
      [
        ...victims.map((file) => ({ ...file, kind: 1 as const })),
        this.#file(first.partition!, first.bucket!, keepsClock ? first.creation! - 1 : ++this.#clock, first.totalBuckets!),
      ],
      { commitKind: 'COMPACT' },
    );
  }

  drop(pick: number): void {
    const { live } = this.#last;
    const partition = live[pick % Math.max(1, live.length)]?.partition;
    this.commit(
      live.filter((file) => file.partition === partition).map((file) => ({ ...file, kind: 1 as const })),
      { commitKind: 'OVERWRITE' },
    );
  }

  remove(pick: number): void {
    const { live } = this.#last;
    const file = live[pick % Math.max(1, live.length)];
    if (file) this.commit([{ ...file, kind: 1 }], { commitKind: 'OVERWRITE' });
  }

  /** Manifests are merged: the base holds the live files alone, the delta nothing. */
  merge(): void {
    const { id, live } = this.#last;
    this.#put(id + 1, live.length > 0 ? [this.writer.manifest(live)] : [], [], live, live, { commitKind: 'COMPACT' });
  }

  /** A repair that takes live files without saying so, as some writers do. */
  repair(pick: number): void {
    const { id, live } = this.#last;
    const left = live.filter((_, i) => i !== pick % Math.max(1, live.length));
    this.#put(id + 1, left.length > 0 ? [this.writer.manifest(left)] : [], [], left, live, {
      commitKind: 'OVERWRITE',
      deltaRecordCount: 0,
    });
  }

  analyze(): void {
    this.commit([], { commitKind: 'ANALYZE' });
  }

  rollback(count: number): void {
    for (const { id } of this.#snapshots.splice(-Math.min(count, this.#snapshots.length - 1 || 1)))
      this.store.objects.delete(`${ROOT}snapshot/snapshot-${id}`);
    hints(this.store);
  }

  expire(count: number): void {
    for (const { id } of this.#snapshots.splice(0, Math.min(count, this.#snapshots.length - 1)))
      this.store.objects.delete(`${ROOT}snapshot/snapshot-${id}`);
    hints(this.store);
  }

  recreate(): void {
    for (const key of [...this.store.objects.keys()]) if (!key.includes('/manifest/')) this.store.objects.delete(key);
    this.#snapshots = [];
    this.#create();
  }

  alter(): void {
    this.writer.schema(this.#schemas++, { options: { changed: String(this.#clock++) } });
  }

  tag(pick: number): void {
    const snapshot = this.#snapshots[pick % Math.max(1, this.#snapshots.length)];
    const bytes = snapshot && this.store.objects.get(`${ROOT}snapshot/snapshot-${snapshot.id}`);
    if (bytes) this.store.put(`${ROOT}tag/tag-${pick % 3}`, bytes);
  }

  lie(rows: number): void {
    this.commit([this.#file('p', 0, ++this.#clock, 2)], { totalRecordCount: 1_000 + rows });
  }
}

const partition = fc.constantFrom('a', 'b', 'c');
const small = fc.nat(9);
const OPERATIONS = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.tuple(fc.constant('append' as const), fc.integer({ min: 1, max: 4 }), partition, fc.constantFrom(2, 2, 2, 4)),
  },
  { weight: 4, arbitrary: fc.tuple(fc.constant('compact' as const), small, fc.boolean()) },
  { weight: 2, arbitrary: fc.tuple(fc.constantFrom('drop' as const, 'remove' as const, 'tag' as const), small) },
  { weight: 2, arbitrary: fc.tuple(fc.constantFrom('merge' as const, 'analyze' as const, 'alter' as const)) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom('rollback' as const, 'expire' as const), fc.integer({ min: 1, max: 3 })) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom('repair' as const, 'lie' as const), small) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('recreate' as const)) },
);

describe('whatever writers do', () => {
  it('a table that is followed is the same as one that is read whole', async () => {
    const outcomes = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(OPERATIONS, fc.boolean()), { minLength: 5, maxLength: 30 }), async (steps) => {
        const model = new Model();
        const look = follower(model.store);
        await look();
        for (const [[name, ...values], looks] of steps) {
          // biome-ignore lint/suspicious/noExplicitAny: each operation comes with its own parameters
          (model[name] as (...values: any[]) => void).apply(model, values);
          if (!looks) continue;
          const { isFollowed, doubt } = await look();
          const outcome = isFollowed ? 'followed' : (doubt ?? 'nothing known');
          outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        }
        await look();
      }),
      { numRuns: 300 },
    );
    console.log('looks at made tables:', Object.fromEntries(outcomes));
    for (const outcome of ['followed', 'not-there', 'rows-differ', 'newest-file-deleted', 'bucket-count-deleted'])
      expect(outcomes.get(outcome), outcome).toBeGreaterThan(10);
  });
});

describe('a usual commit', () => {
  it('costs four GETs: the snapshot, its two lists, its manifest', async () => {
    const model = new Model();
    for (let i = 0; i < 20; i++) model.append(2, 'a');
    const look = follower(model.store);
    await look();
    model.append(3, 'b');
    const { isFollowed, gets } = await look();
    expect(isFollowed).toBe(true);
    expect(gets.sort()).toEqual([
      expect.stringMatching(/^manifest\/manifest-\d+$/),
      expect.stringMatching(/^manifest\/manifest-list-/),
      expect.stringMatching(/^manifest\/manifest-list-/),
      'snapshot/snapshot-21',
    ]);
    // Nothing new: nothing is asked for.
    expect((await look()).gets).toEqual([]);
  });

  it('is not added to sums that were wrong: a check finds them, and the next look is right', async () => {
    const model = new Model();
    model.append(3, 'a');
    const read = await readWithMemory(model.store, LOCATION, undefined);
    read.left.live.get('')!.sums.externalPathFiles = 7;
    const checked = await readWithMemory(model.store, LOCATION, read.left, { isCheck: true });
    expect(checked.following.doubts.get('')).toBe('sums-differ');
    expect(toDocument(checked.metadata)).toEqual(toDocument(await readTable(model.store, LOCATION)));
    expect(checked.left.live.get('')!.sums.externalPathFiles).toBe(0);
  });
});

describe('the function', () => {
  it('follows, counts what it followed, and a whole read finds nothing to write', async () => {
    const scene = await collectionScene();
    try {
      await scene.copy('written-java-2.0.0/main/sales.db', 'sales.db');
      const folders = readdirSync(join(scene.warehouse, 'sales.db')).map((name) =>
        join(scene.warehouse, 'sales.db', name, 'snapshot'),
      );
      const held = new Map<string, Buffer>();
      for (const folder of folders.filter((folder) => existsSync(folder)))
        for (const name of readdirSync(folder).filter((each) => /^(snapshot-([3-9]|\d\d+)|LATEST|EARLIEST)$/.test(each))) {
          if (name.startsWith('snapshot-')) held.set(join(folder, name), readFileSync(join(folder, name)));
          rmSync(join(folder, name));
        }
      await scene.collect();
      const idOf = (file: string) => Number(file.split('-').at(-1));
      for (const id of new Set([...held.keys()].map(idOf).sort((a, b) => a - b))) {
        for (const [file, bytes] of held) if (idOf(file) === id) writeFileSync(file, bytes);
        expect(await scene.collect()).toMatchObject({ phase: 'done', failed: 0 });
      }
      const [counts] = await scene.db.query<{ followed: number; whole: number }>(
        `select sum(followed)::int as followed, (select count(*)::int from table_memory, jsonb_each(read_whole)) as whole from table_memory`,
      );
      expect(counts!.followed).toBeGreaterThan(10);

      const content = ['table_document', 'table_partition', 'table_search', 'commit_ledger', 'commit_position'];
      const before = await rowVersions(scene.db, content);
      const tables = (await scene.tables()).map(({ database, name }) => ({ database, table: name }));
      expect(await scene.collect({ tables })).toMatchObject({ phase: 'done', read: tables.length });
      expect(await rowVersions(scene.db, content)).toEqual(before);
      expect((await scene.feed()).filter((entry) => entry.startsWith('table.recounted'))).toEqual([]);
    } finally {
      await scene.close();
    }
  });

  it('announces sums that a whole read finds to be wrong, and heals them', async () => {
    const scene = await collectionScene();
    try {
      await scene.copy('written-java-2.0.0/main/sales.db/accounts_large', 'd.db/t');
      await scene.collect();
      const [row] = await scene.db.query<{ content: Buffer }>('select content from table_memory');
      const memory = unpackMemory(row!.content)!;
      memory.live.get('')!.sums.externalPathFiles++;
      await scene.db.query('update table_memory set content = $1', [packMemory(memory)]);
      await scene.collect({ tables: [{ database: 'd', table: 't' }] });
      expect(await scene.feed()).toContain('table.recounted lake/production/d.t');
      const [after] = await scene.db.query<{ content: Buffer; read_whole: object }>(
        'select content, read_whole from table_memory',
      );
      expect(after!.read_whole).toEqual({ 'sums-differ': 1 });
      expect(unpackMemory(after!.content)!.live).toEqual(unpackMemory(row!.content)!.live);
    } finally {
      await scene.close();
    }
  });
});
