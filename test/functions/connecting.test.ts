import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import * as testing from '../../functions/test-connectivity/handler.ts';
import * as validating from '../../functions/validate-config/handler.ts';
import { sealSecret } from '../../shared/credentials/envelope.ts';
import { DataSourceInput, type EnvironmentInput } from '../../shared/data-source.ts';
import type { Call } from '../../shared/fc/context.ts';
import { createLog } from '../../shared/log.ts';
import { ConnectivityTestRequested, DataSourceSaved, type Message } from '../../shared/messages.ts';
import {
  countRecentTests,
  finishTest,
  gateOf,
  getTest,
  listTests,
  requestTest,
  startTest,
} from '../../shared/store/connectivity-tests.ts';
import { createDataSource, getDataSource, updateDataSource } from '../../shared/store/data-sources.ts';
import type { TenantTransaction } from '../../shared/store/database.ts';
import { type ConnectivityScene, connectivityScene } from '../support/connectivity.ts';
import { type TestDatabase, testDatabase, testWorkspace } from '../support/postgres.ts';

let scene: ConnectivityScene;
let db: TestDatabase;
let workspaceId: number;
let basicId: number;
let sent: { queueName: string; message: Message }[] = [];
let logs: string[] = [];

beforeAll(async () => {
  scene = await connectivityScene();
  scene.copy('research.db', 'dev/wh/research.db');
  scene.copy('research.db', 'prod/wh/research.db');
  db = await testDatabase();
  workspaceId = await testWorkspace(db);
  basicId = await testWorkspace(db, 'basic', 'basic');
});
beforeEach(() => {
  sent = [];
  logs = [];
});
afterEach(async () => {
  scene.oss.setFaults([]);
  await db.query('delete from data_source');
  await db.query('delete from outbox');
});
afterAll(async () => {
  await db.close();
  await scene.close();
});

const tenant = <T>(work: (tx: TenantTransaction) => Promise<T>, workspace = workspaceId) => db.database.tenant(workspace, work);

function input(change: object = {}, production: EnvironmentInput = {}): DataSourceInput {
  const key: EnvironmentInput = {
    accessMode: 'accessKey',
    accessKeyId: 'LTAIreader',
    accessKeySecret: scene.marker,
    region: 'cn-hangzhou',
    endpoint: scene.oss.url,
  };
  return DataSourceInput.parse({
    name: 'finance',
    catalog: 'paimon',
    environments: {
      development: { ...key, warehouse: 'oss://lake/dev/wh' },
      production: { ...key, warehouse: 'oss://lake/prod/wh', ...production },
    },
    ...change,
  });
}

const seal = async (secret: string, place: Parameters<typeof sealSecret>[2]) =>
  sealSecret(await scene.access.settings.keyRing(), secret, place);

async function save(source: DataSourceInput, workspace = workspaceId): Promise<string> {
  return tenant((tx) => createDataSource(tx, source, seal), workspace);
}

function call(): Call {
  const log = createLog({ level: 'debug', write: (line) => void logs.push(line) });
  return { requestId: randomUUID(), log, remainingMs: () => 60_000 };
}

const queue = {
  async send(queueName: string, messages: Message[]) {
    sent.push(...messages.map((message) => ({ queueName, message })));
  },
};

const validateDeps = () => ({ database: db.database, queue, permitted: scene.access.settings.permitted });
const testDeps = () => ({ database: db.database, queue, access: scene.access });

async function validateSaved(dataSourceId: string, version = 1, workspace = workspaceId): Promise<void> {
  const message = DataSourceSaved.parse({ type: 'data-source.saved', data: { workspaceId: workspace, dataSourceId, version } });
  await validating.run(message, validateDeps(), call());
}

/** Delivers every message that waits for test-connectivity. */
async function deliverTests(): Promise<void> {
  const waiting = sent.filter(({ message }) => message.type === 'connectivity-test.requested');
  sent = sent.filter(({ message }) => message.type !== 'connectivity-test.requested');
  for (const { message } of waiting) await testing.run(ConnectivityTestRequested.parse(message), testDeps(), call());
}

