import type { TenantTransaction } from './database.ts';

/** What the last read of a table left for the next one, beside the state that it belongs to. Opaque here. */

/** undefined: nothing was left, or for another state than the one with this change token. */
export async function loadMemory(tx: TenantTransaction, tableId: string, changeToken: string): Promise<Buffer | undefined> {
  const [row] = await tx.query<{ content: Buffer | null }>(
    'select content from table_memory where table_id = $1 and change_token = $2',
    [tableId, changeToken],
  );
  return row?.content ?? undefined;
}

/**
 * Replaces it, in the transaction that writes the state. `readWhole`: why commits could not be added to what was known;
 * undefined when they were, or nothing was known.
 */
export async function keepMemory(
  tx: TenantTransaction,
  tableId: string,
  memory: { changeToken: string; content: Buffer | null; isFollowed: boolean; readWhole: readonly string[] },
): Promise<void> {
  await tx.query(
    `insert into table_memory as memory (workspace_id, table_id, change_token, content, followed, read_whole)
     values ($1, $2, $3, $4, $5, (select coalesce(jsonb_object_agg(reason, 1), '{}') from unnest($6::text[]) as why(reason)))
     on conflict (table_id) do update set change_token = excluded.change_token, content = excluded.content,
       followed = memory.followed + excluded.followed,
       read_whole = memory.read_whole || (select coalesce(jsonb_object_agg(reason, coalesce((memory.read_whole ->> reason)::bigint, 0) + 1), '{}')
         from unnest($6::text[]) as why(reason))`,
    [tx.workspaceId, tableId, memory.changeToken, memory.content, memory.isFollowed ? 1 : 0, [...new Set(memory.readWhole)]],
  );
}
