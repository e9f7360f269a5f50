-- Everything a workspace owns leads with workspace_id; row-level security (end of file) binds sessions of role
-- datamap_tenant to one workspace. Times are timestamptz; 64-bit counts are bigint; names are byte-exact (collate "C").

create extension if not exists pg_trgm;
create extension if not exists btree_gin;
create extension if not exists fuzzystrmatch;

-- ── workspaces and people ────────────────────────────────────────────────────────────────────────────────────────────

create table workspace (
  id int generated always as identity primary key,
  name text collate "C" not null unique check (name ~ '^[a-z][a-z0-9_-]{0,62}$'),
  kind text not null check (kind in ('standard', 'basic')),
  created_at timestamptz not null default clock_timestamp()
);

-- A token is `dm_` + 256 random bits; only its SHA-256 is kept.
create table api_token (
  id uuid primary key,
  name text not null,
  token_hash bytea not null unique,
  created_at timestamptz not null default clock_timestamp(),
  created_by text not null,
  expires_at timestamptz not null,
  last_used_at timestamptz,
  revoked_at timestamptz
);

-- workspace_id null: every workspace, also future ones.
create table api_token_grant (
  token_id uuid not null references api_token on delete cascade,
  workspace_id int references workspace on delete cascade,
  role text not null check (role in ('viewer', 'operator', 'administrator')),
  unique nulls not distinct (token_id, workspace_id)
);

-- ── data sources ─────────────────────────────────────────────────────────────────────────────────────────────────────

create table data_source (
  workspace_id int not null references workspace,
  id uuid not null,
  name text collate "C" not null,
  catalog text not null default '',
  description text not null default '',
  metastore text not null default 'filesystem' check (metastore = 'filesystem'),
  filesystem text not null default 'oss' check (filesystem = 'oss'),
  draft boolean not null default false,
  -- Optimistic lock of the whole data source, from 1.
  version int not null default 1,
  -- Sent with every AssumeRole of this data source: 256 random bits, hex.
  external_id text not null,
  -- What validate-config found for which version; null until it ran.
  findings jsonb,
  findings_version int,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  primary key (id),
  unique (workspace_id, name)
);

create table environment (
  workspace_id int not null references workspace,
  id uuid not null,
  data_source_id uuid not null references data_source on delete cascade,
  name text not null check (name in ('development', 'production')),
  access_mode text check (access_mode in ('ramRole', 'accessKey')),
  role_arn text,
  access_key_id text,
  -- Sealed envelope (see shared/credentials/envelope.ts), never in clear.
  access_key_secret jsonb,
  region text,
  endpoint text,
  warehouse text,
  scope jsonb not null default '{"include":[],"exclude":[]}',
  sweep_interval_seconds int not null default 600 check (sweep_interval_seconds >= 0),
  -- Raised by every change of a field that a connectivity test depends on.
  config_version int not null default 1,
  connection_state text not null default 'not-tested' check (connection_state in ('not-tested', 'testing', 'connected', 'failed')),
  -- The configuration that the state above belongs to.
  tested_config_version int,
  last_test_id uuid,
  -- By the database's clock; null: the timer leaves it alone.
  next_sweep_at timestamptz,
  last_event_at timestamptz,
  primary key (id),
  unique (data_source_id, name)
);
create index environment_by_workspace on environment (workspace_id, data_source_id);
create index environment_due on environment (next_sweep_at) where next_sweep_at is not null;

create table connectivity_test (
  workspace_id int not null references workspace,
  id uuid not null primary key,
  environment_id uuid not null references environment on delete cascade,
  config_version int not null,
  state text not null default 'queued' check (state in ('queued', 'running', 'done')),
  verdict text check (verdict in ('connected', 'failed')),
  requested_by text not null,
  requested_at timestamptz not null default clock_timestamp(),
  started_at timestamptz,
  finished_at timestamptz,
  -- Array of Check (shared/data-source.ts), in order; grows while the test runs.
  checks jsonb not null default '[]'
);
create index connectivity_test_by_environment on connectivity_test (workspace_id, environment_id, requested_at desc);

