-- One row per applied commit, and one per range of snapshot ids that was never seen. Rows outlive the snapshots. In order of
-- id within a table and branch: written under the table's lease. Months are dropped whole when their time has come; what no
-- month holds goes to the last partition.
create table commit_ledger (
  workspace_id int not null,
  id bigint generated always as identity,
  table_id bigint not null references catalog_table on delete cascade,
  incarnation int not null,
  -- '' is the main branch.
  branch text collate "C" not null,
  -- Of a gap: its first id.
  snapshot_id bigint not null,
  -- Null: a gap.
  identity text,
  gap_to_snapshot_id bigint,
  gap_cause text check (gap_cause in ('first-seen', 'expired', 'missing', 'unreadable', 'too-many')),
  schema_id bigint,
  commit_kind text,
  commit_user text,
  commit_identifier bigint,
  watermark bigint,
  -- Writer's clock, milliseconds.
  time_millis bigint,
  -- The object event that led here, by the storage service's clock; null: a sweep or a person.
  event_at timestamptz,
  applied_at timestamptz not null default clock_timestamp(),
  total_rows bigint,
  delta_rows bigint,
  changelog_rows bigint,
  -- Null: its delta manifests could not be read any more.
  rows_added bigint,
  rows_deleted bigint,
  files_added bigint,
  files_deleted bigint,
  bytes_added bigint,
  bytes_deleted bigint,
  partitions_touched int,
  buckets_touched int,
  check ((identity is null) = (gap_cause is not null and gap_to_snapshot_id >= snapshot_id))
) partition by range (applied_at);
create index commit_ledger_by_table on commit_ledger (table_id, branch, id);
create index commit_ledger_by_snapshot on commit_ledger (table_id, branch, snapshot_id) where identity is not null;

do $$ declare month timestamptz := date_trunc('month', now(), 'UTC'); begin
  for i in 0..23 loop
    execute format('create table commit_ledger_%s partition of commit_ledger for values from (%L) to (%L)',
      to_char(month at time zone 'UTC', 'YYYYMM'), month, (month at time zone 'UTC' + interval '1 month') at time zone 'UTC');
    month := (month at time zone 'UTC' + interval '1 month') at time zone 'UTC';
  end loop;
end $$;
create table commit_ledger_rest partition of commit_ledger default;

-- How far the ledger follows a table and branch; compared under the table's lease before rows are added.
create table commit_position (
  workspace_id int not null,
  table_id bigint not null references catalog_table on delete cascade,
  branch text collate "C" not null,
  incarnation int not null,
  snapshot_id bigint not null,
  identity text not null,
  primary key (table_id, branch)
) with (fillfactor = 80);

do $$ declare t text; begin
  foreach t in array array['commit_ledger', 'commit_position'] loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
    execute format('create policy tenant on %I to datamap_tenant using (workspace_id = nullif(current_setting(''datamap.workspace'', true), '''')::int) with check (workspace_id = nullif(current_setting(''datamap.workspace'', true), '''')::int)', t);
    execute format('create policy system on %I to datamap_system using (true) with check (true)', t);
  end loop;
end $$;
-- Not on the months: rows are reached through the whole, where the policies hold.
grant select, insert, update, delete on commit_ledger, commit_position to datamap_tenant, datamap_system;
