import type { Snapshot } from '../../shared/paimon/snapshot.ts';
import type { GapCause, LedgerGap } from '../../shared/store/commit-ledger.ts';

/** Of a table seen for the first time: so many of its newest commits are read, the others are a gap. */
export const FIRST_SEEN_COMMITS = 100;
/** Commits of one branch that one look adds at most; what is older becomes a gap. */
export const MAX_COMMITS = 1_000;

export type PlannedEntry = LedgerGap | { snapshot: Snapshot };

export interface CommitPlan {
  /** To append, in order. */
  entries: PlannedEntry[];
  /** The snapshot up to which the branch agrees with the ledger already; undefined: nothing of it is known. */
  agreesWith?: Snapshot;
  /** Applied commits up to this id were taken back. */
  rolledBackFrom?: bigint;
}

/**
 * What the ledger lacks of a branch. Pure. Continues after the newest snapshot that the ledger holds already: usually the last
 * applied one, an older one after a rollback. `isKnown`: the ledger holds this very snapshot.
 */
export function planCommits(view: {
  branch: string;
  /** Readable, ascending. */
  snapshots: readonly Snapshot[];
  unreadableIds: readonly bigint[];
  /** The last applied commit; undefined for a branch, or a life of the table, that is new. */
  position: { snapshotId: bigint } | undefined;
  isKnown(snapshot: Snapshot): boolean;
}): CommitPlan {
  const { snapshots, position } = view;
  if (position === undefined) return firstSeen(view);
  const agreesWith = snapshots.findLast((snapshot) => view.isKnown(snapshot));
  const isBehind = agreesWith ? agreesWith.id < position.snapshotId : false;
  const candidates = agreesWith ? snapshots.filter((snapshot) => snapshot.id > agreesWith.id) : snapshots;
  const first = candidates[0];
  // Ids that were applied already stand for other commits now, and the snapshot that both share is gone.
  const isReplaced = agreesWith === undefined && first !== undefined && first.id <= position.snapshotId;
  const after = agreesWith?.id ?? (isReplaced ? first.id - 1n : position.snapshotId);
  return {
    entries: withGaps(candidates, after, view.unreadableIds, agreesWith ? 'missing' : 'expired', MAX_COMMITS, 'too-many'),
    ...(agreesWith && { agreesWith }),
    ...((isBehind || isReplaced) && { rolledBackFrom: position.snapshotId }),
  };
}

/** Ids below a branch's first snapshot belong to the branch that it was made from: no gap of its own. */
function firstSeen(view: { branch: string; snapshots: readonly Snapshot[]; unreadableIds: readonly bigint[] }): CommitPlan {
  const first = view.snapshots[0];
  if (!first) return { entries: [] };
  const after = view.branch === '' ? 0n : first.id - 1n;
  return { entries: withGaps(view.snapshots, after, view.unreadableIds, 'first-seen', FIRST_SEEN_COMMITS, 'first-seen') };
}

/** Snapshots with what is missing before and between them; of more than `most` the oldest are a gap. */
function withGaps(
  snapshots: readonly Snapshot[],
  after: bigint,
  unreadableIds: readonly bigint[],
  causeBefore: GapCause,
  most: number,
  causeOver: GapCause,
): PlannedEntry[] {
  const taken = snapshots.slice(-most);
  const isCut = taken.length < snapshots.length;
  const unreadable = new Set(unreadableIds);
  const entries: PlannedEntry[] = [];
  let last = after;
  for (const snapshot of taken) {
    if (snapshot.id > last + 1n) {
      const isFirst = last === after;
      const cause = isFirst ? (isCut ? causeOver : causeBefore) : 'missing';
      const isUnreadable = !(isFirst && isCut) && rangeIsIn(unreadable, last + 1n, snapshot.id - 1n);
      entries.push({ from: last + 1n, to: snapshot.id - 1n, cause: isUnreadable ? 'unreadable' : cause });
    }
    entries.push({ snapshot });
    last = snapshot.id;
  }
  return entries;
}

function rangeIsIn(ids: ReadonlySet<bigint>, from: bigint, to: bigint): boolean {
  if (to - from >= BigInt(ids.size)) return false;
  for (let id = from; id <= to; id++) if (!ids.has(id)) return false;
  return true;
}
