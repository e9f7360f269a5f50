-- When the reader last took the mark away to look. Null: a message is on its way, and more events need none of their own.
alter table table_wake add column taken_at timestamptz;

-- What a read leaves for the next one: the small objects that it read, by their tags, and the sums of live files, so that
-- commits since can be added instead of reading all manifests again. May be lost at any time: then the table is read whole.
create table table_memory (
  table_id bigint primary key references catalog_table on delete cascade,
  workspace_id int not null,
  -- The state that this belongs to: that of `table_state`, or it is of no use.
  change_token text not null,
  -- Compressed; only collect-tables knows what is inside. Null: nothing that a next read could build on.
  content bytea,
  -- Looks that added commits to what was known, and whole reads by their reason.
  followed bigint not null default 0,
  read_whole jsonb not null default '{}'
) with (fillfactor = 50);
alter table table_memory alter column content set storage external;
alter table table_memory enable row level security;
alter table table_memory force row level security;
create policy tenant on table_memory to datamap_tenant using (workspace_id = nullif(current_setting('datamap.workspace', true), '')::int) with check (workspace_id = nullif(current_setting('datamap.workspace', true), '')::int);
create policy system on table_memory to datamap_system using (true) with check (true);
grant select, insert, update, delete on table_memory to datamap_tenant, datamap_system;

-- Months of the ledger: made ahead of their time and dropped whole when their last commit is older than `keep_days`. The
-- roles of the functions own no tables; this runs as who migrated. Waits for no lock: the next minute tries again.
create function keep_commit_months(at timestamptz, keep_days int) returns table (created int, dropped int)
language plpgsql security definer set search_path = public, pg_temp set lock_timeout = '2s' as $$
declare
  month timestamptz;
  next_month timestamptz;
  part text;
begin
  created := 0;
  dropped := 0;
  if keep_days < 1 then raise exception 'expected at least one day to keep, found %', keep_days; end if;
  for i in 0..2 loop
    month := (date_trunc('month', at at time zone 'UTC') + i * interval '1 month') at time zone 'UTC';
    next_month := (month at time zone 'UTC' + interval '1 month') at time zone 'UTC';
    part := 'commit_ledger_' || to_char(month at time zone 'UTC', 'YYYYMM');
    continue when to_regclass(part) is not null;
    execute format('create table %I (like commit_ledger including defaults including constraints)', part);
    -- A month that comes too late finds its rows in the last partition.
    execute format('with late as (delete from commit_ledger_rest where applied_at >= $1 and applied_at < $2 returning *)
      insert into %I select * from late', part) using month, next_month;
    execute format('alter table commit_ledger attach partition %I for values from (%L) to (%L)', part, month, next_month);
    created := created + 1;
  end loop;
  for part, month in
    select c.relname, to_date(right(c.relname, 6), 'YYYYMM')::timestamp at time zone 'UTC'
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'commit_ledger'::regclass and c.relname ~ '^commit_ledger_[0-9]{6}$' order by c.relname
  loop
    next_month := (month at time zone 'UTC' + interval '1 month') at time zone 'UTC';
    continue when next_month > at - keep_days * interval '1 day';
    execute format('drop table %I', part);
    dropped := dropped + 1;
  end loop;
  delete from commit_ledger_rest where applied_at < at - keep_days * interval '1 day';
  return next;
end $$;
revoke all on function keep_commit_months(timestamptz, int) from public;
grant execute on function keep_commit_months(timestamptz, int) to datamap_system;
