import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Deps, run } from '../../functions/collect-tables/handler.ts';
import { AccessDenied, Unreachable } from '../../shared/errors.ts';
import { QUEUES, TableCollectionRequested } from '../../shared/messages.ts';
import { openDirectoryStore } from '../../shared/object-store/directory.ts';
import { readTable } from '../../shared/paimon/table.ts';
import { toDocument } from '../../shared/paimon/table-document.ts';
import { collectionScene, rowVersions } from '../support/collection.ts';

const MAP = [
  'catalog_database',
  'catalog_table',
  'table_document',
  'table_partition',
  'table_search',
  'change_feed',
  'feed_outbox',
] as const;
const ORC = 'paimon-cpp-orc/multi_partition_append_table.db/multi_partition_append_table';
const EVOLVED = 'written-java-2.0.0/main/research.db/quotes_schema_ahead';
const WRITTEN = 'written-java-2.0.0/main';

let scene: Awaited<ReturnType<typeof collectionScene>>;
beforeEach(async () => {
  scene = await collectionScene();
});
afterEach(() => scene.close());

const at = (...path: string[]) => join(scene.warehouse, ...path);

/** Takes the newest file of a numbered folder away; the function that is returned brings it back. */
function withhold(folder: string, prefix: string): () => void {
  const newest = readdirSync(folder)
    .filter((name) => name.startsWith(prefix))
    .sort((a, b) => Number(a.slice(prefix.length)) - Number(b.slice(prefix.length)))
    .at(-1)!;
  const bytes = readFileSync(join(folder, newest));
  rmSync(join(folder, newest));
  // Hints are best-effort; one that points to nothing would be a remark on the table.
  rmSync(join(folder, 'LATEST'), { force: true });
  return () => writeFileSync(join(folder, newest), bytes);
}

