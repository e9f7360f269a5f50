import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dataSource, environment, type Harness, startHarness, withKeys } from './harness.ts';

let api: Harness;
beforeAll(async () => {
  api = await startHarness();
});
afterAll(() => api.close());

describe('saving a data source', () => {
  it('keeps it, announces it in the same transaction, and answers it without secrets', async () => {
    const input = dataSource('kept', { environments: { development: environment(), production: withKeys() } });
    const made = await api.call('POST', '/data-sources', { as: 'operator', body: input });
    expect(made.status, made.text).toBe(201);
    expect(made.headers.get('etag')).toBe('"1"');
    expect(made.body).toMatchObject({
      name: 'kept',
      version: 1,
      draft: false,
      environments: {
        production: { accessMode: 'accessKey', hasAccessKeySecret: true, connectionState: 'not-tested' },
        development: { hasAccessKeySecret: false },
      },
      gate: { open: false, waitingFor: ['development', 'production'] },
    });
    expect(api.sent.at(-1)).toEqual({
      queueName: 'datamap-data-source-saved',
      message: {
        type: 'data-source.saved',
        data: { workspaceId: api.workspaces.default, dataSourceId: made.body.id, version: 1 },
      },
    });
    expect(await api.db.query('select from outbox')).toHaveLength(0);

    const read = await api.call('GET', '/data-sources/kept', { as: 'viewer' });
    expect(read.body).toMatchObject({ id: made.body.id, version: 1 });
    const list = await api.call('GET', '/data-sources?search=KEPT', { as: 'viewer' });
    expect(list.body.items.map((item: { name: string }) => item.name)).toEqual(['kept']);
    for (const answer of [made, read, list]) expect(answer.text).not.toContain('marker-secret');
    const [row] = await api.db.query<{ sealed: string }>(
      'select access_key_secret::text as sealed from environment where access_key_secret is not null limit 1',
    );
    expect(row!.sealed).not.toContain('marker-secret');
    expect(api.logs.join('\n')).not.toContain('marker-secret');
  });

  it('refuses what the rules call an error, with the field, and writes nothing', async () => {
    const wrong = dataSource('wrong', {
      environments: { development: environment(), production: environment({ region: 'cn-atlantis' }) },
    });
    const refused = await api.call('POST', '/data-sources', { body: wrong });
    expect(refused.status).toBe(400);
    expect(refused.headers.get('content-type')).toBe('application/problem+json');
    expect(refused.body.errors.map((error: { path: string }) => error.path)).toContain('environments.production.region');
    expect((await api.call('GET', '/data-sources/wrong')).status).toBe(404);
  });

  it('keeps an incomplete one as a draft and tells what is missing', async () => {
    const made = await api.call('POST', '/data-sources', {
      body: { name: 'unfinished', draft: true, environments: { production: {} } },
    });
    expect(made.status, made.text).toBe(201);
    expect(made.body).toMatchObject({ draft: true, gate: { open: false } });
    expect(made.body.findings.length).toBeGreaterThan(0);
    expect(made.body.findings.every((finding: { severity: string }) => finding.severity !== 'error')).toBe(true);
  });

  it('refuses a second one of the same name', async () => {
    expect((await api.call('POST', '/data-sources', { body: dataSource('twice') })).status).toBe(201);
    const second = await api.call('POST', '/data-sources', { body: dataSource('twice') });
    expect(second.status).toBe(409);
    expect(second.body.detail).toContain("'twice'");
  });

  it('lets one of two concurrent saves of a new name win', async () => {
    const answers = await Promise.all([1, 2, 3].map(() => api.call('POST', '/data-sources', { body: dataSource('race') })));
    expect(answers.map((answer) => answer.status).sort()).toEqual([201, 409, 409]);
  });

  it('has no place for names it does not know', async () => {
    const answer = await api.call('POST', '/data-sources', { body: { ...dataSource('extra'), version: 7, workspaceId: 2 } });
    expect(answer.status).toBe(400);
    expect(answer.body.errors.map((error: { path: string }) => error.path).sort()).toEqual(['version', 'workspaceId']);
    const own = await api.call('POST', '/data-sources', {
      body: JSON.stringify(dataSource('extra')).replace('{', '{"__proto__":{"draft":true},'),
    });
    expect(own.status).toBe(400);
  });
});