-- ── collection ───────────────────────────────────────────────────────────────────────────────────────────────────────

create table collection_run (
  workspace_id int not null references workspace,
  id uuid not null primary key,
  environment_id uuid not null references environment on delete cascade,
  cause text not null check (cause in ('connected', 'timer', 'request', 'event')),
  requested_by text not null,
  -- queued → planning → collecting → done | failed | cancelled | needs-approval
  phase text not null default 'queued'
    check (phase in ('queued', 'planning', 'collecting', 'done', 'failed', 'cancelled', 'needs-approval')),
  -- Only these tables, as asked; null: the whole environment.
  requested_tables jsonb,
  databases_found int,
  tables_found int,
  -- Planning is tried again when the store does not answer; then the run fails.
  plan_attempts int not null default 0,
  -- Requests and bytes of planning; those of tables stand with the tables.
  plan_requests int not null default 0,
  plan_bytes bigint not null default 0,
  removed int not null default 0,
  -- Tables that would be removed, when phase is needs-approval.
  held_removals jsonb,
  -- A run whose held removals a person approved: this run may carry them out.
  approves_run_id uuid,
  error_code text,
  error_message text,
  requested_at timestamptz not null default clock_timestamp(),
  started_at timestamptz,
  planned_at timestamptz,
  -- Messages sent again because nothing moved.
  resend_count int not null default 0,
  resent_at timestamptz,
  finished_at timestamptz
);
create index collection_run_by_environment on collection_run (workspace_id, environment_id, requested_at desc);
create index collection_run_by_time on collection_run (workspace_id, requested_at desc, id);

-- One row per table that a run hands out; the run's counts are sums over these, so that a message may come twice.
create table collection_run_table (
  workspace_id int not null,
  run_id uuid not null references collection_run on delete cascade,
  database_name text collate "C" not null,
  table_name text collate "C" not null,
  -- queued → read | unchanged | failed. Known tables that are not found: missing → removed | held at the run's end, or queued
  -- again when a second look finds them.
  state text not null default 'queued' check (state in ('queued', 'read', 'unchanged', 'failed', 'missing', 'removed', 'held')),
  -- Which message the table was handed out with; what a lost message is sent again from.
  batch int not null default 0,
  -- How often a read was begun: a table whose read ends its process every time is given up.
  attempts int not null default 0,
  -- ok | degraded | broken as the reader said, when read.
  table_status text,
  error_code text,
  error_message text,
  requests int not null default 0,
  bytes bigint not null default 0,
  finished_at timestamptz,
  primary key (run_id, database_name, table_name)
);
create index collection_run_table_open on collection_run_table (run_id) where state in ('queued', 'missing');

-- A table that an object event named and nobody has looked at since: while the row is there, more events of that table need
-- no message of their own. The reader deletes it before it looks.
create table table_wake (
  workspace_id int not null,
  environment_id uuid not null references environment on delete cascade,
  table_key text collate "C" not null,
  -- What moved does not show in a probe of schemas and snapshots (tags, branches): the table must be read whole.
  reread boolean not null default false,
  sent_at timestamptz not null default clock_timestamp(),
  primary key (environment_id, table_key)
);

-- One row per (environment, table), never deleted; the term only grows (fencing). table_key is `database.table`.
create table lease (
  workspace_id int not null,
  environment_id uuid not null,
  table_key text collate "C" not null,
  holder text not null,
  term bigint not null,
  expires_at timestamptz not null,
  -- Somebody came while the lease was held: the holder sends one more message when it frees the lease.
  wanted_at timestamptz,
  primary key (environment_id, table_key)
);

