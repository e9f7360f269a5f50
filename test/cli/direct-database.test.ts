import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { type Harness, startHarness } from '../functions/console-api/harness.ts';
import { datamap, serve } from './command-line.ts';

/** What makes the first workspace and the first token of an installation, with the database alone. */
let api: Harness;
let server: Awaited<ReturnType<typeof serve>>;
let databaseUrl: string;
beforeAll(async () => {
  api = await startHarness();
  server = await serve(api);
  databaseUrl = api.db.url.reveal();
});
afterAll(async () => {
  await server?.close();
  await api?.close();
});
const withDatabase = () => ({ DATABASE_URL: databaseUrl });
const withToken = (token: string) => ({ DATAMAP_URL: server.url, DATAMAP_TOKEN: token });

describe('an installation without a token', () => {
  it('gets its first administrator, who may work in every workspace', async () => {
    const ran = await datamap(['token', 'create', 'first', '--role', 'administrator', '--all-workspaces'], withDatabase());
    expect(ran.code, ran.err).toBe(0);
    expect(ran.out).toMatch(/^dm_[A-Za-z0-9_-]{43}\n$/);
    expect(ran.err).toContain('administrator everywhere');
    const token = ran.out.trim();
    for (const workspace of ['default', 'lab'])
      expect((await datamap(['source', 'list', '--workspace', workspace], withToken(token))).code).toBe(0);
    const made = await datamap(['token', 'create', 'second', '--role', 'administrator', '--json'], withToken(token));
    expect(JSON.parse(made.out)).toMatchObject({ name: 'second', role: 'administrator' });
    const [row] = await api.db.query('select created_by, name from api_token where name = $1', ['first']);
    const [written] = await api.db.query("select workspace_id, actor, action from audit_log where detail like '%first%'");
    expect(written).toEqual({ workspace_id: 0, actor: 'command line on the database', action: 'POST /tokens' });
    expect(row).toEqual({ created_by: 'command line', name: 'first' });
  });

  it('keeps no copy of the token', async () => {
    const { out } = await datamap(['token', 'create', 'secret', '--all-workspaces', '--database-url', databaseUrl, '--json']);
    const { token, id } = JSON.parse(out);
    const [row] = await api.db.query<{ text: string }>('select t::text as text from api_token t where id = $1', [id]);
    expect(row!.text).not.toContain(token.slice(3));
    expect(row!.text).toContain('secret');
  });

  it('gets its first workspaces', async () => {
    const made = await datamap(['workspace', 'create', 'finance', '--kind', 'basic', '--json'], withDatabase());
    expect(JSON.parse(made.out)).toEqual({ name: 'finance', kind: 'basic' });
    expect(await api.db.query('select kind from workspace where name = $1', ['finance'])).toEqual([{ kind: 'basic' }]);
    const twice = await datamap(['workspace', 'create', 'finance', '--database-url', databaseUrl]);
    expect(twice).toMatchObject({ code: 1, out: '' });
    expect(twice.err).toContain("'finance' exists already");
    expect(await api.db.query('select kind from workspace where name = $1', ['finance'])).toEqual([{ kind: 'basic' }]);
  });

  it('can give a token for one workspace only', async () => {
    const ran = await datamap(['token', 'create', 'robot', '--workspace', 'lab', '--role', 'operator'], withDatabase());
    const token = ran.out.trim();
    expect((await datamap(['source', 'list', '--workspace', 'lab'], withToken(token))).code).toBe(0);
    expect((await datamap(['source', 'list', '--workspace', 'other'], withToken(token))).code).toBe(2);
    const nowhere = await datamap(['token', 'create', 'robot', '--workspace', 'nowhere'], withDatabase());
    expect(nowhere).toMatchObject({ code: 2, out: '' });
    expect(nowhere.err).toContain('datamap workspace create nowhere');
  });
});

describe('which door', () => {
  it('asks the server when one is named, whatever DATABASE_URL says', async () => {
    const both = { ...withToken(api.tokens.administrator), ...withDatabase() };
    const ran = await datamap(['token', 'create', 'through the API', '--json'], both);
    expect(ran.code, ran.err).toBe(0);
    const [row] = await api.db.query('select created_by from api_token where name = $1', ['through the API']);
    expect(row).toEqual({ created_by: 'administrator' });
  });

  it('needs a database for a token of all workspaces', async () => {
    const ran = await datamap(['token', 'create', 'x', '--all-workspaces'], withToken(api.tokens.everywhere));
    expect(ran).toMatchObject({ code: 2, out: '' });
    expect(ran.err).toContain('--database-url');
  });
});

describe('mistakes', () => {
  it.each([
    ['--role', ['token', 'create', 'x', '--role', 'root', '--all-workspaces']],
    ['--days', ['token', 'create', 'x', '--days', '366', '--all-workspaces']],
    ['--days', ['token', 'create', 'x', '--days', 'many', '--all-workspaces']],
    ['name', ['token', 'create', '', '--all-workspaces']],
    ['name', ['workspace', 'create', 'Not A Name']],
    ['--kind', ['workspace', 'create', 'kindless', '--kind', 'large']],
  ])('says what is wrong with %s', async (what, args) => {
    const ran = await datamap(args, withDatabase());
    expect(ran).toMatchObject({ code: 2, out: '' });
    expect(ran.err).toContain(what);
  });

  it('exits 3 when no database answers, and never prints its password', async () => {
    const url = 'postgres://someone:marker-password@127.0.0.1:9/datamap';
    const ran = await datamap(['token', 'create', 'x', '--all-workspaces', '--database-url', url]);
    expect(ran.code).toBe(3);
    expect(ran.err).toContain('could not be reached');
    const wrong = await datamap(['workspace', 'create', 'x', '--database-url', 'mysql://someone:marker-password@db/x']);
    expect(wrong.code).toBe(2);
    expect(ran.err + ran.out + wrong.err + wrong.out).not.toContain('marker-password');
  });

  it('says that the schema is missing; after migrating, the way of the deployment guide works', async () => {
    const name = `empty_${randomBytes(6).toString('hex')}`;
    const admin = new pg.Client({ connectionString: inject('postgresUrl') });
    await admin.connect();
    await admin.query(`create database ${name}`);
    const location = new URL(databaseUrl);
    location.pathname = `/${name}`;
    const there = { DATABASE_URL: location.href };
    try {
      for (const args of [
        ['token', 'create', 'x', '--all-workspaces'],
        ['workspace', 'create', 'x'],
      ]) {
        const ran = await datamap(args, there);
        expect(ran.code, ran.err).toBe(2);
        expect(ran.err).toContain('datamap migrate');
      }
      const guide = [
        ['migrate'],
        ['workspace', 'create', 'default'],
        ['workspace', 'create', 'sandbox', '--kind', 'basic'],
        ['token', 'create', 'first', '--role', 'administrator', '--all-workspaces'],
      ];
      for (const args of guide) {
        const ran = await datamap(args, there);
        expect(ran.code, `${args.join(' ')}: ${ran.err}`).toBe(0);
      }
    } finally {
      await admin.query(`drop database ${name} with (force)`);
      await admin.end();
    }
  });
});