describe('changing a data source', () => {
  it('needs the version, and answers the current one when another change came first', async () => {
    await api.call('POST', '/data-sources', { body: dataSource('shared') });
    expect((await api.call('PATCH', '/data-sources/shared', { body: { description: 'x' } })).status).toBe(428);
    const changes = await Promise.all(
      ['a', 'b', 'c', 'd'].map((description) => api.call('PATCH', '/data-sources/shared', { body: { version: 1, description } })),
    );
    expect(changes.map((change) => change.status).sort()).toEqual([200, 409, 409, 409]);
    const lost = changes.find((change) => change.status === 409)!;
    expect(lost.body).toMatchObject({ code: 'version-conflict', current: { name: 'shared', version: 2 } });
    const again = await api.call('PATCH', '/data-sources/shared', {
      headers: { 'if-match': '"2"' },
      body: { description: 'again' },
    });
    expect(again.body).toMatchObject({ version: 3, description: 'again', catalog: 'paimon' });
  });

  it('makes the verdict stale when what was tested changes, and only then', async () => {
    await api.call('POST', '/data-sources', { body: dataSource('tested') });
    await api.db.query(
      "update environment set connection_state = 'connected', tested_config_version = config_version where data_source_id = (select id from data_source where name = 'tested')",
    );
    expect((await api.call('GET', '/data-sources/tested')).body.gate.open).toBe(true);
    const described = await api.call('PATCH', '/data-sources/tested', {
      body: { version: 1, description: 'new', environments: { production: { sweepIntervalSeconds: 60 } } },
    });
    expect(described.body.gate.open).toBe(true);
    const moved = await api.call('PATCH', '/data-sources/tested', {
      body: { version: 2, environments: { production: { warehouse: 'oss://elsewhere/warehouse' } } },
    });
    expect(moved.body.environments.production).toMatchObject({ connectionState: 'not-tested', configVersion: 2 });
    expect(moved.body.environments.development).toMatchObject({ connectionState: 'connected', configVersion: 1 });
    expect(moved.body.gate).toMatchObject({ open: false, waitingFor: ['production'] });
  });

  it('T5: wants the secret again when it would be sent elsewhere, and keeps it otherwise', async () => {
    const place = { development: withKeys(), production: withKeys() };
    await api.call('POST', '/data-sources', { body: dataSource('keyed', { environments: place }) });
    const rename = await api.call('PATCH', '/data-sources/keyed', { body: { version: 1, description: 'same place' } });
    expect(rename.body.environments.production.hasAccessKeySecret).toBe(true);
    for (const change of [
      { endpoint: 'oss-cn-hangzhou.aliyuncs.com' },
      { region: 'cn-shanghai', endpoint: 'oss-cn-shanghai-internal.aliyuncs.com' },
      { warehouse: 'oss://another-bucket/warehouse' },
      { accessKeyId: 'LTAI5tOtherOtherOther' },
      { roleArn: 'acs:ram::1234567890123456:role/another' },
    ]) {
      const refused = await api.call('PATCH', '/data-sources/keyed', {
        body: { version: 2, environments: { production: change } },
      });
      expect(refused.status, JSON.stringify(change)).toBe(400);
      expect(refused.body.errors.map((error: { path: string }) => error.path)).toContain(
        'environments.production.accessKeySecret',
      );
    }
    const draft = await api.call('PATCH', '/data-sources/keyed', {
      body: { version: 2, draft: true, environments: { production: { warehouse: 'oss://another-bucket/warehouse' } } },
    });
    expect(draft.body.environments.production).toMatchObject({ hasAccessKeySecret: false });
    expect(draft.body.environments.development).toMatchObject({ hasAccessKeySecret: true });
  });

  it('T5: forgets the secret with the access mode, so that the way back wants it again', async () => {
    const place = { development: environment(), production: withKeys() };
    await api.call('POST', '/data-sources', { body: dataSource('moded', { environments: place }) });
    const sealed = () =>
      api.db.query(
        "select e.access_key_secret as sealed from environment e join data_source s on s.id = e.data_source_id where s.name = 'moded' and e.name = 'production'",
      );
    expect(await sealed()).not.toEqual([{ sealed: null }]);
    const asRole = await api.call('PATCH', '/data-sources/moded', {
      body: {
        version: 1,
        environments: { production: { accessMode: 'ramRole', roleArn: environment().roleArn, accessKeyId: null } },
      },
    });
    expect(asRole.status, asRole.text).toBe(200);
    expect(asRole.body.environments.production).toMatchObject({ hasAccessKeySecret: false, connectionState: 'not-tested' });
    expect(await sealed()).toEqual([{ sealed: null }]);
    const { accessKeyId } = withKeys();
    const back = await api.call('PATCH', '/data-sources/moded', {
      body: { version: 2, environments: { production: { accessMode: 'accessKey', accessKeyId, roleArn: null } } },
    });
    expect(back.status).toBe(400);
    expect(back.body.errors.map((error: { path: string }) => error.path)).toContain('environments.production.accessKeySecret');
  });

  it('removes an environment with tables only when told so', async () => {
    const made = await api.call('POST', '/data-sources', { body: dataSource('shrinking') });
    const [database] = await api.db.query<{ id: string }>(
      'insert into catalog_database (workspace_id, environment_id, name) values ($1, $2, $3) returning id',
      [api.workspaces.default, made.body.environments.development.id, 'db'],
    );
    await api.db.query('insert into catalog_table (workspace_id, environment_id, database_id, name) values ($1, $2, $3, $4)', [
      api.workspaces.default,
      made.body.environments.development.id,
      database!.id,
      't',
    ]);
    const body = { version: 1, draft: true, environments: { development: null } };
    const refused = await api.call('PATCH', '/data-sources/shrinking', { body });
    expect(refused).toMatchObject({ status: 409, body: { code: 'confirmation-needed' } });
    const done = await api.call('PATCH', '/data-sources/shrinking?removeEnvironments=true', { body });
    expect(Object.keys(done.body.environments)).toEqual(['production']);
  });
});

