import type { Transaction } from './database.ts';

/** Counted in rows: instances come and go, and there may be many at once. */

export interface RequestLimit {
  perSecond: number;
  /** What may come at once after a pause. */
  burst: number;
}

/** Of one token. */
export const TOKEN_LIMIT: RequestLimit = { perSecond: 50, burst: 200 };

/** Tokens that are not good, from one address, before it is told to stop. */
export const MAX_SIGN_IN_FAILURES = 10;
export const SIGN_IN_WINDOW_SECONDS = 600;

/** Takes one request out of what the token may make now; undefined: nothing is left. System transaction. */
export async function takeRequest(
  tx: Transaction,
  tokenId: string,
  limit: RequestLimit,
): Promise<{ remaining: number } | undefined> {
  // A clock that was set back leaves times in the future: the allowance is then whole again.
  const now = `least($2::real, case when a.updated_at > clock_timestamp() then $2::real
    else a.remaining + $3::real * extract(epoch from clock_timestamp() - a.updated_at)::real end)`;
  const [row] = await tx.query<{ remaining: number }>(
    `insert into request_allowance as a (token_id, remaining, updated_at) values ($1, $2::real - 1, clock_timestamp())
     on conflict (token_id) do update set remaining = ${now} - 1, updated_at = clock_timestamp() where ${now} >= 1
     returning remaining`,
    [tokenId, limit.burst, limit.perSecond],
  );
  return row && { remaining: Math.floor(row.remaining) };
}

/** Counts a token that was not good. `count` and the seconds left are of the address's present window. System transaction. */
export async function countSignInFailure(tx: Transaction, address: string): Promise<{ count: number; secondsLeft: number }> {
  const over = `f.since < clock_timestamp() - $2 * interval '1 second'`;
  const [row] = await tx.query<{ count: number; secondsLeft: number }>(
    `insert into sign_in_failure as f (address, count, since) values ($1, 1, clock_timestamp())
     on conflict (address) do update set count = case when ${over} then 1 else f.count + 1 end,
       since = case when ${over} then clock_timestamp() else f.since end
     returning count, ceil($2 - extract(epoch from clock_timestamp() - since))::int as "secondsLeft"`,
    [address, SIGN_IN_WINDOW_SECONDS],
  );
  // Each new window takes away a few that nobody asks about any more.
  if (row!.count === 1)
    await tx.query(
      `delete from sign_in_failure where address in (select address from sign_in_failure
         where since < clock_timestamp() - $1 * interval '1 second' limit 100 for update skip locked)`,
      [SIGN_IN_WINDOW_SECONDS],
    );
  return { count: row!.count, secondsLeft: Math.max(1, row!.secondsLeft) };
}
