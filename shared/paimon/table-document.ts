import type { DataField } from './data-type.ts';
import type { Json } from './int64-json.ts';
import type { Schema } from './schema.ts';
import type {
  LiveState,
  PartitionState,
  SnapshotLive,
  SnapshotView,
  TableMetadata,
  TableView,
  TagView,
} from './table-metadata.ts';
import { plainLong, plainValue, wallClock } from './value-text.ts';

/** Plain JSON: integers beyond 2^53 as strings. */
export type PlainJson = null | boolean | number | string | PlainJson[] | { [name: string]: PlainJson };
export type PlainObject = { [name: string]: PlainJson };

/** A table in the names and shapes of `datamap inspect --full --json`; null where something is unknown. */
export function toDocument(table: TableMetadata): PlainObject {
  const document: PlainObject = viewDocument(table);
  document.problems = table.problems.map((problem) => ({ ...problem }));
  if (table.branches.size > 0) {
    document.branches = object([...table.branches].map(([name, view]) => [name, view ? viewDocument(view) : null]));
  }
  return document;
}

function viewDocument(view: TableView): PlainObject {
  const { schema, latest, live } = view;
  const document: PlainObject = {
    type: view.type,
    latestSchemaId: long(view.latestSchemaId),
    schemaIds: view.schemaIds.map(plainLong),
    fieldCount: view.fieldCount ?? null,
    ...(schema
      ? definition(schema)
      : { fields: null, primaryKeys: null, partitionKeys: null, comment: null, options: null, highestFieldId: null }),
    schemaVersion: schema?.storedVersion ?? null,
    schemas: view.schemas.map((each) => ({ id: plainLong(each.id), timeMillis: long(each.timeMillis), ...definition(each) })),
    latestSnapshotId: long(latest?.id),
    earliestSnapshotId: long(view.snapshotIds[0]),
    snapshotIds: view.snapshotIds.map(plainLong),
    latestSnapshotSchemaId: long(latest?.schemaId),
    totalRecordCount: long(latest?.totalRecordCount),
    ...liveDocument(live),
    index: view.index
      ? {
          manifest: view.index.manifest,
          files: object(view.index.files),
          deletionVectorRanges: view.index.deletionVectorRanges,
          deletedRowsByDeletionVectors: long(view.index.deletedRows),
        }
      : null,
    statisticsFile: latest?.statistics ?? null,
    statistics: view.statistics ? statisticsDocument(view) : null,
    nextRowId: long(latest?.nextRowId),
    watermark: long(latest?.watermark),
    commitIdentifier: latest ? plain(latest.raw.commitIdentifier ?? null) : null,
    latestSnapshot: latest ? plain(latest.raw) : null,
    snapshots: view.snapshots.map(snapshotDocument),
    snapshotsWithChangelog: view.snapshots.filter(({ snapshot }) => snapshot.changelogManifestList !== undefined).length,
    tags: object(view.tags.map((tag) => [tag.tag.name, tagDocument(tag)])),
    changelogIds: view.changelogIds.map(plainLong),
    consumers: object([...view.consumers].map(([id, next]) => [id, plainLong(next)])),
  };
  if (schema && schema.id !== view.latestSchemaId) document.lastReadableSchemaId = plainLong(schema.id);
  if (view.lastReadable) {
    document.lastReadableSnapshotId = plainLong(view.lastReadable.snapshot.id);
    document.lastReadableTotalRecordCount = long(view.lastReadable.snapshot.totalRecordCount);
    document.lastReadableLiveFileCount = view.lastReadable.live?.files ?? null;
  }
  if (view.unreadableSnapshotIds.length > 0) document.unreadableSnapshotIds = view.unreadableSnapshotIds.map(plainLong);
  if (view.unreadableTags.length > 0) document.unreadableTags = view.unreadableTags;
  if (view.unreadableConsumers.length > 0) document.unreadableConsumers = view.unreadableConsumers;
  return document;
}

function definition(schema: Schema): PlainObject {
  return {
    fields: schema.fields.map(fieldDocument),
    primaryKeys: schema.primaryKeys,
    partitionKeys: schema.partitionKeys,
    comment: schema.comment ?? null,
    options: object(schema.options),
    highestFieldId: schema.highestFieldId,
  };
}

export function fieldDocument(field: DataField): PlainObject {
  return {
    id: field.id,
    name: field.name,
    type: field.type.text,
    nullable: field.type.nullable,
    ...(field.description === undefined ? {} : { description: field.description }),
    ...(field.defaultValue === undefined ? {} : { defaultValue: field.defaultValue }),
  };
}

