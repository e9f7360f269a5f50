import { appendAudit, INSTALLATION } from '../../shared/store/audit-log.ts';
import type { Transaction } from '../../shared/store/database.ts';
import {
  countSignInFailure,
  MAX_SIGN_IN_FAILURES,
  type RequestLimit,
  SIGN_IN_WINDOW_SECONDS,
} from '../../shared/store/request-limits.ts';
import { Problem } from './problem.ts';

/** Of an address that shows no token, in one function instance: these requests cost nothing but the instance's time. */
const ANONYMOUS: RequestLimit = { perSecond: 10, burst: 20 };
const MAX_ADDRESSES = 10_000;
const anonymous = new Map<string, { remaining: number; at: number }>();

/** Throws for an address that asks too often without a token. */
export function limitAnonymous(address: string | undefined, now = performance.now()): void {
  if (address === undefined) return;
  const before = anonymous.get(address) ?? { remaining: ANONYMOUS.burst, at: now };
  const remaining = Math.min(ANONYMOUS.burst, before.remaining + (ANONYMOUS.perSecond * (now - before.at)) / 1_000);
  // Put last: those that have not asked for long are the first to be forgotten.
  anonymous.delete(address);
  anonymous.set(address, { remaining: remaining >= 1 ? remaining - 1 : remaining, at: now });
  for (const [oldest] of anonymous) {
    if (anonymous.size <= MAX_ADDRESSES) break;
    anonymous.delete(oldest);
  }
  if (remaining < 1) throw rateLimited(`${ANONYMOUS.perSecond} requests a second without a token`, {});
}

/**
 * Counts a token that is not good; throws once an address showed too many. A good token works from there all the same: 256
 * random bits are not guessed, and one forgotten script must not shut out everybody behind its address.
 */
export async function failedSignIn(
  tx: Transaction,
  address: string | undefined,
  requestId: string,
): Promise<Problem | undefined> {
  if (address === undefined) return undefined;
  const { count, secondsLeft } = await countSignInFailure(tx, address);
  if (count <= MAX_SIGN_IN_FAILURES) return undefined;
  if (count === MAX_SIGN_IN_FAILURES + 1)
    await appendAudit(tx, INSTALLATION, {
      tokenId: null,
      actor: 'nobody',
      address,
      requestId,
      action: 'sign in',
      target: '/',
      outcome: 'refused',
      code: 'too-many-sign-ins',
    });
  return new Problem(
    429,
    'too-many-sign-ins',
    `${MAX_SIGN_IN_FAILURES} tokens from this address were not good within ${SIGN_IN_WINDOW_SECONDS / 60} minutes. Wait, or send a good one.`,
    { headers: { 'retry-after': String(secondsLeft) } },
  );
}

/** What a token may still ask, as draft-ietf-httpapi-ratelimit-headers says it. */
export function limitHeaders(limit: RequestLimit, remaining: number): Record<string, string> {
  const window = Math.ceil(limit.burst / limit.perSecond);
  const untilFull = Math.ceil((limit.burst - remaining) / limit.perSecond);
  return { 'ratelimit-policy': `"token";q=${limit.burst};w=${window}`, ratelimit: `"token";r=${remaining};t=${untilFull}` };
}

export function rateLimited(what: string, headers: Record<string, string>): Problem {
  return new Problem(429, 'rate-limited', `More than ${what}. Wait a second and go on.`, {
    headers: { ...headers, 'retry-after': '1' },
  });
}