-- Messages written with the state change that they announce; sent after commit, swept up by the timer.
create table outbox (
  id bigint generated always as identity primary key,
  workspace_id int not null,
  queue_name text not null,
  message jsonb not null,
  delay_seconds int not null default 0,
  created_at timestamptz not null default clock_timestamp()
);

-- ── data map ─────────────────────────────────────────────────────────────────────────────────────────────────────────

create table catalog_database (
  workspace_id int not null references workspace,
  id bigint generated always as identity primary key,
  environment_id uuid not null references environment on delete cascade,
  name text collate "C" not null,
  first_seen_at timestamptz not null default clock_timestamp(),
  last_seen_at timestamptz not null default clock_timestamp(),
  -- Tombstone.
  removed_at timestamptz,
  unique (environment_id, name)
);

-- The definition: changes with the schema, not with a commit.
create table catalog_table (
  workspace_id int not null references workspace,
  id bigint generated always as identity primary key,
  -- What the API shows: random, so that ids tell nothing.
  public_id uuid not null unique default gen_random_uuid(),
  environment_id uuid not null references environment on delete cascade,
  database_id bigint not null references catalog_database on delete cascade,
  name text collate "C" not null,
  -- Table type (`table`, `object-table`, …).
  type text not null default 'table',
  comment text,
  owner text,
  primary_keys text[] not null default '{}',
  partition_keys text[] not null default '{}',
  merge_engine text,
  schema_id bigint,
  column_count int not null default 0,
  -- Latest schema: columns in the reader's shape (id, name, type, …) and options as text → text pairs.
  columns jsonb not null default '[]',
  options jsonb not null default '{}',
  -- Raised when a table of the same name was dropped and created again.
  incarnation int not null default 1,
  first_seen_at timestamptz not null default clock_timestamp(),
  last_seen_at timestamptz not null default clock_timestamp(),
  removed_at timestamptz,
  unique (database_id, name)
);
create index catalog_table_by_name on catalog_table (workspace_id, name, id);
create index catalog_table_by_environment on catalog_table (environment_id, database_id, name);