const sentTypes = () => sent.map(({ message }) => message.type);
const states = async () =>
  (await db.query<{ name: string; s: string }>('select name, connection_state as s from environment order by name')).map(
    ({ s }) => s,
  );
const gate = (dataSourceId: string, workspace = workspaceId) => tenant((tx) => gateOf(tx, dataSourceId), workspace);

describe('from saved to Connected', () => {
  test('a valid data source is tested in both environments, the gate opens and both are collected', async () => {
    const id = await save(input());
    expect(await gate(id)).toMatchObject({ open: false, waitingFor: ['development', 'production'] });
    await validateSaved(id);
    expect(sentTypes()).toEqual(['connectivity-test.requested', 'connectivity-test.requested']);
    expect(await states()).toEqual(['testing', 'testing']);
    await deliverTests();
    expect(await states()).toEqual(['connected', 'connected']);
    expect(await gate(id)).toMatchObject({ open: true, waitingFor: [], reason: '' });
    expect(sentTypes()).toEqual(['collection.requested', 'collection.requested']);
    const runs = await db.query('select cause, phase from collection_run');
    expect(runs).toEqual([
      { cause: 'connected', phase: 'queued' },
      { cause: 'connected', phase: 'queued' },
    ]);
  });

  test('in a basic workspace production alone decides', async () => {
    const { production } = input().environments;
    const id = await save(input({ environments: { production } }), basicId);
    await validateSaved(id, 1, basicId);
    await deliverTests();
    expect(await gate(id, basicId)).toMatchObject({ open: true });
    expect(sentTypes()).toEqual(['collection.requested']);
  });

  test('one environment that fails keeps the gate closed, with the reason; nothing is collected', async () => {
    const id = await save(input({}, { warehouse: 'oss://nosuchlake/wh' }));
    await validateSaved(id);
    await deliverTests();
    expect(await states()).toEqual(['connected', 'failed']);
    expect(await gate(id)).toMatchObject({
      open: false,
      waitingFor: ['production'],
      reason: 'Collection waits: production failed its connectivity test. Each environment must be Connected first.',
    });
    expect(sentTypes()).toEqual([]);
    const [row] = await db.query<{ checks: { id: string; causeCode?: string }[] }>(
      "select checks from connectivity_test where verdict = 'failed'",
    );
    expect(row!.checks.find(({ causeCode }) => causeCode)).toMatchObject({ id: 'bucket', causeCode: 'bucket-not-found' });
  });

  test('a broken rule is recorded and nothing is tested', async () => {
    const id = await save(input({}, { endpoint: 'http://169.254.169.254' }));
    await validateSaved(id);
    expect(sentTypes()).toEqual([]);
    const source = await tenant((tx) => getDataSource(tx, id));
    expect(source).toMatchObject({ findingsVersion: 1, findings: [{ code: 'endpoint-form', environment: 'production' }] });
    expect(await states()).toEqual(['not-tested', 'not-tested']);
  });

  test('a draft is judged and not tested', async () => {
    const id = await save(input({ draft: true }));
    await validateSaved(id);
    expect(sentTypes()).toEqual([]);
    expect((await gate(id)).reason).toContain('draft');
  });

  test('the same warehouse in another data source is a warning, and both are tested', async () => {
    await save(input({ name: 'first' }));
    const id = await save(input());
    await validateSaved(id);
    const source = await tenant((tx) => getDataSource(tx, id));
    expect(source!.findings!.map(({ code, severity }) => `${severity} ${code}`)).toEqual([
      'warning warehouse-same',
      'warning warehouse-same',
    ]);
    expect(sentTypes()).toHaveLength(2);
  });
});

