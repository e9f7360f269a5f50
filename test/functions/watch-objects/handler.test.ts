import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run } from '../../../functions/watch-objects/handler.ts';
import { QUEUES } from '../../../shared/messages.ts';
import { releaseLease, takeLease } from '../../../shared/store/leases.ts';
import { collectionScene } from '../../support/collection.ts';

const TABLE = 'paimon-cpp-orc/multi_partition_append_table.db/multi_partition_append_table';

let scene: Awaited<ReturnType<typeof collectionScene>>;
beforeEach(async () => {
  scene = await collectionScene();
});
afterEach(() => scene.close());

const at = (...path: string[]) => join(scene.warehouse, ...path);

function record(key: string, change: { bucket?: string; region?: string; eventName?: string; eventTime?: string } = {}) {
  return {
    eventName: change.eventName ?? 'ObjectCreated:PutObject',
    eventTime: change.eventTime ?? '2026-01-15T08:30:00.000Z',
    region: change.region ?? 'cn-hangzhou',
    oss: { bucket: { name: change.bucket ?? 'lake' }, object: { key } },
  };
}

/** Hands events to the function; what it logged at its end. */
async function events(...records: object[]): Promise<Record<string, unknown>> {
  await run({ events: records }, { database: scene.db.database, queue: scene.queue }, scene.call());
  return JSON.parse(scene.logs.at(-1)!);
}

const waiting = () => scene.queue.waiting.map((item) => ({ queue: item.queueName, ...item.message.data }));