describe('a first collection', () => {
  it('puts every table of the warehouse into the map, with what a direct read says of it', async () => {
    await scene.copy(`${WRITTEN}/sales.db`, 'sales.db');
    await scene.copy(`${WRITTEN}/risk.db`, 'risk.db');
    await scene.copy(`${WRITTEN}/research.db`, '研究.db');
    const run = await scene.collect();
    expect(run).toMatchObject({ phase: 'done', error_code: null, queued: 0, failed: 0, unchanged: 0 });
    const tables = await scene.tables();
    expect(run.tables_found).toBe(tables.length);
    expect(tables.length).toBeGreaterThan(10);

    const store = openDirectoryStore(join(scene.warehouse, '..'));
    for (const table of tables) {
      const location = { warehousePrefix: 'wh/', database: table.database, table: table.name };
      const read = JSON.parse(JSON.stringify(toDocument(await readTable(store, location))));
      const [stored] = await scene.db.query<{ document: Record<string, unknown> }>(
        'select document from table_document where table_id = $1',
        [table.id],
      );
      const rows = await scene.db.query<{ branch: string; entry: { hex: string } }>(
        `select branch, jsonb_build_object('partition', spec, 'path', path, 'hex', partition_key, 'files', file_count, 'size', size_bytes,
           'records', row_count) || detail as entry from table_partition where table_id = $1`,
        [table.id],
      );
      const { partitions, branches, ...document } = read;
      const { branches: storedBranches, ...rest } = stored!.document as { branches?: Record<string, object> };
      expect(rest, table.name).toEqual(document);
      const sorted = <T extends { hex: string }>(list: T[]) => list.toSorted((a, b) => (a.hex < b.hex ? -1 : 1));
      const main = rows.filter((row) => row.branch === '').map((row) => row.entry);
      expect(sorted(main), table.name).toEqual(sorted(partitions ?? []));
      for (const [name, branch] of Object.entries<{ partitions?: { hex: string }[] } | null>(branches ?? {})) {
        const { partitions: ofBranch, ...view } = branch!;
        expect(storedBranches?.[name]).toEqual(view);
        const entries = rows.filter((row) => row.branch === name).map((row) => row.entry);
        expect(sorted(entries)).toEqual(sorted(ofBranch ?? []));
      }
    }
    const feed = await scene.feed();
    expect(feed.filter((entry) => entry.startsWith('table.found'))).toHaveLength(tables.length);
    expect(feed).toContain('database.found lake/production/研究');
  });

  it('keeps 64-bit numbers exact', async () => {
    await scene.copy(ORC, 'd.db/t');
    await scene.collect();
    const [row] = await scene.db.query<{ identifier: unknown }>(
      `select document -> 'latestSnapshot' ->> 'commitIdentifier' as identifier from table_document`,
    );
    expect(row!.identifier).toBe('9223372036854775807');
  });

  it('reads names that JavaScript treats specially', async () => {
    for (const name of ['__proto__', 'constructor', "it's", 'a b', '%2F', '😀']) {
      await scene.copy(`${WRITTEN}/research.db/quotes_schema_ahead`, `__proto__.db/${name}`);
      const file = at('__proto__.db', name, 'schema', 'schema-0');
      const schema = JSON.parse(readFileSync(file, 'utf8'));
      schema.fields[0].name = '__proto__';
      writeFileSync(file, JSON.stringify(schema).replace('"options":{', '"options":{"__proto__":"x","toString":"y",'));
    }
    const run = await scene.collect();
    expect(run).toMatchObject({ phase: 'done', read: 6, failed: 0 });
    const tables = await scene.tables();
    expect(tables.map((table) => table.name).sort()).toEqual(['%2F', '__proto__', 'a b', 'constructor', "it's", '😀']);
    expect(({} as { x?: string }).x).toBeUndefined();
  });

  it('is refused while the gate is closed, and reads nothing', async () => {
    await scene.copy(ORC, 'd.db/t');
    await scene.db.query(`update environment set connection_state = 'failed'`);
    const run = await scene.collect();
    expect(run).toMatchObject({ phase: 'failed', error_code: 'gate-closed' });
    expect(run.error_message).toMatch(/production/);
    expect(scene.meter).toEqual({ lists: 0, gets: 0, heads: 0, bytesRead: 0 });
  });

  it('leaves out what the scope leaves out, strays and folders that are no tables', async () => {
    await scene.copy(`${WRITTEN}/logistics.db`, 'logistics.db');
    await scene.copy(ORC, 'd.db/t');
    await scene.copy(ORC, 'd.db/t_tmp');
    await scene.copy(ORC, 'scratch.db/t');
    mkdirSync(at('no_database'));
    await scene.db.query(`update environment set scope = '{"include":[],"exclude":["scratch","*.*_tmp"]}'`);
    const run = await scene.collect();
    expect(run.phase).toBe('done');
    const names = (await scene.tables()).map((table) => `${table.database}.${table.name}`);
    expect(names).toContain('d.t');
    expect(names).toContain('logistics.sensors_plain');
    expect(names).not.toContain('logistics._tmp');
    expect(names.filter((name) => name.startsWith('scratch') || name.endsWith('_tmp'))).toEqual([]);
    expect(run.tables_found).toBe(names.length);
  });
});

