import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FIRST_SEEN_COMMITS, MAX_COMMITS, planCommits } from '../../../functions/collect-tables/commit-plan.ts';
import { type Snapshot, snapshotIdentity } from '../../../shared/paimon/snapshot.ts';

const snapshot = (id: number, uuid = `${id}`): Snapshot => ({
  version: 3,
  id: BigInt(id),
  schemaId: 0n,
  uuid,
  baseManifestList: 'b',
  deltaManifestList: 'd',
  commitUser: 'u',
  commitKind: 'APPEND',
  raw: {},
});
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => snapshot(from + i));

/** What the collector keeps between two looks. */
class Ledger {
  rows: Array<{ from: bigint; to: bigint; identity?: string; cause?: string }> = [];
  position: { snapshotId: bigint } | undefined;

  look(snapshots: readonly Snapshot[], unreadableIds: readonly bigint[] = [], branch = '') {
    const known = new Set(this.rows.map((row) => row.identity));
    const isKnown = (each: Snapshot) => known.has(snapshotIdentity(each));
    const plan = planCommits({ branch, snapshots, unreadableIds, position: this.position, isKnown });
    for (const entry of plan.entries)
      this.rows.push(
        'snapshot' in entry
          ? { from: entry.snapshot.id, to: entry.snapshot.id, identity: snapshotIdentity(entry.snapshot) }
          : entry,
      );
    const last = plan.entries.findLast((entry) => 'snapshot' in entry);
    if (last) this.position = { snapshotId: last.snapshot.id };
    else if (plan.rolledBackFrom !== undefined && plan.agreesWith) this.position = { snapshotId: plan.agreesWith.id };
    return plan;
  }

  get short() {
    return this.rows.map((row) => (row.cause ? `${row.from}-${row.to} ${row.cause}` : `${row.from}`));
  }
}

describe('planCommits', () => {
  it('holds every commit that a look showed, once, and covers every id, whatever writers do between two looks', () => {
    const steps = fc.array(
      fc.record({
        commits: fc.integer({ min: 0, max: 6 }),
        expired: fc.integer({ min: 0, max: 4 }),
        rolledBack: fc.integer({ min: 0, max: 3 }),
      }),
      { minLength: 1, maxLength: 25 },
    );
    fc.assert(
      fc.property(steps, fc.boolean(), (looks, withRollbacks) => {
        const ledger = new Ledger();
        let present: Snapshot[] = [];
        let written = 0;
        const shown = new Set<string>();
        for (const { commits, expired, rolledBack } of looks) {
          if (withRollbacks && present.length > rolledBack) present = present.slice(0, present.length - rolledBack);
          const newest = Number(present.at(-1)?.id ?? 0n);
          for (let i = 1; i <= commits; i++) present.push(snapshot(newest + i, `commit ${++written}`));
          present = present.slice(Math.min(expired, Math.max(0, present.length - 1)));
          ledger.look(present);
          for (const each of present) shown.add(snapshotIdentity(each));
          const identities = ledger.rows.flatMap((row) => row.identity ?? []);
          expect(new Set(identities).size).toBe(identities.length);
          expect(new Set(identities)).toEqual(shown);
          expect(ledger.position?.snapshotId).toBe(present.at(-1)?.id);
          if (!withRollbacks) {
            let next = 1n;
            for (const row of ledger.rows) {
              expect(row.from).toBe(next);
              expect(row.to).toBeGreaterThanOrEqual(row.from);
              next = row.to + 1n;
            }
          }
          // Looking again adds nothing.
          expect(ledger.look(present).entries).toEqual([]);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('takes the newest commits of a table that is new, and says what it left out', () => {
    const ledger = new Ledger();
    ledger.look(range(1, 250));
    expect(ledger.short[0]).toBe(`1-${250 - FIRST_SEEN_COMMITS} first-seen`);
    expect(ledger.rows).toHaveLength(1 + FIRST_SEEN_COMMITS);
  });

  it('takes a bounded number of commits at once of a table that it follows', () => {
    const ledger = new Ledger();
    ledger.look(range(1, 5));
    ledger.look(range(1, 5 + MAX_COMMITS + 3));
    expect(ledger.short.slice(5, 7)).toEqual(['6-8 too-many', '9']);
    expect(ledger.rows).toHaveLength(5 + 1 + MAX_COMMITS);
  });

  it('tells an unreadable snapshot from a missing one, and never goes past one that may still be read', () => {
    const ledger = new Ledger();
    ledger.look([...range(1, 3)], [4n]);
    expect(ledger.short).toEqual(['1', '2', '3']);
    ledger.look([...range(1, 3), snapshot(5)], [4n]);
    ledger.look([...range(1, 3), snapshot(5), snapshot(8)], [4n]);
    expect(ledger.short).toEqual(['1', '2', '3', '4-4 unreadable', '5', '6-7 missing', '8']);
  });

  it('begins a branch at its first snapshot', () => {
    const ledger = new Ledger();
    ledger.look(range(7, 9), [], 'audit');
    expect(ledger.short).toEqual(['7', '8', '9']);
  });

  it('says so when ids stand for other commits and nothing is shared any more', () => {
    const ledger = new Ledger();
    ledger.look(range(1, 6));
    const plan = ledger.look([snapshot(4, 'other 4'), snapshot(5, 'other 5')]);
    expect(plan.rolledBackFrom).toBe(6n);
    expect(ledger.short.slice(6)).toEqual(['4', '5']);
  });
});