describe('messages that come twice, late or for things that are gone', () => {
  test('a second data-source.saved asks for no second test, before and after the first ended', async () => {
    const id = await save(input());
    await validateSaved(id);
    await validateSaved(id);
    expect(sentTypes()).toHaveLength(2);
    await deliverTests();
    await validateSaved(id);
    expect(sentTypes()).toEqual(['collection.requested', 'collection.requested']);
    expect(await db.query('select id from connectivity_test')).toHaveLength(2);
  });

  test('an older revision is dropped, and its findings do not cover the newer', async () => {
    const id = await save(input());
    const before = (await tenant((tx) => getDataSource(tx, id)))!;
    await tenant((tx) => updateDataSource(tx, before, input({ description: 'new' }), 1, seal));
    await validateSaved(id, 1);
    expect(sentTypes()).toEqual([]);
    await validateSaved(id, 2);
    expect(sentTypes()).toHaveLength(2);
  });

  test('a test message that comes again changes nothing', async () => {
    const id = await save(input());
    await validateSaved(id);
    const again = [...sent];
    await deliverTests();
    const before = await db.query('select * from connectivity_test order by id');
    for (const { message } of again) await testing.run(ConnectivityTestRequested.parse(message), testDeps(), call());
    expect(await db.query('select * from connectivity_test order by id')).toEqual(before);
    expect(sentTypes()).toEqual(['collection.requested', 'collection.requested']);
  });

  test('two deliveries of both tests at the same moment open the gate once', async () => {
    const id = await save(input());
    await validateSaved(id);
    const all = [...sent, ...sent];
    sent = [];
    await Promise.all(all.map(({ message }) => testing.run(ConnectivityTestRequested.parse(message), testDeps(), call())));
    expect(await gate(id)).toMatchObject({ open: true });
    expect(await db.query('select id from collection_run')).toHaveLength(2);
  });

  test('a message for a data source or environment that is gone is dropped', async () => {
    const id = await save(input());
    await validateSaved(id);
    const tests = [...sent];
    await db.query('delete from data_source');
    await validateSaved(id);
    for (const { message } of tests) await testing.run(ConnectivityTestRequested.parse(message), testDeps(), call());
    expect(logs.join()).toContain('data source is gone');
    expect(logs.join()).toContain('nothing to test');
  });

  test("another workspace's data source is not there", async () => {
    const id = await save(input());
    await validateSaved(id, 1, basicId);
    expect(logs.join()).toContain('data source is gone');
    expect((await tenant((tx) => getDataSource(tx, id)))!.findingsVersion).toBeNull();
  });
});