describe('a second collection', () => {
  it('of an unchanged warehouse writes nothing but times and asks one request a table', async () => {
    await scene.copy(`${WRITTEN}/sales.db`, 'sales.db');
    await scene.copy(`${WRITTEN}/risk.db`, 'risk.db');
    const first = await scene.collect();
    const before = await rowVersions(
      scene.db,
      MAP.filter((table) => table !== 'catalog_database'),
    );
    const state = await scene.db.query(`select to_jsonb(s) - 'collected_at' as s from table_state s order by table_id`);
    const second = await scene.collect();
    expect(second).toMatchObject({ phase: 'done', read: 0, failed: 0, unchanged: first.tables_found });
    expect(second.requests).toBe(first.tables_found);
    expect(second.plan_requests).toBe(3);
    expect(await rowVersions(scene.db, Object.keys(before))).toEqual(before);
    expect(await scene.db.query(`select to_jsonb(s) - 'collected_at' as s from table_state s order by table_id`)).toEqual(state);
  });

  it('reads a table with a new snapshot, and only that', async () => {
    await scene.copy(ORC, 'd.db/t');
    await scene.copy(ORC, 'd.db/other');
    const commit = withhold(at('d.db/t/snapshot'), 'snapshot-');
    await scene.collect();
    const [earlier] = await scene.tables().then((tables) => tables.filter((table) => table.name === 't'));
    expect(earlier!.snapshot_id).toBe('2');
    commit();
    expect(await scene.collect()).toMatchObject({ read: 1, unchanged: 1 });
    const [later] = await scene.tables().then((tables) => tables.filter((table) => table.name === 't'));
    expect(later!.snapshot_id).toBe('3');
    expect(later!.row_count).toBe('10');
    expect((await scene.feed()).slice(-2)).toEqual(['table.changed lake/production/d.t', 'commit.applied lake/production/d.t']);
  });

  it('sees a new schema without a commit', async () => {
    await scene.copy(EVOLVED, 'd.db/t');
    const alter = withhold(at('d.db/t/schema'), 'schema-');
    await scene.collect();
    const [before] = await scene.tables();
    alter();
    expect(await scene.collect()).toMatchObject({ read: 1 });
    const [after] = await scene.tables();
    expect(Number(after!.schema_id)).toBe(Number(before!.schema_id) + 1);
    expect(await scene.feed()).toContain('schema.changed lake/production/d.t');
    expect((await scene.feed()).filter((entry) => entry.startsWith('table.changed'))).toEqual([]);
  });

  it('writes only the partitions that are different, and deletes those that are gone', async () => {
    await scene.copy(`${WRITTEN}/sales.db/accounts_large`, 'd.db/t');
    const commits = [0, 1, 2, 3, 4].map(() => withhold(at('d.db/t/snapshot'), 'snapshot-'));
    await scene.collect();
    const versions = async () => {
      const rows = await scene.db.query<{ content: string; v: string }>(
        'select to_jsonb(p)::text as content, xmin::text as v from table_partition p order by partition_key',
      );
      return new Map(rows.map((row) => [row.content, row.v]));
    };
    const first = await versions();
    for (const commit of commits) commit();
    expect(await scene.collect()).toMatchObject({ read: 1 });
    const second = await versions();
    expect(second.size).toBe(2_000);
    const same = [...second].filter(([content]) => first.has(content));
    expect(same.length).toBeGreaterThan(0);
    expect(same.length).toBeLessThan(first.size);
    for (const [content, version] of same) expect(version).toBe(first.get(content));
    // Back again, as a rollback does.
    for (const _ of commits) withhold(at('d.db/t/snapshot'), 'snapshot-');
    await scene.collect();
    expect([...(await versions()).keys()]).toEqual([...first.keys()]);
  });

  it('starts a new incarnation when a table was dropped and created again between two looks', async () => {
    await scene.copy(ORC, 'd.db/t');
    await scene.collect();
    rmSync(at('d.db/t'), { recursive: true });
    await scene.copy(EVOLVED, 'd.db/t');
    await scene.collect();
    const [table] = await scene.tables();
    expect(table).toMatchObject({ incarnation: 2, removed_at: null });
    const feed = (await scene.feed()).filter((entry) => !entry.startsWith('commit'));
    expect(feed.at(-1)).toBe('table.recreated lake/production/d.t');
  });
});