-- Hot: one update a commit. What is needed to see whether anything changed, and the figures that lists show.
create table table_state (
  workspace_id int not null,
  table_id bigint primary key references catalog_table on delete cascade,
  status text not null check (status in ('ok', 'degraded', 'broken')),
  problems jsonb not null default '[]',
  snapshot_id bigint,
  -- Identity of the applied snapshot, and ETags of what was looked at: equal means nothing to read.
  snapshot_identity text,
  change_token text,
  row_count bigint,
  size_bytes bigint,
  file_count bigint,
  partition_count bigint,
  last_commit_at timestamptz,
  -- When the warehouse was last seen to agree with this row, and when the table was last read whole.
  collected_at timestamptz not null,
  read_at timestamptz not null default clock_timestamp(),
  -- When the content that the map shows was read; older than read_at while a table cannot be read any more. Null: never readable.
  known_at timestamptz,
  -- Tells one life of a table from the next of the same name (its first schema's identity).
  creation_identity text,
  -- What the last full read cost: planning cuts batches by it.
  read_requests int not null default 0,
  read_bytes bigint not null default 0,
  -- Fencing term of the lease under which this was written.
  lease_term bigint not null default 0
) with (fillfactor = 80);
create index table_state_by_freshness on table_state (workspace_id, last_commit_at desc, table_id desc);

-- Everything else that the reader says of a table, in the reader's names and shapes, except partitions (own rows) —
-- so that `table --json` can answer with every field of `inspect --json`.
create table table_document (
  workspace_id int not null,
  table_id bigint primary key references catalog_table on delete cascade,
  document jsonb not null
);

-- partition_key is the stored BinaryRow in hex: null, '' and the default name share a folder but not a key.
create table table_partition (
  workspace_id int not null,
  table_id bigint not null,
  -- '' is the main branch.
  branch text collate "C" not null default '',
  partition_key text collate "C" not null,
  -- Folder path below the table, for people and for sorting.
  path text collate "C" not null,
  spec jsonb not null,
  row_count bigint not null,
  size_bytes bigint not null,
  file_count bigint not null,
  -- Remaining fields in the reader's names (buckets, creation wall clock, …).
  detail jsonb not null default '{}',
  primary key (table_id, branch, partition_key)
) partition by hash (table_id);
create index table_partition_by_path on table_partition (table_id, branch, path, partition_key);

do $$ begin
  for i in 0..15 loop
    execute format('create table table_partition_%s partition of table_partition for values with (modulus 16, remainder %s) with (fillfactor = 85)', lpad(i::text, 2, '0'), i);
  end loop;
end $$;

create table table_search (
  workspace_id int not null,
  table_id bigint primary key references catalog_table on delete cascade,
  environment_id uuid not null,
  name text collate "C" not null,
  -- Name parts, whole name as `=name`, comment, facts as `#db=…`; lexemes are made by shared/store/lexemes.ts.
  document tsvector not null,
  -- The same plus columns.
  column_document tsvector not null
) with (fillfactor = 85);
create index table_search_document on table_search using gin (workspace_id, document);
create index table_search_columns on table_search using gin (workspace_id, column_document);

-- ── change feed ──────────────────────────────────────────────────────────────────────────────────────────────────────

-- Unnumbered; written after the fence. The numbering step moves rows to change_feed in order of id.
create table feed_outbox (
  id bigint generated always as identity (cache 1) primary key,
  workspace_id int not null,
  type text not null,
  subject text not null,
  data jsonb not null,
  created_at timestamptz not null default clock_timestamp()
);

create table workspace_feed (
  workspace_id int primary key references workspace on delete cascade,
  last_sequence bigint not null default 0
) with (fillfactor = 10);

create table change_feed (
  workspace_id int not null,
  sequence bigint not null,
  type text not null,
  subject text not null,
  data jsonb not null,
  created_at timestamptz not null,
  primary key (workspace_id, sequence)
);

-- ── the tenant door ──────────────────────────────────────────────────────────────────────────────────────────────────

-- Roles belong to the server, not the database: another database may have made them already.
do $$ declare role_name text; begin
  foreach role_name in array array['datamap_tenant', 'datamap_system'] loop
    begin
      execute format('create role %I nologin', role_name);
    exception when duplicate_object or unique_violation then null;
    end;
    begin
      execute format('grant %I to current_user', role_name);
    exception when unique_violation then null;
    end;
  end loop;
end $$;

do $$ declare t text; begin
  foreach t in array array['data_source', 'environment', 'connectivity_test', 'collection_run', 'collection_run_table', 'table_wake', 'lease', 'outbox',
    'catalog_database', 'catalog_table', 'table_state', 'table_document', 'table_partition', 'table_search', 'feed_outbox', 'workspace_feed', 'change_feed'] loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
    -- No setting, no rows: current_setting(…, true) is null or empty outside a tenant transaction.
    execute format('create policy tenant on %I to datamap_tenant using (workspace_id = nullif(current_setting(''datamap.workspace'', true), '''')::int) with check (workspace_id = nullif(current_setting(''datamap.workspace'', true), '''')::int)', t);
    execute format('create policy system on %I to datamap_system using (true) with check (true)', t);
  end loop;
end $$;

grant usage on schema public to datamap_tenant, datamap_system;
grant select, insert, update, delete on all tables in schema public to datamap_tenant, datamap_system;
grant usage on all sequences in schema public to datamap_tenant, datamap_system;
-- Tenants neither see other workspaces' names nor anybody's tokens.
revoke all on api_token, api_token_grant from datamap_tenant;
revoke insert, update, delete on workspace from datamap_tenant;
alter table workspace enable row level security;
alter table workspace force row level security;
create policy tenant on workspace to datamap_tenant using (id = nullif(current_setting('datamap.workspace', true), '')::int);
create policy system on workspace to datamap_system using (true) with check (true);