describe('object events', () => {
  it('of one table in one batch lead to one message, with the earliest time', async () => {
    const keys = ['snapshot/snapshot-3', 'snapshot/LATEST', 'schema/schema-1', 'manifest/manifest-x', 'bucket-0/data-x.orc'];
    const records = keys.map((key, i) => record(`wh/d.db/t/${key}`, { eventTime: `2026-01-15T08:30:0${5 - i}.000Z` }));
    expect(await events(...records, ...records)).toMatchObject({ events: 10, tables: 1, messages: 1, ignored: 4, foreign: 0 });
    expect(waiting()).toEqual([
      {
        queue: QUEUES.tableEvents,
        workspaceId: scene.workspaceId,
        environmentId: scene.environmentId,
        tables: [{ database: 'd', table: 't' }],
        eventAt: '2026-01-15T08:30:03.000Z',
      },
    ]);
    expect(scene.queue.waiting[0]!.delaySeconds).toBe(0);
  });

  it('that follow before anybody looked lead to no further message, and after the look to one', async () => {
    await scene.copy(TABLE, 'd.db/t');
    await events(record('wh/d.db/t/snapshot/snapshot-1'));
    expect(await events(record('wh/d.db/t/snapshot/snapshot-2'))).toMatchObject({ tables: 1, messages: 0 });
    expect(await events(record('wh/d.db/u/snapshot/snapshot-2'))).toMatchObject({ messages: 1 });
    await scene.drain();
    expect(await events(record('wh/d.db/t/snapshot/snapshot-3'))).toMatchObject({ messages: 1 });
  });

  it('that follow a look at once wait together; those of a table that was quiet do not', async () => {
    await scene.copy(TABLE, 'd.db/t');
    await events(record('wh/d.db/t/snapshot/snapshot-1'));
    await scene.drain();
    for (const snapshot of [2, 3, 4]) await events(record(`wh/d.db/t/snapshot/snapshot-${snapshot}`));
    expect(scene.queue.waiting.map((item) => item.delaySeconds)).toEqual([1]);
    await scene.drain();
    await scene.db.query(
      `update table_wake set taken_at = taken_at - interval '2 seconds', sent_at = sent_at - interval '2 seconds'`,
    );
    await events(record('wh/d.db/t/snapshot/snapshot-5'));
    expect(scene.queue.waiting.map((item) => item.delaySeconds)).toEqual([0]);
  });

  it('of tags are not forgotten by a look that began before', async () => {
    await scene.copy(TABLE, 'd.db/t');
    await events(record('wh/d.db/t/tag/tag-a'));
    expect(await scene.db.query('select reread from table_wake')).toEqual([{ reread: true }]);
    await scene.drain();
    expect(await scene.db.query('select reread from table_wake')).toEqual([{ reread: false }]);
    await events(record('wh/d.db/t/snapshot/snapshot-1'), record('wh/d.db/t/tag/tag-b'));
    expect(await scene.db.query('select reread, taken_at < sent_at as waits from table_wake')).toEqual([
      { reread: true, waits: true },
    ]);
  });

  it('lead to another message when the first one was lost', async () => {
    await events(record('wh/d.db/t/snapshot/snapshot-1'));
    scene.queue.waiting.length = 0;
    await scene.db.query(`update table_wake set sent_at = sent_at - interval '2 minutes'`);
    expect(await events(record('wh/d.db/t/snapshot/snapshot-2'))).toMatchObject({ messages: 1 });
  });

  it('of tables in two overlapping data sources wake both', async () => {
    await scene.db.query(
      `with s as (insert into data_source (workspace_id, id, name, external_id) values ($1, gen_random_uuid(), 'inner', 'x') returning id)
       insert into environment (workspace_id, id, data_source_id, name, region, warehouse, connection_state, tested_config_version)
       select $1, gen_random_uuid(), s.id, 'production', 'cn-hangzhou', 'oss://lake/wh', 'connected', 1 from s`,
      [scene.workspaceId],
    );
    expect(await events(record('wh/d.db/t/snapshot/snapshot-1'))).toMatchObject({ tables: 2, messages: 2 });
  });

  it.each<[string, object]>([
    ['another storage bucket', record('wh/d.db/t/snapshot/snapshot-1', { bucket: 'lake2' })],
    ['another region', record('wh/d.db/t/snapshot/snapshot-1', { region: 'cn-beijing' })],
    ['a place beside the warehouse', record('wh2/d.db/t/snapshot/snapshot-1')],
    ['a folder that is no database', record('wh/iceberg/d/t/snapshot/snapshot-1')],
    ['nowhere', record('x')],
  ])('from %s are counted and dropped (T25)', async (_, event) => {
    expect(await events(event)).toMatchObject({ events: 1, foreign: 1, tables: 0 });
    expect(scene.queue.waiting).toEqual([]);
  });

  it('forged in great numbers are dropped without a message', async () => {
    const forged = Array.from({ length: 20_000 }, (_, i) => record(`wh${i}/d.db/t/snapshot/snapshot-1`));
    expect(await events(...forged)).toMatchObject({ foreign: 20_000, messages: 0 });
  });

  it('of environments that are not connected, drafts or out of scope lead to nothing', async () => {
    const event = record('wh/d.db/t/snapshot/snapshot-1');
    for (const change of [
      `update environment set scope = '{"include":["e"],"exclude":[]}'`,
      `update environment set connection_state = 'failed'`,
      `update data_source set draft = true`,
    ]) {
      await scene.db.query(change);
      expect(await events(event), change).toMatchObject({ messages: 0 });
    }
  });

  it('that are not events of objects are counted', async () => {
    expect(await events({ hello: 1 }, record('wh/d.db/t/snapshot/snapshot-1'))).toMatchObject({ malformed: 1, messages: 1 });
  });
});