describe('a dropped table', () => {
  const fill = async () => {
    for (const name of ['a', 'b', 'c']) await scene.copy(ORC, `d.db/${name}`);
  };

  it('becomes a tombstone, and comes back as itself when it is restored', async () => {
    await fill();
    await scene.collect();
    renameSync(at('d.db/b'), at('kept'));
    const run = await scene.collect();
    expect(run).toMatchObject({ phase: 'done', removed: 1, held_removals: null });
    const removed = (await scene.tables()).find((table) => table.name === 'b');
    expect(removed!.removed_at).toBeInstanceOf(Date);
    expect((await scene.feed()).at(-1)).toBe('table.removed lake/production/d.b');
    expect(await scene.collect()).toMatchObject({ phase: 'done', removed: 0 });

    renameSync(at('kept'), at('d.db/b'));
    await scene.collect();
    const restored = (await scene.tables()).find((table) => table.name === 'b');
    expect(restored).toMatchObject({ id: removed!.id, removed_at: null, incarnation: 1 });
    expect((await scene.feed()).at(-1)).toBe('table.restored lake/production/d.b');
  });

  it('that left its folder behind is gone all the same', async () => {
    await fill();
    await scene.collect();
    rmSync(at('d.db/b/schema'), { recursive: true });
    rmSync(at('d.db/b/manifest'), { recursive: true });
    expect(await scene.collect()).toMatchObject({ phase: 'done', removed: 1, tables_found: 2 });
  });

  it('stays when only its schemas are lost: it is broken, and its last state is kept', async () => {
    await fill();
    await scene.collect();
    const before = (await scene.tables()).find((table) => table.name === 'b')!;
    renameSync(at('d.db/b/schema'), at('lost'));
    expect(await scene.collect()).toMatchObject({ phase: 'done', removed: 0 });
    const after = (await scene.tables()).find((table) => table.name === 'b')!;
    expect(after).toMatchObject({
      status: 'broken',
      removed_at: null,
      row_count: before.row_count,
      column_count: before.column_count,
    });
    expect(after.problems.map((problem) => problem.code)).toContain('schema-none');
    renameSync(at('lost'), at('d.db/b/schema'));
    await scene.collect();
    expect((await scene.tables()).find((table) => table.name === 'b')).toMatchObject({ status: 'ok', incarnation: 1 });
  });

  it('is looked for once more before it is removed', async () => {
    await fill();
    await scene.collect();
    const { store } = scene;
    // The listing of the database forgets one folder; its schemas are still there.
    scene.store = {
      ...store,
      list: async (request) => {
        const page = await store.list(request);
        return request.delimiter ? { ...page, prefixes: page.prefixes.filter((prefix) => !prefix.endsWith('/b/')) } : page;
      },
    };
    expect(await scene.collect()).toMatchObject({ phase: 'done', removed: 0, queued: 0, unchanged: 3 });
    expect((await scene.tables()).every((table) => table.removed_at === null)).toBe(true);
  });

  it('takes its database with it when that is gone too', async () => {
    await fill();
    await scene.copy(ORC, 'e.db/x');
    await scene.collect();
    rmSync(at('e.db'), { recursive: true });
    expect(await scene.collect()).toMatchObject({ phase: 'done', removed: 1 });
    expect((await scene.feed()).slice(-2)).toEqual(['table.removed lake/production/e.x', 'database.removed lake/production/e']);
  });
});

describe('a listing that fails', () => {
  it.each<[string, Error, string, string]>([
    ['for good', new AccessDenied('list of wh/', 'not-authorized', { permission: 'oss:ListObjects' }), 'failed', 'access-denied'],
    ['again and again', new Unreachable('oss', 'timeout'), 'failed', 'unreachable'],
  ])('%s fails the run and removes nothing', async (_, error, phase, code) => {
    await scene.copy(ORC, 'd.db/a');
    await scene.copy(ORC, 'e.db/b');
    await scene.collect();
    const { store } = scene;
    rmSync(at('d.db/a'), { recursive: true });
    scene.store = {
      ...store,
      list: (request) => (request.prefix === 'wh/e.db/' ? Promise.reject(error) : store.list(request)),
    };
    expect(await scene.collect()).toMatchObject({ phase, error_code: code, removed: 0 });
    expect((await scene.tables()).every((table) => table.removed_at === null)).toBe(true);
  });

  it('by repeating a page removes nothing either', async () => {
    await scene.copy(ORC, 'd.db/a');
    await scene.collect();
    const { store } = scene;
    scene.store = { ...store, list: async (request) => ({ ...(await store.list(request)), nextToken: 'the same' }) };
    expect(await scene.collect()).toMatchObject({ phase: 'failed', removed: 0 });
    expect((await scene.tables())[0]!.removed_at).toBeNull();
  });

  it('once is tried again and then succeeds', async () => {
    await scene.copy(ORC, 'd.db/a');
    const { store } = scene;
    let failures = 2;
    scene.store = {
      ...store,
      list: (request) => (failures-- > 0 ? Promise.reject(new Unreachable('oss', 'cut')) : store.list(request)),
    };
    expect(await scene.collect()).toMatchObject({ phase: 'done', error_code: null, read: 1 });
  });

  it('with a refusal asks for a connectivity test, once', async () => {
    await scene.copy(ORC, 'd.db/a');
    const { store } = scene;
    scene.store = { ...store, list: () => Promise.reject(new AccessDenied('wh/', 'not-authorized')) };
    await scene.collect();
    await scene.collect();
    expect(await scene.db.query('select requested_by from connectivity_test')).toEqual([{ requested_by: 'collection' }]);
  });
});

