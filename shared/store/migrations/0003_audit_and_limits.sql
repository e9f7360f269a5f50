-- Who changed what. Rows are only ever added, each with a hash over itself and the row before it (shared/audit-chain.ts), one
-- chain per workspace. workspace_id 0: what belongs to no workspace, or was asked of one by somebody whom it does not know.
create table audit_log (
  workspace_id int not null,
  -- 1, 2, 3 … in this chain.
  sequence bigint not null,
  at timestamptz not null,
  -- Null: not by a token (the command line on the database itself).
  token_id uuid,
  actor text not null,
  -- Network address, where one is known.
  address text,
  request_id text,
  -- The route, without the workspace: `POST /data-sources/{name}/collect`.
  action text not null,
  -- The path, without the workspace.
  target text not null,
  outcome text not null check (outcome in ('done', 'refused', 'failed')),
  -- Why not: the problem's code.
  code text,
  -- What was asked, as JSON text; secrets as fingerprints. Text: the hash is over these very characters.
  detail text,
  hash bytea not null,
  primary key (workspace_id, sequence)
);

alter table audit_log enable row level security;
alter table audit_log force row level security;
create policy tenant on audit_log to datamap_tenant using (workspace_id = nullif(current_setting('datamap.workspace', true), '')::int) with check (workspace_id = nullif(current_setting('datamap.workspace', true), '')::int);
create policy system on audit_log to datamap_system using (true) with check (true);
-- No update, no delete: not for our own functions either.
grant select, insert on audit_log to datamap_tenant, datamap_system;

-- How many requests a token may still make at once; counts of minutes at most, so a crash may empty these two.
create unlogged table request_allowance (
  token_id uuid primary key references api_token on delete cascade,
  remaining real not null,
  updated_at timestamptz not null
) with (fillfactor = 50);

-- Tokens that were shown and are not good, by address, within a window of minutes.
create unlogged table sign_in_failure (
  address text primary key,
  count int not null,
  since timestamptz not null
) with (fillfactor = 50);

do $$ declare t text; begin
  foreach t in array array['request_allowance', 'sign_in_failure'] loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
    execute format('create policy system on %I to datamap_system using (true) with check (true)', t);
    execute format('grant select, insert, update, delete on %I to datamap_system', t);
  end loop;
end $$;