describe('an event and its table', () => {
  it('brings a commit into the map at the cost of one look and one read, and its echo costs one request', async () => {
    await scene.copy(TABLE, 'd.db/t');
    const file = at('d.db/t/snapshot/snapshot-3');
    const commit = readFileSync(file);
    rmSync(file);
    rmSync(at('d.db/t/snapshot/LATEST'));
    await scene.collect();
    writeFileSync(file, commit);
    await events(record('wh/d.db/t/snapshot/snapshot-3'));
    await scene.drain();
    expect(await scene.tables()).toMatchObject([{ snapshot_id: '3' }]);
    expect((await scene.feed()).slice(-2)).toEqual(['table.changed lake/production/d.t', 'commit.applied lake/production/d.t']);

    const before = { ...scene.meter };
    await events(record('wh/d.db/t/snapshot/LATEST'));
    await scene.drain();
    expect(scene.meter.lists - before.lists).toBe(1);
    expect(scene.meter.gets - before.gets).toBe(0);
  });

  it('of a tag reads the table whole, though no probe shows it', async () => {
    await scene.copy(TABLE, 'd.db/t');
    await scene.collect();
    mkdirSync(at('d.db/t/tag'));
    writeFileSync(at('d.db/t/tag/tag-v1'), readFileSync(at('d.db/t/snapshot/snapshot-2')));
    await events(record('wh/d.db/t/snapshot/LATEST'));
    await events(record('wh/d.db/t/tag/tag-v1'));
    expect(scene.queue.waiting).toHaveLength(1);
    await scene.drain();
    const [row] = await scene.db.query<{ tags: object }>(`select document -> 'tags' as tags from table_document`);
    expect(Object.keys(row!.tags)).toEqual(['v1']);
  });

  it('of a dropped table lead to a tombstone, once', async () => {
    for (const name of ['a', 'b', 'c']) await scene.copy(TABLE, `d.db/${name}`);
    await scene.collect();
    rmSync(at('d.db/b'), { recursive: true });
    const removed = (key: string) => record(`wh/d.db/b/${key}`, { eventName: 'ObjectRemoved:DeleteObjects' });
    await events(removed('schema/schema-0'), removed('snapshot/snapshot-1'));
    await scene.drain();
    await events(removed('snapshot/snapshot-3'));
    await scene.drain();
    expect((await scene.tables()).filter((table) => table.removed_at).map((table) => table.name)).toEqual(['b']);
    expect((await scene.feed()).filter((entry) => entry.startsWith('table.removed'))).toHaveLength(1);
  });

  it('of a mass drop, one table after the other, are held like a sweep would', async () => {
    for (let i = 0; i < 8; i++) await scene.copy(TABLE, `d.db/t${i}`);
    await scene.copy(TABLE, 'e.db/kept');
    await scene.collect();
    for (const name of readdirSync(at('d.db'))) {
      rmSync(at('d.db', name), { recursive: true });
      await events(record(`wh/d.db/${name}/schema/schema-0`, { eventName: 'ObjectRemoved:DeleteObject' }));
      await scene.drain();
    }
    const alive = (await scene.tables()).filter((table) => table.removed_at === null && table.database === 'd');
    expect(alive.length).toBeGreaterThan(0);
    const held = await scene.db.query(`select 1 from collection_run where phase = 'needs-approval'`);
    expect(held.length).toBeGreaterThan(0);
  });

  it('that somebody else is reading are acknowledged, and the reader is told (M6)', async () => {
    await scene.copy(TABLE, 'd.db/t');
    const { database } = scene.db;
    const lease = (await database.tenant(scene.workspaceId, (tx) => takeLease(tx, scene.environmentId, 'd/t', 'another')))!;
    await events(record('wh/d.db/t/snapshot/snapshot-3'));
    await scene.drain();
    expect(await scene.tables()).toEqual([]);
    expect(await database.tenant(scene.workspaceId, (tx) => releaseLease(tx, lease))).toEqual({ wanted: true });
  });

  it('that cannot be read now comes again through the queue', async () => {
    await scene.copy(TABLE, 'd.db/t');
    await events(record('wh/d.db/t/snapshot/snapshot-3'));
    const { store } = scene;
    const { Unreachable } = await import('../../../shared/errors.ts');
    scene.store = { ...store, list: () => Promise.reject(new Unreachable('oss', 'timeout')) };
    const [item] = scene.queue.waiting;
    await expect(scene.deliver(item!)).rejects.toThrow(Unreachable);
    expect(await scene.db.query('select 1 from lease where expires_at > clock_timestamp()')).toEqual([]);
    scene.store = store;
    await scene.drain();
    expect(await scene.tables()).toHaveLength(1);
  });
});
