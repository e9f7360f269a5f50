import { createHash } from 'node:crypto';
import type { Schema } from '../../shared/paimon/schema.ts';
import { snapshotIdentity } from '../../shared/paimon/snapshot.ts';
import type { TableMetadata, TableView } from '../../shared/paimon/table.ts';
import { fieldDocument, type PlainObject, partitionDocument, toDocument } from '../../shared/paimon/table-document.ts';
import { searchDocuments } from '../../shared/store/lexemes.ts';
import { storableJson, storableText } from '../../shared/store/storable.ts';
import type { PartitionRecord, TableRecord } from '../../shared/store/table-map.ts';

/**
 * Raise it when a new version of the reader or of this mapping would give other rows for the same warehouse: every table is
 * then read again, once.
 */
const RECORD_VERSION = 1;

/** What is stored of a probe's token, so that a new version looks again. */
export function storedToken(probeToken: string): string {
  return `${RECORD_VERSION}|${probeToken}`;
}

/** The probe's own token; undefined for one of another version. */
export function probeTokenOf(stored: string | null): string | undefined {
  const version = `${RECORD_VERSION}|`;
  return stored?.startsWith(version) ? stored.slice(version.length) : undefined;
}

/** The reader's words → the map's. Pure. */
export function recordOf(metadata: TableMetadata, cost: { requests: number; bytes: number }): TableRecord {
  const { schema, latest, live } = metadata;
  const comment = textOrNull(schema?.comment);
  const owner = textOrNull(schema?.options.get('owner'));
  const mergeEngine = textOrNull(schema?.options.get('merge-engine'));
  const columns = schema?.fields ?? [];
  const search = searchDocuments({
    database: metadata.database,
    table: metadata.table,
    ...(comment && { comment }),
    ...(owner && { owner }),
    ...(mergeEngine && { mergeEngine }),
    columns: columns.map((field) => ({
      name: storableText(field.name),
      ...(field.description && { description: storableText(field.description) }),
    })),
  });
  const document = storableJson(withoutPartitions(toDocument(metadata)));
  const partitions = partitionsOf(metadata);
  const isCleaned = document.isCleaned || (partitions?.some((partition) => partition.isCleaned) ?? false);
  return {
    database: metadata.database,
    table: metadata.table,
    status: metadata.status,
    problems: storableJson(isCleaned ? [...metadata.problems, CLEANED] : metadata.problems).json!,
    changeToken: storedToken(metadata.changeToken),
    readRequests: cost.requests,
    readBytes: cost.bytes,
    definition: {
      type: storableText(metadata.type),
      comment,
      owner,
      primaryKeys: (schema?.primaryKeys ?? []).map(storableText),
      partitionKeys: (schema?.partitionKeys ?? []).map(storableText),
      mergeEngine,
      schemaId: metadata.latestSchemaId ?? null,
      columnCount: metadata.fieldCount ?? columns.length,
      columns: storableJson(columns.map(fieldDocument)).json!,
      options: storableJson(schema?.options ?? new Map()).json!,
    },
    snapshotId: latest?.id ?? null,
    snapshotIdentity: latest ? storableText(snapshotIdentity(latest)) : null,
    creationIdentity: creationIdentityOf(metadata.schemas),
    rowCount: int64(live?.records ?? latest?.totalRecordCount),
    sizeBytes: int64(live?.size),
    fileCount: live ? BigInt(live.files) : null,
    partitionCount: live ? BigInt(live.partitions.length) : null,
    lastCommitAt: instant(latest?.timeMillis),
    document: document.json!,
    partitions: live ? partitions : null,
    searchDocument: search.document,
    searchColumnDocument: search.columnDocument,
  };
}

const CLEANED = {
  code: 'text-cleaned',
  severity: 'warning',
  object: '',
  message: 'names or texts hold characters that cannot be stored (U+0000 or half of a surrogate pair); they show as U+FFFD',
};