describe('many removals at once', () => {
  it('are held for a person, and carried out when a person says so', async () => {
    for (let i = 0; i < 6; i++) await scene.copy(ORC, `d.db/t${i}`);
    await scene.copy(ORC, 'e.db/kept');
    await scene.collect();
    rmSync(at('d.db'), { recursive: true });
    const held = await scene.collect();
    expect(held).toMatchObject({ phase: 'needs-approval', removed: 0, error_code: 'removals-held' });
    expect(held.held_removals).toHaveLength(6);
    expect((await scene.tables()).every((table) => table.removed_at === null)).toBe(true);

    const { approveRemovals } = await import('../../shared/store/collection-runs.ts');
    const runId = await scene.db.database.tenant(scene.workspaceId, (tx) => approveRemovals(tx, held.id, 'a person'));
    await scene.drain();
    expect(await scene.run(runId)).toMatchObject({ phase: 'done', removed: 6 });
    expect((await scene.tables()).filter((table) => table.removed_at === null).map((table) => table.name)).toEqual(['kept']);
  });

  it('are held when the whole warehouse looks empty', async () => {
    await scene.copy(ORC, 'd.db/a');
    await scene.copy(ORC, 'd.db/b');
    await scene.collect();
    renameSync(at('d.db'), at('elsewhere'));
    expect(await scene.collect()).toMatchObject({ phase: 'needs-approval', removed: 0 });
  });
});