function liveDocument(live: LiveState | undefined): PlainObject {
  return {
    liveFileCount: live?.files ?? null,
    liveFileSize: long(live?.size),
    liveFileRowCount: long(live?.records),
    liveDeleteRowCount: long(live?.deleteRecords),
    partitionCount: live?.partitions.length ?? null,
    partitions: live?.partitions.map(partitionDocument) ?? null,
    liveFilesByExtension: live ? object(live.byExtension) : null,
    liveFilesByLevel: live
      ? object([...live.byLevel].sort(([a], [b]) => a - b).map(([level, files]) => [String(level), files]))
      : null,
    externalPathFiles: live?.externalPathFiles ?? null,
    totalsMatch: live?.totalsMatch ?? null,
  };
}

export function partitionDocument(partition: PartitionState): PlainObject {
  const { values, naming } = partition;
  const several = partition.buckets.length > 1;
  return {
    partition: values && naming ? object(naming.keys.map((key, i) => [key, plainValue(values[i], naming.types[i]!)])) : null,
    path: partition.path ?? null,
    hex: partition.hex,
    files: partition.files,
    size: plainLong(partition.size),
    records: plainLong(partition.records),
    buckets: partition.buckets.map(({ bucket }) => bucket),
    lastFileCreationWallClock:
      partition.lastCreationWallClockMillis === undefined ? null : wallClock(partition.lastCreationWallClockMillis),
    totalBuckets: partition.totalBuckets,
    ...(several
      ? {
          perBucket: object(
            partition.buckets.map(({ bucket, files, size, records }) => [
              String(bucket),
              { files, size: plainLong(size), records: plainLong(records) },
            ]),
          ),
        }
      : {}),
    ...(partition.markedDone ? { markedDone: true } : {}),
  };
}

function snapshotDocument({ snapshot, live }: SnapshotView): PlainObject {
  const { raw } = snapshot;
  return {
    id: plainLong(snapshot.id),
    schemaId: plainLong(snapshot.schemaId),
    commitKind: snapshot.commitKind,
    commitUser: snapshot.commitUser,
    commitIdentifier: plain(raw.commitIdentifier ?? null),
    timeMillis: long(snapshot.timeMillis),
    totalRecordCount: long(snapshot.totalRecordCount),
    deltaRecordCount: long(snapshot.deltaRecordCount),
    changelogRecordCount: long(snapshot.changelogRecordCount),
    watermark: long(snapshot.watermark),
    ...(live
      ? {
          manifests: live.manifests,
          entriesAdd: live.entriesAdd,
          entriesDelete: live.entriesDelete,
          ...sumsDocument(live),
          liveDeleteRowCount: long(live.deleteRecords),
        }
      : {}),
  };
}

function tagDocument({ tag, live }: TagView): PlainObject {
  return {
    snapshotId: plainLong(tag.snapshot.id),
    schemaId: plainLong(tag.snapshot.schemaId),
    totalRecordCount: long(tag.snapshot.totalRecordCount),
    ...(live ? sumsDocument(live) : {}),
    ...(tag.createTime === undefined ? {} : { tagCreateTime: tag.createTime }),
    ...(tag.timeRetained === undefined ? {} : { tagTimeRetained: tag.timeRetained }),
  };
}

function sumsDocument(live: SnapshotLive): PlainObject {
  return { liveFiles: live.files, liveFileSize: plainLong(live.size), liveFileRowCount: plainLong(live.records) };
}

function statisticsDocument(view: TableView): PlainObject {
  const { snapshotId, schemaId, mergedRecordCount, mergedRecordSize, columns } = view.statistics!;
  return present({
    snapshotId: plainLong(snapshotId),
    schemaId: plainLong(schemaId),
    mergedRecordCount: long(mergedRecordCount),
    mergedRecordSize: long(mergedRecordSize),
    colStats: object(
      [...columns].map(([name, column]) => [
        name,
        present({
          colId: column.columnId,
          distinctCount: long(column.distinctCount),
          min: column.min ?? null,
          max: column.max ?? null,
          nullCount: long(column.nullCount),
          avgLen: long(column.avgLen),
          maxLen: long(column.maxLen),
        }),
      ]),
    ),
  });
}

/** Leaves out what is null, as the statistics file does. */
function present(values: PlainObject): PlainObject {
  return object(Object.entries(values).filter(([, value]) => value !== null));
}

function long(value: bigint | undefined): PlainJson {
  return value === undefined ? null : plainLong(value);
}

function plain(json: Json): PlainJson {
  if (typeof json === 'bigint') return plainLong(json);
  if (Array.isArray(json)) return json.map(plain);
  if (json !== null && typeof json === 'object') return object(Object.entries(json).map(([name, value]) => [name, plain(value)]));
  return json;
}

/** Names are other people's data: `__proto__` must become a plain property. */
function object(entries: Iterable<readonly [string, PlainJson]>): PlainObject {
  return Object.fromEntries(entries);
}
