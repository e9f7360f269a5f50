import type { Value } from './binary-row.ts';
import type { IndexSummary } from './index-manifest.ts';
import type { PartitionNaming } from './partition-path.ts';
import type { Problem, TableStatus } from './problem.ts';
import type { Schema } from './schema.ts';
import type { Snapshot, Tag } from './snapshot.ts';
import type { TableStatistics } from './statistics.ts';

/** All that is known of a table. 64-bit integers are bigint. Undefined means unknown, never zero. */
export interface TableMetadata extends TableView {
  database: string;
  table: string;
  status: TableStatus;
  problems: Problem[];
  /** As `probeTable` gives it; belongs to the state that was read. */
  changeToken: string;
  /** Each branch as a table of its own, by name; undefined for a branch whose schema cannot be read. */
  branches: Map<string, TableView | undefined>;
}

/** A table, or a branch of it: own schemas, snapshots, tags and consumers over shared manifests and data. */
export interface TableView {
  /** `''` is the main branch. */
  branch: string;
  /** `table`, `materialized-table`, `object-table`, `format-table`, … as the newest readable schema says. */
  type: string;
  /** Ids of schema files that are there, ascending. */
  schemaIds: bigint[];
  /** Those that could be read. */
  schemas: Schema[];
  latestSchemaId?: bigint;
  /** The newest readable schema; its id differs from `latestSchemaId` when that one is unreadable: label it stale. */
  schema?: Schema;
  /** Columns of the latest schema; where only that schema is unreadable, counted from the statistics of its data files. */
  fieldCount?: number;
  snapshotIds: bigint[];
  unreadableSnapshotIds: bigint[];
  /** Readable snapshots, ascending; live files where they were asked for. */
  snapshots: SnapshotView[];
  /** The current snapshot; undefined when there is none or it cannot be read. */
  latest?: Snapshot;
  /** When the newest snapshot cannot be read: the last one that can, and its live files. Stale. */
  lastReadable?: SnapshotView;
  /** Live files of the current snapshot; undefined when unknown. A table never written has zeros. */
  live?: LiveState;
  index?: IndexSummary;
  statistics?: TableStatistics;
  tags: TagView[];
  unreadableTags: string[];
  /** Consumer id → next snapshot id. */
  consumers: Map<string, bigint>;
  unreadableConsumers: string[];
  changelogIds: bigint[];
}

export interface SnapshotView {
  snapshot: Snapshot;
  /** Only with `full`; undefined where its manifests are gone. */
  live?: SnapshotLive;
}

export interface TagView {
  tag: Tag;
  live?: SnapshotLive;
}

/** Sums over the live files of one snapshot, and over the entries that make them. */
export interface SnapshotLive {
  manifests: number;
  entriesAdd: number;
  entriesDelete: number;
  files: number;
  size: bigint;
  records: bigint;
  /** Rows of kind delete; undefined where a file does not say. */
  deleteRecords?: bigint;
}

export interface LiveState {
  files: number;
  size: bigint;
  records: bigint;
  deleteRecords?: bigint;
  /** By last extension (`.parquet`). */
  byExtension: Map<string, number>;
  byLevel: Map<number, number>;
  externalPathFiles: number;
  /** Whether the rows add up to the snapshot's total; undefined where it has none. */
  totalsMatch?: boolean;
  partitions: PartitionState[];
}

export interface PartitionState {
  /** `_PARTITION` as stored, in hex: the only key that keeps null, empty text and the default name apart. */
  hex: string;
  /** By column, in the order of the partition keys; undefined where the columns cannot be typed. */
  values?: readonly Value[];
  naming?: PartitionNaming;
  /** Folder below the table; undefined where metadata does not tell it. */
  path?: string;
  files: number;
  size: bigint;
  records: bigint;
  /** Ascending; -2 is the postpone bucket. */
  buckets: { bucket: number; files: number; size: bigint; records: bigint }[];
  /** Distinct bucket counts that live files were written with, ascending. */
  totalBuckets: number[];
  /** Writer's wall clock in milliseconds as if UTC: compare only with itself. */
  lastCreationWallClockMillis?: bigint;
  /** `_SUCCESS` lies in the folder. Only with `full`. */
  markedDone?: boolean;
}