describe('faults in the middle', () => {
  it('a message that comes twice at once changes nothing twice', async () => {
    await scene.copy(`${WRITTEN}/sales.db`, 'sales.db');
    await scene.copy(`${WRITTEN}/iot.db`, 'iot.db');
    const runId = await scene.request();
    await scene.drain({ times: 2 });
    const run = await scene.run(runId);
    expect(run).toMatchObject({ phase: 'done', queued: 0, failed: 0 });
    expect(run.read).toBe(run.tables_found);
    const found = (await scene.feed()).filter((entry) => entry.startsWith('table.found'));
    expect(new Set(found).size).toBe(found.length);
    expect(found).toHaveLength(run.tables_found);
  });

  it('a second delivery of a message that was dealt with writes no row', async () => {
    await scene.copy(`${WRITTEN}/sales.db`, 'sales.db');
    await scene.request();
    const delivered: Parameters<typeof scene.deliver>[0][] = [];
    const { deliver } = scene;
    scene.deliver = async (item) => {
      delivered.push(item);
      await deliver(item);
    };
    await scene.drain();
    scene.deliver = deliver;
    const all = [...MAP, 'table_state', 'collection_run', 'collection_run_table', 'lease', 'outbox'];
    const before = await rowVersions(scene.db, all);
    for (const item of delivered) await scene.deliver(item);
    expect(await rowVersions(scene.db, all)).toEqual(before);
  });

  it('a process that dies half-way loses nothing: the redelivered message goes on', async () => {
    await scene.copy(`${WRITTEN}/sales.db`, 'sales.db');
    await scene.copy(`${WRITTEN}/risk.db`, 'risk.db');
    const undisturbed = await collectionScene();
    await undisturbed.copy(`${WRITTEN}/sales.db`, 'sales.db');
    await undisturbed.copy(`${WRITTEN}/risk.db`, 'risk.db');
    await undisturbed.collect();

    const runId = await scene.request();
    const { store } = scene;
    // What a killed process leaves: leases held, rows queued, and the message back in the queue.
    let reads = 0;
    let isDead = false;
    const never = new Promise<never>(() => {});
    await scene.deliver({
      queueName: QUEUES.collection,
      message: {
        type: 'collection.requested',
        data: { workspaceId: scene.workspaceId, environmentId: scene.environmentId, runId },
      },
    });
    const message = scene.queue.waiting.find((item) => item.queueName === QUEUES.tableBulk)!;
    const { database } = scene.db;
    const dying: Deps = {
      database: { ...database, tenant: (workspaceId, work) => (isDead ? never : database.tenant(workspaceId, work)) },
      queue: scene.queue,
      openStore: async () => ({
        ...store,
        get: (key) => {
          isDead ||= ++reads > 40;
          return isDead ? never : store.get(key);
        },
      }),
    };
    void run(TableCollectionRequested.parse(message.message), dying, scene.call());
    await expect.poll(() => isDead, { timeout: 20_000 }).toBe(true);
    expect(await scene.db.query('select 1 from lease where expires_at > clock_timestamp()')).not.toEqual([]);
    await scene.db.query(
      `update lease set expires_at = clock_timestamp() - interval '1 second' where expires_at > clock_timestamp()`,
    );
    await scene.drain();
    const ended = await scene.run(runId);
    expect(ended).toMatchObject({ phase: 'done', queued: 0, failed: 0 });
    expect(ended.read).toBe(ended.tables_found);

    const content = (of: typeof scene) =>
      of.db.query(
        `select d.name as database, t.name, t.columns, t.options, s.status, s.snapshot_identity, s.row_count, s.size_bytes, x.document,
           (select jsonb_agg(to_jsonb(p) - 'table_id' order by branch, partition_key) from table_partition p where p.table_id = t.id) as parts
         from catalog_table t join catalog_database d on d.id = t.database_id join table_state s on s.table_id = t.id
         join table_document x on x.table_id = t.id order by 1, 2`,
      );
    expect(await content(scene)).toEqual(await content(undisturbed));
    await undisturbed.close();
  });

  it('a table whose read ends its process every time is given up; the others are read and the run ends', async () => {
    for (const name of ['a', 'b', 'c', 'poison', 'z']) await scene.copy(ORC, `d.db/${name}`);
    const runId = await scene.request();
    const { store } = scene;
    const crash = new Error('the process ended');
    scene.store = { ...store, get: (key) => (key.includes('/poison/') ? Promise.reject(crash) : store.get(key)) };
    await scene.drain();
    const run = await scene.run(runId);
    expect(run).toMatchObject({ phase: 'done', read: 4, failed: 1, queued: 0 });
    const [row] = await scene.db.query<{ table_name: string; error_message: string }>(
      `select table_name, error_message from collection_run_table where state = 'failed'`,
    );
    expect(row).toEqual({ table_name: 'poison', error_message: 'the process ended' });
  });

  it('a table that may not be read fails beside its name, and its last state stays', async () => {
    for (const name of ['a', 'b']) await scene.copy(ORC, `d.db/${name}`);
    await scene.collect();
    const before = await scene.tables();
    const { store } = scene;
    const refuse = (key: string) => key.includes('/d.db/b/');
    scene.store = {
      ...store,
      list: (request) =>
        refuse(request.prefix) ? Promise.reject(new AccessDenied(request.prefix, 'not-authorized')) : store.list(request),
    };
    expect(await scene.collect()).toMatchObject({ phase: 'done', unchanged: 1, failed: 1 });
    expect(await scene.tables()).toEqual(before);
    const [row] = await scene.db.query(`select table_name, error_code from collection_run_table where state = 'failed'`);
    expect(row).toEqual({ table_name: 'b', error_code: 'access-denied' });
  });

  it('an outage in the middle ends the run with names, and keeps the map (P11)', async () => {
    for (let i = 0; i < 12; i++) await scene.copy(ORC, `d.db/t${i}`);
    await scene.collect();
    const before = await scene.tables();
    const { store } = scene;
    scene.store = {
      ...store,
      list: (request) => (request.delimiter ? store.list(request) : Promise.reject(new Unreachable('oss', 'timeout'))),
    };
    expect(await scene.collect()).toMatchObject({ phase: 'done', failed: 12, queued: 0, removed: 0 });
    expect(await scene.tables()).toEqual(before);
    scene.store = store;
    expect(await scene.collect()).toMatchObject({ phase: 'done', unchanged: 12 });
  });

  it('damaged tables are in the map with what is wrong with them, beside healthy ones', async () => {
    await scene.copy('written-java-2.0.0/damaged', '.');
    const run = await scene.collect();
    expect(run).toMatchObject({ phase: 'done', failed: 0 });
    const tables = await scene.tables();
    expect(tables.find((table) => table.name === 'schemas_all_invalid')).toMatchObject({ status: 'broken' });
    expect(tables.find((table) => table.name === 'schema_folder_missing')).toMatchObject({ status: 'broken' });
    expect(tables.find((table) => table.name === 'quotes_good')).toMatchObject({ status: 'ok' });
    for (const table of tables) if (table.status !== 'ok') expect(table.problems.length, table.name).toBeGreaterThan(0);
    // And again: what is broken is not read over and over.
    const second = await scene.collect();
    expect(second).toMatchObject({ phase: 'done', read: 0, unchanged: tables.length });
    expect(second.requests).toBeLessThanOrEqual(tables.length * 2);
  });

  it('a table that breaks keeps what was known of it', async () => {
    await scene.copy(ORC, 'd.db/t');
    await scene.collect();
    const [before] = await scene.tables();
    const partitions = await rowVersions(scene.db, ['table_partition', 'table_search']);
    writeFileSync(at('d.db/t/snapshot/snapshot-4'), '{"broken');
    await scene.collect();
    const [after] = await scene.tables();
    expect(after).toMatchObject({ status: 'broken', snapshot_id: before!.snapshot_id, row_count: before!.row_count });
    expect(await rowVersions(scene.db, ['table_partition', 'table_search'])).toEqual(partitions);
    expect((await scene.feed()).at(-1)).toBe('table.status-changed lake/production/d.t');
    rmSync(at('d.db/t/snapshot/snapshot-4'));
    await scene.collect();
    expect((await scene.tables())[0]).toMatchObject({ status: 'ok', snapshot_id: before!.snapshot_id });
  });

  it('messages in any order come to the same end', async () => {
    await scene.copy(`${WRITTEN}/research.db`, 'research.db');
    await scene.copy(`${WRITTEN}/iot.db`, 'iot.db');
    await scene.request();
    await scene.request({ tables: [{ database: 'iot', table: 'claims_bucketed' }] });
    let seed = 7;
    await scene.drain({
      times: 2,
      pick: (waiting) => {
        seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
        return seed % waiting;
      },
    });
    const runs = await scene.db.query<{ phase: string }>('select phase from collection_run');
    expect(runs).toEqual([{ phase: 'done' }, { phase: 'done' }]);
    expect(await scene.db.query('select 1 from lease where expires_at > clock_timestamp()')).toEqual([]);
  });
});