describe('a change of configuration', () => {
  test('makes the verdict stale, closes the gate, queues a test of what changed; then it is collected again', async () => {
    const id = await save(input());
    await validateSaved(id);
    await deliverTests();
    await db.query("update collection_run set phase = 'done'");
    sent = [];
    scene.copy('research.db', 'other/wh/research.db');
    const before = (await tenant((tx) => getDataSource(tx, id)))!;
    await tenant((tx) => updateDataSource(tx, before, input({}, { warehouse: 'oss://lake/other/wh' }), 1, seal));
    // The secrets were given again, so both environments count as changed.
    expect(await gate(id)).toMatchObject({ open: false, waitingFor: ['development', 'production'] });
    await validateSaved(id, 2);
    await deliverTests();
    expect(await gate(id)).toMatchObject({ open: true });
    expect(sentTypes()).toEqual(['collection.requested', 'collection.requested']);
  });

  test('while a test runs: its verdict is kept in the history and does not count', async () => {
    const id = await save(input());
    await validateSaved(id);
    const { message } = sent[0]!;
    const { testId } = ConnectivityTestRequested.parse(message).data;
    const begun = (await tenant((tx) => startTest(tx, testId)))!;
    const before = (await tenant((tx) => getDataSource(tx, id)))!;
    await tenant((tx) => updateDataSource(tx, before, input({ description: 'x' }), 1, seal));
    const end = await tenant((tx) => finishTest(tx, testId, { verdict: 'connected', checks: [], ...begun }));
    expect(end).toEqual({ isFirst: true, isApplied: false, gateOpened: [] });
    expect(await states()).toEqual(['not-tested', 'not-tested']);
    expect(await tenant((tx) => getTest(tx, testId))).toMatchObject({ verdict: 'connected', isStale: true, state: 'done' });
  });

  test('a re-test leaves the gate open while it runs, and collects nothing when it passes', async () => {
    const id = await save(input());
    await validateSaved(id);
    await deliverTests();
    sent = [];
    const production = (await tenant((tx) => getDataSource(tx, id)))!.environments[1]!;
    await tenant((tx) => requestTest(tx, production.id, 'somebody'));
    expect(await states()).toEqual(['connected', 'testing']);
    expect(await gate(id)).toMatchObject({ open: true });
    await validateSaved(id);
    await deliverTests();
    expect(await states()).toEqual(['connected', 'connected']);
    expect(sentTypes()).toEqual([]);
  });

  test('a re-test that fails closes the gate', async () => {
    const id = await save(input());
    await validateSaved(id);
    await deliverTests();
    sent = [];
    scene.oss.setFaults([{ operations: ['ListObjectsV2'], prefix: 'prod/', code: 'AccessDenied', status: 403 }]);
    const production = (await tenant((tx) => getDataSource(tx, id)))!.environments[1]!;
    await tenant((tx) => requestTest(tx, production.id, 'somebody'));
    await validateSaved(id);
    await deliverTests();
    expect(await gate(id)).toMatchObject({ open: false, waitingFor: ['production'] });
  });
});

describe('the history of tests', () => {
  test('is read newest first, page by page, and counted for the limit', async () => {
    const id = await save(input());
    const environment = (await tenant((tx) => getDataSource(tx, id)))!.environments[0]!;
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) {
      const testId = await tenant((tx) => requestTest(tx, environment.id, `person ${i}`));
      const begun = (await tenant((tx) => startTest(tx, testId)))!;
      await tenant((tx) => finishTest(tx, testId, { verdict: 'failed', checks: [], ...begun }));
      ids.unshift(testId);
    }
    const first = await tenant((tx) => listTests(tx, environment.id, { limit: 3 }));
    const last = first.at(-1)!;
    const second = await tenant((tx) => listTests(tx, environment.id, { limit: 3, before: last }));
    expect(new Set([...first, ...second].map((one) => one.id))).toEqual(new Set(ids));
    expect([...first, ...second]).toHaveLength(5);
    expect(first[0]!.requestedAt.getTime()).toBeGreaterThanOrEqual(last.requestedAt.getTime());
    expect(await tenant((tx) => countRecentTests(tx))).toBeGreaterThanOrEqual(5);
    expect(await tenant((tx) => countRecentTests(tx), basicId)).toBe(0);
  });
});

test('the secret is in no log, message or row', async () => {
  const id = await save(input());
  await validateSaved(id);
  const messages = JSON.stringify(sent);
  await deliverTests();
  scene.oss.setFaults([{ operations: ['GetBucketInfo'], code: 'SignatureDoesNotMatch', status: 403 }]);
  const production = (await tenant((tx) => getDataSource(tx, id)))!.environments[1]!;
  await tenant((tx) => requestTest(tx, production.id, 'somebody'));
  await validateSaved(id);
  await deliverTests();
  expect(logs.length).toBeGreaterThan(4);
  expect(messages + JSON.stringify(sent) + logs.join('\n')).not.toContain(scene.marker);
  for (const table of ['environment', 'connectivity_test', 'data_source', 'outbox', 'collection_run']) {
    const rows = await db.query<{ text: string }>(`select row_to_json(t)::text as text from ${table} t`);
    expect(rows.map(({ text }) => text).join('\n')).not.toContain(scene.marker);
  }
});