describe('deleting and copying', () => {
  it('says what goes, wants the name, and takes everything of it', async () => {
    const made = await api.call('POST', '/data-sources', { body: dataSource('doomed') });
    const environmentId = made.body.environments.production.id;
    const [database] = await api.db.query<{ id: string }>(
      'insert into catalog_database (workspace_id, environment_id, name) values ($1, $2, $3) returning id',
      [api.workspaces.default, environmentId, 'db'],
    );
    const [table] = await api.db.query<{ id: string }>(
      'insert into catalog_table (workspace_id, environment_id, database_id, name) values ($1, $2, $3, $4) returning id',
      [api.workspaces.default, environmentId, database!.id, 't'],
    );
    await api.db.query(
      "insert into table_partition (workspace_id, table_id, partition_key, path, spec, row_count, size_bytes, file_count) values ($1, $2, 'ab', 'p=1', '{}', 1, 1, 1)",
      [api.workspaces.default, table!.id],
    );
    expect((await api.call('GET', '/data-sources/doomed/deletion-preview', { as: 'operator' })).body).toMatchObject({
      environments: 2,
      databases: 1,
      tables: 1,
    });
    expect((await api.call('DELETE', '/data-sources/doomed', { as: 'operator' })).status).toBe(403);
    const refused = await api.call('DELETE', '/data-sources/doomed');
    expect(refused).toMatchObject({ status: 409, body: { removes: { tables: 1 } } });
    expect((await api.call('DELETE', '/data-sources/doomed?confirm=doomed')).status).toBe(204);
    expect((await api.call('GET', '/data-sources/doomed')).status).toBe(404);
    for (const name of ['catalog_table', 'table_partition', 'catalog_database'])
      expect(
        await api.db.query(`select from ${name} where ${name === 'table_partition' ? 'table_id' : 'workspace_id'} = $1`, [
          name === 'table_partition' ? table!.id : -1,
        ]),
      ).toEqual([]);
    const { items } = (await api.call('GET', '/changes?limit=1000')).body;
    expect(items.at(-1)).toMatchObject({ type: 'data-source.removed', subject: 'doomed' });
  });

  it('clones without secrets: the copy is a draft until it has its own', async () => {
    const environments = { development: withKeys(), production: withKeys() };
    await api.call('POST', '/data-sources', { body: dataSource('original', { environments }) });
    const copy = await api.call('POST', '/data-sources/original/clone', { body: { name: 'copy' } });
    expect(copy).toMatchObject({ status: 201, body: { name: 'copy', draft: true } });
    expect(copy.body.environments.production).toMatchObject({ hasAccessKeySecret: false, accessKeyId: 'LTAI5tTestTestTestTest' });
    expect(copy.body.findings.map((finding: { code: string }) => finding.code)).toContain('warehouse-same');
  });
});

describe('policies', () => {
  it('gives what RAM needs for exactly this warehouse, with the external id', async () => {
    await api.call('POST', '/data-sources', { body: dataSource('pasted') });
    const { body, status } = await api.call('GET', '/data-sources/pasted/environments/production/policies', { as: 'operator' });
    expect(status).toBe(200);
    expect(JSON.stringify(body.ramPolicy)).toContain('acs:oss:*:*:pasted/warehouse/');
    expect(body.externalId).toMatch(/^[0-9a-f]{64}$/);
    expect(JSON.stringify(body.trustPolicy)).toContain(body.externalId);
  });
});

it('pages a list without gaps or repeats', async () => {
  for (let i = 0; i < 7; i++) await api.call('POST', '/data-sources', { body: { ...dataSource(`page_${i}`), draft: true } });
  const names: string[] = [];
  let cursor = '';
  do {
    const page = (await api.call('GET', `/data-sources?search=page_&limit=3${cursor}`)).body;
    names.push(...page.items.map((item: { name: string }) => item.name));
    cursor = page.nextCursor ? `&cursor=${page.nextCursor}` : '';
  } while (cursor !== '');
  expect(names).toEqual([0, 1, 2, 3, 4, 5, 6].map((i) => `page_${i}`));
  expect((await api.call('GET', '/data-sources?cursor=nonsense')).status).toBe(400);
});
