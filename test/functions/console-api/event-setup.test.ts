import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventSetupOf, OBJECT_EVENTS } from '../../../shared/event-setup.ts';
import { datamap, serve } from '../../cli/command-line.ts';
import { dataSource, type Harness, startHarness } from './harness.ts';

let api: Harness;
let environmentId: string;
let tableId: string;
beforeAll(async () => {
  api = await startHarness();
  const made = await api.call('POST', '/data-sources', { body: dataSource('shop') });
  environmentId = made.body.environments.production.id;
  const [row] = await api.db.query<{ id: string }>(
    `with home as (insert into catalog_database (workspace_id, environment_id, name) values ($1, $2, 'sales') returning id)
     insert into catalog_table (workspace_id, environment_id, database_id, name, first_seen_at)
     select $1, $2, id, 'orders', now() - interval '2 days' from home returning public_id as id`,
    [api.workspaces.default, environmentId],
  );
  tableId = row!.id;
});
afterAll(() => api.close());

/** A commit in the feed: written `age` ago, and before the first look or after it. */
async function commit(snapshotId: number, byEvent: boolean, age: string, writtenAt = Date.now()): Promise<void> {
  await api.db.query(
    `insert into feed_outbox (workspace_id, type, subject, created_at, data) values ($1, 'commit.applied', 'x', clock_timestamp() - $2::interval, $3)`,
    [
      api.workspaces.default,
      age,
      {
        tableId,
        database: 'sales',
        table: 'orders',
        snapshotId: String(snapshotId),
        timeMillis: String(writtenAt),
        eventAt: byEvent ? new Date().toISOString() : null,
      },
    ],
  );
}
const setup = async () =>
  (await api.call('GET', '/data-sources/shop/environments/production/event-setup', { as: 'operator' })).body;
const lastEvent = (ago: string) =>
  api.db.query('update environment set last_event_at = clock_timestamp() - $1::interval where id = $2', [ago, environmentId]);

describe('event set-up', () => {
  it('says whether events come, from what was found with and without them', async () => {
    await commit(1, false, '3 h', Date.now() - 30 * 86_400_000);
    expect(await setup()).toMatchObject({ state: 'waiting', lastEventAt: null, missed: null, hint: null });
    await commit(2, false, '10 s');
    expect(await setup()).toMatchObject({ state: 'waiting', commits: { byEvent: 0, withoutEvent: 1 } });
    await commit(3, false, '10 min');
    const silent = await setup();
    expect(silent).toMatchObject({ state: 'silent', missed: { database: 'sales', table: 'orders', snapshotId: '3' } });
    expect(silent.hint).toContain(
      `No event came although snapshot 3 of sales.orders appeared: check rule ${silent.eventRule.name}`,
    );
    await lastEvent('5 min');
    await commit(4, true, '5 min');
    expect(await setup()).toMatchObject({ state: 'receiving', missed: null, commits: { byEvent: 1, withoutEvent: 2 } });
    await commit(5, false, '2 min');
    expect(await setup()).toMatchObject({ state: 'silent', missed: { snapshotId: '5' } });
    const theirs = await api.call('GET', '/api/v1/workspaces/other/data-sources/shop/environments/production/event-setup', {
      whole: true,
      as: 'stranger',
    });
    expect(theirs.status).toBe(404);
  });

  it('names bucket, prefix, events, queue and variables of exactly this warehouse, on the command line too', async () => {
    const found = await setup();
    expect(found.filter).toEqual({ bucket: 'shop', prefix: 'warehouse/' });
    expect(found.nativeTrigger.variables).toEqual({ DATAMAP_EVENT_BUCKET: 'shop', DATAMAP_EVENT_PREFIX: 'warehouse/' });
    const server = await serve(api);
    const run = (...args: string[]) =>
      datamap(['source', 'events', 'shop', ...args], { DATAMAP_URL: server.url, DATAMAP_TOKEN: api.tokens.everywhere });
    const shown = await run();
    expect(shown.code, shown.err).toBe(1);
    expect(shown.out).toContain('check rule datamap-shop-warehouse');
    const terraform = await run('--terraform');
    expect(terraform.code, terraform.err).toBe(0);
    expect(terraform.out).toBe(found.eventRule.terraform);
    await server.close();
  });

  it('asks for the same events as the deployment', () => {
    for (const file of ['deploy/events.tf', 's.yaml'])
      for (const event of OBJECT_EVENTS) expect(readFileSync(file, 'utf8'), file).toContain(event);
    const inTerraform = [...readFileSync('deploy/events.tf', 'utf8').matchAll(/"(Object\w+:\w+)"/g)].map((match) => match[1]);
    expect(inTerraform).toEqual([...OBJECT_EVENTS]);
  });

  it('says when events cannot come: another account, another region', () => {
    const asked = {
      warehouse: { bucket: 'b', prefix: '' },
      region: 'cn-hangzhou',
      installation: { accountId: '1', region: 'cn-hangzhou' },
    };
    expect(eventSetupOf(asked).notes).toHaveLength(1);
    expect(eventSetupOf({ ...asked, ownerAccountId: '2' }).notes[0]).toContain('account 2');
    expect(eventSetupOf({ ...asked, region: 'cn-beijing' }).notes[0]).toContain('cn-beijing');
    expect(eventSetupOf(asked).eventRule.name).toBe('datamap-b-all');
    const odd = eventSetupOf({ ...asked, warehouse: { bucket: 'b', prefix: '湖/a%{b}"/' } });
    expect(odd.eventRule.terraform).toContain(String.raw`prefix      = "湖/a%%{b}\"/"`);
  });
});
