import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run } from '../../../functions/schedule-collection/handler.ts';
import { QUEUES } from '../../../shared/messages.ts';
import { takeLease } from '../../../shared/store/leases.ts';
import { RUN_RETENTION_DAYS, RUNS_KEPT, TESTS_KEPT } from '../../../shared/store/timer-work.ts';
import { collectionScene } from '../../support/collection.ts';

const TABLE = 'paimon-cpp-orc/multi_partition_append_table.db/multi_partition_append_table';
const tick = { triggerTime: new Date(), triggerName: 'minute', payload: '' };

let scene: Awaited<ReturnType<typeof collectionScene>>;
beforeEach(async () => {
  scene = await collectionScene();
});
afterEach(() => scene.close());

const timer = () => run(tick, { database: scene.db.database, queue: scene.queue }, scene.call());
const due = () => scene.db.query(`update environment set next_sweep_at = clock_timestamp() - interval '1 second'`);
const runs = () =>
  scene.db.query<{ cause: string; phase: string }>('select cause, phase from collection_run order by requested_at');
const queued = () => scene.queue.waiting.map((item) => item.queueName);

describe('a sweep that is due', () => {
  it('starts one run and sets the next time within 5 % of the interval', async () => {
    await due();
    await timer();
    await timer();
    expect(await runs()).toEqual([{ cause: 'timer', phase: 'queued' }]);
    expect(queued()).toEqual([QUEUES.collection]);
    const [row] = await scene.db.query<{ seconds: number }>(
      'select extract(epoch from next_sweep_at - clock_timestamp())::float as seconds from environment',
    );
    expect(row!.seconds).toBeGreaterThan(600 * 0.94);
    expect(row!.seconds).toBeLessThan(600 * 1.06);
  });

  it('of one environment starts once when two timers tick together', async () => {
    await due();
    await Promise.all([timer(), timer(), timer()]);
    expect(await runs()).toHaveLength(1);
  });

  it('waits while a run is under way, or the gate is closed, or the timer is off', async () => {
    await scene.request();
    await due();
    await timer();
    expect(await runs()).toEqual([{ cause: 'request', phase: 'queued' }]);
    await scene.db.query('delete from collection_run');
    await scene.db.query(`update environment set connection_state = 'failed'`);
    await due();
    await timer();
    expect(await runs()).toEqual([]);
    await scene.db.query(`update environment set connection_state = 'connected', sweep_interval_seconds = 0`);
    await due();
    await timer();
    expect(await runs()).toEqual([]);
    expect(await scene.db.query('select next_sweep_at from environment')).toEqual([{ next_sweep_at: null }]);
  });

  it('gets its first time when an environment is connected', async () => {
    await timer();
    const [row] = await scene.db.query<{ next_sweep_at: Date | null }>('select next_sweep_at from environment');
    expect(row!.next_sweep_at).toBeInstanceOf(Date);
    expect(await runs()).toEqual([]);
  });
});

describe('what was lost', () => {
  it('a table whose reader died is looked at again', async () => {
    await scene.copy(TABLE, 'd.db/a.b');
    await scene.db.database.tenant(scene.workspaceId, (tx) => takeLease(tx, scene.environmentId, 'd/a.b', 'dead'));
    await scene.db.query(`update lease set expires_at = clock_timestamp() - interval '1 second'`);
    await timer();
    await timer();
    expect(queued()).toEqual([QUEUES.tableEvents]);
    await scene.drain();
    expect(await scene.tables()).toMatchObject([{ database: 'd', name: 'a.b' }]);
  });

  it('messages of a run are sent again when nothing moved for long', async () => {
    await scene.copy(TABLE, 'd.db/a');
    await scene.copy(TABLE, 'd.db/b');
    const runId = await scene.request();
    const { waiting } = scene.queue;
    const lose = async () => {
      waiting.length = 0;
      await scene.db.query(
        `update collection_run set requested_at = requested_at - interval '1 hour', started_at = started_at - interval '1 hour',
           planned_at = planned_at - interval '1 hour', resent_at = resent_at - interval '1 hour'`,
      );
    };
    await timer();
    await lose();
    await timer();
    expect(queued()).toEqual([QUEUES.collection]);
    await scene.deliver(waiting.shift()!);
    expect(queued()).toEqual([QUEUES.tableBulk]);
    await lose();
    await timer();
    expect(queued()).toEqual([QUEUES.tableBulk]);
    await timer();
    expect(queued()).toEqual([QUEUES.tableBulk]);
    await scene.drain();
    expect(await scene.run(runId)).toMatchObject({ phase: 'done', read: 2 });
  });

  it('a run that never moves ends, and says what to look at', async () => {
    const runId = await scene.request();
    for (let i = 0; i < 7; i++) {
      scene.queue.waiting.length = 0;
      await scene.db.query(
        `update collection_run set requested_at = requested_at - interval '1 hour', resent_at = resent_at - interval '1 hour'`,
      );
      await timer();
    }
    expect(await scene.run(runId)).toMatchObject({ phase: 'failed', error_code: 'stalled' });
    expect((await scene.run(runId)).error_message).toMatch('dead letters');
  });

  it('a run whose last reader died just before its end is ended', async () => {
    await scene.copy(TABLE, 'd.db/a');
    const done = await scene.collect();
    await scene.db.query(`update collection_run set phase = 'collecting', finished_at = null`);
    await timer();
    expect(await scene.run(done.id)).toMatchObject({ phase: 'done' });
  });

  it('messages that were written but not sent are sent', async () => {
    await scene.request();
    await timer();
    expect(queued()).toEqual([QUEUES.collection]);
    expect(await scene.db.query('select 1 from outbox')).toEqual([]);
  });
});

describe('what is old', () => {
  it('goes, but for the newest of each environment, and never the map', async () => {
    await scene.copy(TABLE, 'd.db/a');
    await scene.collect();
    for (let i = 0; i < RUNS_KEPT + 5; i++)
      await scene.db.query(
        `insert into collection_run (workspace_id, id, environment_id, cause, requested_by, phase, requested_at, finished_at)
         values ($1, $2, $3, 'timer', 'test', 'done', clock_timestamp() - $4 * interval '1 day', clock_timestamp())`,
        [scene.workspaceId, randomUUID(), scene.environmentId, RUN_RETENTION_DAYS + i + 1],
      );
    for (let i = 0; i < TESTS_KEPT + 3; i++)
      await scene.db.query(
        `insert into connectivity_test (workspace_id, id, environment_id, config_version, state, requested_by, requested_at)
         values ($1, $2, $3, 1, 'done', 'test', clock_timestamp() - interval '1 year')`,
        [scene.workspaceId, randomUUID(), scene.environmentId],
      );
    await timer();
    expect(await runs()).toHaveLength(RUNS_KEPT);
    expect(await scene.db.query('select 1 from connectivity_test')).toHaveLength(TESTS_KEPT);
    expect(await scene.tables()).toHaveLength(1);
    expect(await scene.db.query('select 1 from change_feed')).not.toEqual([]);
  });
});

describe('a step that fails', () => {
  it('does not keep the others from their work, and the tick is repeated', async () => {
    await due();
    await scene.db.query('drop table connectivity_test cascade');
    await expect(timer()).rejects.toThrow(/timer steps failed/);
    expect(scene.logs.filter((line) => line.includes('timer step failed')).length).toBeGreaterThan(0);
    expect(scene.logs.at(-1)).toContain('messages sent');
  });
});