function withoutPartitions(document: PlainObject): PlainObject {
  const { partitions: _, branches, ...rest } = document;
  if (branches === null || typeof branches !== 'object' || Array.isArray(branches)) return rest;
  const views = Object.entries(branches).map(([name, view]) => {
    if (view === null || typeof view !== 'object' || Array.isArray(view)) return [name, view] as const;
    const { partitions: __, ...others } = view;
    return [name, others] as const;
  });
  return { ...rest, branches: Object.fromEntries(views) };
}

function partitionsOf(metadata: TableMetadata): Array<PartitionRecord & { isCleaned: boolean }> {
  return [metadata, ...metadata.branches.values()].flatMap((view) => (view ? partitionsOfView(view) : []));
}

/** PostgreSQL's index entries end at 2.7 KB; what is longer is stored by its hash, and whole in `detail`. */
const MAX_KEY_CHARS = 512;
const MAX_PATH_BYTES = 1_200;

function partitionsOfView({ branch, live }: TableView): Array<PartitionRecord & { isCleaned: boolean }> {
  return (live?.partitions ?? []).map((partition) => {
    const { partition: spec, path, hex, files: _files, size, records, ...others } = partitionDocument(partition);
    const storedSpec = storableJson(spec);
    const key = partition.hex.length > MAX_KEY_CHARS ? `sha256:${sha256(partition.hex)}` : partition.hex;
    const wholePath = partition.path ?? '';
    const shownPath = storableText(wholePath);
    const isLong = Buffer.byteLength(shownPath) > MAX_PATH_BYTES;
    const rows = saturated(partition.records);
    const bytes = saturated(partition.size);
    const detail = storableJson({
      ...others,
      // What the columns cannot hold as it is; readers lay these over the columns.
      ...(key !== partition.hex && { hex }),
      ...((isLong || partition.path === undefined) && { path: path ?? null }),
      ...(rows !== partition.records && { records }),
      ...(bytes !== partition.size && { size }),
    });
    return {
      branch: storableText(branch),
      key,
      path: isLong ? `${shownPath.slice(0, MAX_PATH_BYTES / 4)}…${sha256(wholePath)}` : shownPath,
      spec: storedSpec.json ?? 'null',
      rows,
      bytes,
      files: BigInt(partition.files),
      detail: detail.json!,
      isCleaned: storedSpec.isCleaned || detail.isCleaned || shownPath !== wholePath,
    };
  });
}

/**
 * The first schema, as far as it tells one life of a table from the next: when it was written and what it says. Undefined
 * once it is gone, and then nothing is claimed.
 */
export function creationIdentityOf(schemas: readonly Schema[]): string | null {
  const first = schemas.find((schema) => schema.id === 0n);
  if (!first) return null;
  const content = storableJson({
    fields: first.fields.map(fieldDocument),
    options: first.options,
    primaryKeys: first.primaryKeys,
    partitionKeys: first.partitionKeys,
    comment: first.comment,
  });
  return `${first.timeMillis ?? ''}/${sha256(content.json!).slice(0, 32)}`;
}

const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);

/** Figures that no 64-bit column holds come from damage; they are unknown here and stand in the document. */
export function int64(value: bigint | undefined): bigint | null {
  return value !== undefined && value <= INT64_MAX && value >= INT64_MIN ? value : null;
}

function saturated(value: bigint): bigint {
  return value > INT64_MAX ? INT64_MAX : value < INT64_MIN ? INT64_MIN : value;
}

/** A writer's clock may say anything; PostgreSQL and Date agree on the years 1 to 9999 here. */
function instant(millis: bigint | undefined): Date | null {
  if (millis === undefined || millis < -62_135_596_800_000n || millis > 253_402_300_799_999n) return null;
  return new Date(Number(millis));
}

function textOrNull(text: string | undefined): string | null {
  return text === undefined ? null : storableText(text);
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