describe('tables that somebody names', () => {
  it('are read whole even when nothing moved', async () => {
    await scene.copy(ORC, 'd.db/t');
    await scene.copy(ORC, 'd.db/other');
    await scene.collect();
    const run = await scene.collect({ tables: [{ database: 'd', table: 't' }] });
    expect(run).toMatchObject({ phase: 'done', tables_found: 1, read: 1, unchanged: 0 });
  });

  it('and that do not exist are said to be missing', async () => {
    await scene.copy(ORC, 'd.db/t');
    const run = await scene.collect({
      tables: [
        { database: 'd', table: 'nowhere' },
        { database: 'none', table: 't' },
      ],
    });
    expect(run).toMatchObject({ phase: 'done', failed: 2 });
    expect(await scene.db.query(`select distinct error_code from collection_run_table`)).toEqual([{ error_code: 'not-found' }]);
    expect(await scene.tables()).toEqual([]);
    expect(existsSync(at('none.db'))).toBe(false);
  });

  it('and that are gone become tombstones after the same second look', async () => {
    for (const name of ['a', 'b', 'c']) await scene.copy(ORC, `d.db/${name}`);
    await scene.collect();
    rmSync(at('d.db/b'), { recursive: true });
    expect(await scene.collect({ tables: [{ database: 'd', table: 'b' }] })).toMatchObject({ phase: 'done', removed: 1 });
  });
});

describe('a function whose time is up', () => {
  const withTime = (remainingMs: () => number) => {
    const { call } = scene;
    scene.call = () => ({ ...call(), remainingMs });
  };

  it('hands the rest of its tables on, and the run still ends with all of them', async () => {
    for (let i = 0; i < 12; i++) await scene.copy(ORC, `d.db/t${i}`);
    let looks = 0;
    // Every eighth look at the clock finds that the time is up.
    withTime(() => (++looks % 8 === 0 ? 30_000 : 290_000));
    const run = await scene.collect();
    expect(looks).toBeGreaterThan(12);
    expect(run).toMatchObject({ phase: 'done', read: 12, failed: 0, queued: 0 });
    expect((await scene.feed()).filter((entry) => entry.startsWith('table.found'))).toHaveLength(12);
  });

  it('hands the rest of its plan on', async () => {
    for (let i = 0; i < 20; i++) await scene.copy(ORC, `d${String(i).padStart(2, '0')}.db/t`);
    const runId = await scene.request();
    withTime(() => 10_000);
    let plans = 0;
    const { deliver } = scene;
    scene.deliver = async (item) => {
      if (item.queueName === QUEUES.collection) plans++;
      else withTime(() => 290_000);
      await deliver(item);
      withTime(() => 10_000);
    };
    await scene.drain();
    expect(plans).toBeGreaterThan(2);
    expect(await scene.run(runId)).toMatchObject({ phase: 'done', tables_found: 20, read: 20 });
  });
});
