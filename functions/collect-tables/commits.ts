import type { ObjectStore } from '../../shared/object-store/object-store.ts';
import { type CommitDelta, readCommitDeltas } from '../../shared/paimon/commit.ts';
import { type Snapshot, snapshotIdentity } from '../../shared/paimon/snapshot.ts';
import type { TableLocation, TableMetadata, TableView } from '../../shared/paimon/table.ts';
import {
  knownIdentities,
  type LedgerAppend,
  type LedgerCommit,
  type LedgerPosition,
  loadPositions,
} from '../../shared/store/commit-ledger.ts';
import type { TenantTransaction } from '../../shared/store/database.ts';
import { storableText } from '../../shared/store/storable.ts';
import { planCommits } from './commit-plan.ts';
import { int64 } from './table-record.ts';

/** What the ledger knew when a table was read. */
export interface LedgerBefore {
  positions: Map<string, LedgerPosition>;
  known: Map<string, Set<string>>;
}

/** What the ledger holds of the snapshots that were read; nothing for a table that is new. One transaction, no writes. */
export async function loadLedger(
  tx: TenantTransaction,
  table: { tableId: string } | undefined,
  metadata: TableMetadata,
): Promise<LedgerBefore> {
  const before: LedgerBefore = { positions: new Map(), known: new Map() };
  if (!table) return before;
  before.positions = await loadPositions(tx, table.tableId);
  for (const view of viewsOf(metadata)) {
    const branch = storableText(view.branch);
    const position = before.positions.get(branch);
    if (!position) continue;
    const present = view.snapshots.map(({ snapshot }) => ({ id: snapshot.id, identity: identityOf(snapshot) }));
    before.known.set(branch, await knownIdentities(tx, table.tableId, branch, position.incarnation, present));
  }
  return before;
}

/**
 * What the ledger lacks, with the deltas read: two or three GETs a commit, fewer where the table's own read brought the objects.
 * `isNewLife`: the table was dropped and made again; what the ledger holds is of another one.
 */
export async function missingCommits(
  store: ObjectStore,
  location: TableLocation,
  metadata: TableMetadata,
  before: LedgerBefore,
  options: { isNewLife: boolean; signal: AbortSignal },
): Promise<LedgerAppend[]> {
  const appends: LedgerAppend[] = [];
  for (const view of viewsOf(metadata)) {
    const branch = storableText(view.branch);
    const stored = before.positions.get(branch);
    const plan = planCommits({
      branch,
      snapshots: view.snapshots.map(({ snapshot }) => snapshot),
      unreadableIds: view.unreadableSnapshotIds,
      position: options.isNewLife ? undefined : stored,
      isKnown: (snapshot) => before.known.get(branch)?.has(identityOf(snapshot)) ?? false,
    });
    const snapshots = plan.entries.flatMap((entry) => ('snapshot' in entry ? [entry.snapshot] : []));
    const deltas = await readCommitDeltas(store, location, snapshots, { signal: options.signal });
    const bySnapshot = new Map(snapshots.map((snapshot, i) => [snapshot, deltas[i]]));
    const { agreesWith, rolledBackFrom } = plan;
    if (plan.entries.length === 0 && rolledBackFrom === undefined) continue;
    appends.push({
      branch,
      before: stored,
      entries: plan.entries.map((entry) =>
        'snapshot' in entry ? commitOf(entry.snapshot, bySnapshot.get(entry.snapshot)) : entry,
      ),
      ...(rolledBackFrom !== undefined && {
        rollback: {
          from: rolledBackFrom,
          to: agreesWith ? { snapshotId: agreesWith.id, identity: identityOf(agreesWith) } : null,
        },
      }),
    });
  }
  return appends;
}

function viewsOf(metadata: TableMetadata): TableView[] {
  return [metadata, ...metadata.branches.values()].filter((view) => view !== undefined);
}

function identityOf(snapshot: Snapshot): string {
  return storableText(snapshotIdentity(snapshot));
}

/** The format's words → the ledger's. */
function commitOf(snapshot: Snapshot, delta: CommitDelta | undefined): LedgerCommit {
  return {
    snapshotId: snapshot.id,
    identity: identityOf(snapshot),
    schemaId: int64(snapshot.schemaId),
    commitKind: storableText(snapshot.commitKind),
    commitUser: storableText(snapshot.commitUser),
    commitIdentifier: int64(snapshot.commitIdentifier),
    watermark: int64(snapshot.watermark),
    timeMillis: int64(snapshot.timeMillis),
    totalRows: int64(snapshot.totalRecordCount),
    deltaRows: int64(snapshot.deltaRecordCount),
    changelogRows: int64(snapshot.changelogRecordCount),
    delta: delta && fits(delta) ? delta : null,
  };
}

/** Sums beyond 64 bits come from damage. */
function fits(delta: CommitDelta): boolean {
  return [delta.rowsAdded, delta.rowsDeleted, delta.bytesAdded, delta.bytesDeleted].every((sum) => sum < 2n ** 63n);
}
