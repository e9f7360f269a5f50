import type { Access } from '../credentials/environment-store.ts';
import type { Check, EnvironmentConfig, Finding } from '../data-source.ts';
import type { Verdict } from '../store/connectivity-tests.ts';
import { accessSteps } from './access-checks.ts';
import { nameOfError } from './cause-of-error.ts';
import { type CauseCode, type CauseContext, explain } from './causes.ts';
import { type Dial, networkSteps } from './network-checks.ts';
import { warehouseSteps } from './warehouse-checks.ts';

/** What a check found. `suggestion` and `skewSeconds` go into the texts of its cause. */
export type Outcome =
  | { status: 'ok'; evidence: string }
  | { status: 'skipped'; evidence: string }
  | {
      status: 'warning' | 'failed';
      cause: CauseCode;
      evidence: string;
      suggestion?: string | undefined;
      skewSeconds?: number | undefined;
      /** Instead of the cause's own texts, where a rule has said it better. */
      texts?: { causes: string[]; remedy: string } | undefined;
    };

/** One question. What it learns for later ones it keeps in its own state; a later one runs only when no earlier one failed. */
export interface Step {
  id: string;
  title: string;
  limitMs: number;
  /** What to say when the limit is reached. */
  silentCause: CauseCode;
  run(signal: AbortSignal): Promise<Outcome>;
}

export interface TestSubject {
  config: EnvironmentConfig;
  sealedSecret?: unknown;
  /** What the rules said of this environment. */
  findings: readonly Finding[];
}

export interface TestOptions {
  access: Access;
  /** Longest time for all checks together. At most and by default 25 s, which leaves time to write the result. */
  budgetMs?: number;
  now?: () => Date;
  /** For tests: instead of opening a real connection. */
  dial?: Dial;
  /** Told after each check, with all so far. */
  onCheck?: (checks: readonly Check[]) => Promise<void>;
}

const MAX_BUDGET_MS = 25_000;

/**
 * Asks the ordered questions of a connectivity test of one environment. Reads only, at most 40 requests. Always ends
 * within the budget, whatever hangs, and never throws for what the other side does; what `onCheck` throws comes through.
 */
export async function runChecks(subject: TestSubject, options: TestOptions): Promise<{ verdict: Verdict; checks: Check[] }> {
  const endsAt = performance.now() + Math.min(options.budgetMs ?? MAX_BUDGET_MS, MAX_BUDGET_MS);
  const { config } = subject;
  const context: CauseContext = { config, ownRegion: options.access.settings.ownRegion };
  const network = networkSteps(subject, options, context);
  const reach = accessSteps(subject, options, network.state);
  const steps = [...network.steps, ...reach.steps, ...warehouseSteps(config, reach.state)];
  const checks: Check[] = [];
  let failed: Step | undefined;
  for (const step of steps) {
    checks.push(failed ? skippedBecauseOf(step, failed) : await ask(step, endsAt, context));
    if (checks.at(-1)!.status === 'failed') failed = step;
    await options.onCheck?.(checks);
  }
  return { verdict: failed ? 'failed' : 'connected', checks };
}

async function ask(step: Step, endsAt: number, context: CauseContext): Promise<Check> {
  const startedAt = performance.now();
  const leftMs = endsAt - startedAt;
  const limitMs = Math.min(step.limitMs, leftMs);
  let outcome: Outcome;
  if (leftMs <= 0) outcome = { status: 'failed', cause: 'out-of-time', evidence: 'no time was left for this check' };
  else {
    const silentCause = leftMs < step.limitMs ? 'out-of-time' : step.silentCause;
    outcome = await within(limitMs, (signal) => step.run(signal), silentCause);
  }
  const base = { id: step.id, title: step.title, evidence: outcome.evidence, causes: [] };
  const durationMs = Math.round(performance.now() - startedAt);
  if (outcome.status === 'ok' || outcome.status === 'skipped') return { ...base, status: outcome.status, durationMs };
  const { suggestion, skewSeconds, texts } = outcome;
  const explained = explain(outcome.cause, {
    ...context,
    ...(suggestion !== undefined && { suggestion }),
    ...(skewSeconds !== undefined && { skewSeconds }),
  });
  return { ...base, status: outcome.status, ...explained, ...texts, durationMs };
}

/** Whatever the work does, an answer comes within the limit: it is told to stop and not waited for. */
async function within(
  limitMs: number,
  work: (signal: AbortSignal) => Promise<Outcome>,
  silentCause: CauseCode,
): Promise<Outcome> {
  const stop = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Outcome>((resolve) => {
    timer = setTimeout(() => {
      resolve({ status: 'failed', cause: silentCause, evidence: `no answer within ${Math.round(limitMs)} ms` });
      stop.abort(new Error('the time for this check is over'));
    }, limitMs);
  });
  const done = work(stop.signal).catch(
    (error: unknown): Outcome => ({ status: 'failed', cause: 'unexpected', evidence: nameOfError(error) }),
  );
  try {
    return await Promise.race([done, late]);
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
}

function skippedBecauseOf({ id, title }: Step, failed: Step): Check {
  return { id, title, status: 'skipped', evidence: `not asked, because "${failed.title}" failed`, causes: [], durationMs: 0 };
}
