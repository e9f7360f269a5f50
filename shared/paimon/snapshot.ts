import { Damage } from './damage.ts';
import { asInt, asLong, asText, isObject, type Json, parseJson } from './int64-json.ts';

/** A snapshot (`snapshot/snapshot-<id>`, `org.apache.paimon.Snapshot`), also the body of a tag and of a changelog. */
export interface Snapshot {
  version: number;
  id: bigint;
  schemaId: bigint;
  uuid?: string;
  baseManifestList: string;
  baseManifestListSize?: bigint;
  deltaManifestList: string;
  deltaManifestListSize?: bigint;
  changelogManifestList?: string;
  indexManifest?: string;
  commitUser: string;
  /** 9223372036854775807 for batch commits. */
  commitIdentifier?: bigint;
  commitKind: string;
  /** Committer's clock. */
  timeMillis?: bigint;
  /** Rows in files, unmerged. Undefined before 0.4. */
  totalRecordCount?: bigint;
  deltaRecordCount?: bigint;
  changelogRecordCount?: bigint;
  /** -9223372036854775808 means none. */
  watermark?: bigint;
  statistics?: string;
  nextRowId?: bigint;
  operation?: string;
  properties?: Map<string, string>;
  /** The whole document as stored, unknown keys included. */
  raw: { [name: string]: Json };
}

export const KNOWN_SNAPSHOT_VERSION = 3;
const KINDS = new Set(['APPEND', 'COMPACT', 'OVERWRITE', 'ANALYZE']);
const KNOWN_KEYS = new Set(
  (
    'version uuid id schemaId baseManifestList baseManifestListSize deltaManifestList deltaManifestListSize changelogManifestList ' +
    'changelogManifestListSize indexManifest commitUser writerVersion commitIdentifier commitKind timeMillis logOffsets totalRecordCount ' +
    'deltaRecordCount changelogRecordCount watermark statistics properties nextRowId operation tagCreateTime tagTimeRetained'
  ).split(' '),
);

export interface SnapshotRemark {
  code: 'newer-version' | 'unknown-commit-kind' | 'unknown-keys';
  message: string;
}

/** Decodes a snapshot, tag or changelog file. Throws Damage where a required key is absent or of another form. */
export function decodeSnapshot(text: string): { snapshot: Snapshot; remarks: SnapshotRemark[] } {
  const json = parseJson(text);
  if (!isObject(json)) throw new Damage('a JSON object', Array.isArray(json) ? 'an array' : String(json));
  const snapshot: Snapshot = {
    version: asInt(json.version) ?? 1,
    id: required(asLong(json.id), 'id'),
    schemaId: required(asLong(json.schemaId), 'schemaId'),
    baseManifestList: required(asText(json.baseManifestList), 'baseManifestList'),
    deltaManifestList: required(asText(json.deltaManifestList), 'deltaManifestList'),
    commitUser: asText(json.commitUser) ?? '',
    commitKind: asText(json.commitKind) ?? '',
    ...longs(json),
    ...strings(json),
    ...(isObject(json.properties)
      ? { properties: new Map(Object.entries(json.properties).map(([name, value]) => [name, String(value)])) }
      : {}),
    raw: json,
  };
  const remarks: SnapshotRemark[] = [];
  if (snapshot.version > KNOWN_SNAPSHOT_VERSION) {
    remarks.push({
      code: 'newer-version',
      message: `expected version ${KNOWN_SNAPSHOT_VERSION} or older, found ${snapshot.version}: shown as far as it is understood`,
    });
  }
  if (!KINDS.has(snapshot.commitKind)) {
    remarks.push({
      code: 'unknown-commit-kind',
      message: `commit kind ${JSON.stringify(snapshot.commitKind.slice(0, 100))} is not known: shown as it is`,
    });
  }
  const unknown = Object.keys(json).filter((key) => !KNOWN_KEYS.has(key));
  if (unknown.length > 0) {
    remarks.push({
      code: 'unknown-keys',
      message: `keys not known to this version, kept as they are: ${unknown.slice(0, 10).join(', ').slice(0, 300)}`,
    });
  }
  return { snapshot, remarks };
}

function longs(json: { [name: string]: Json }) {
  return present({
    baseManifestListSize: asLong(json.baseManifestListSize),
    deltaManifestListSize: asLong(json.deltaManifestListSize),
    commitIdentifier: asLong(json.commitIdentifier),
    timeMillis: asLong(json.timeMillis),
    totalRecordCount: asLong(json.totalRecordCount),
    deltaRecordCount: asLong(json.deltaRecordCount),
    changelogRecordCount: asLong(json.changelogRecordCount),
    watermark: asLong(json.watermark),
    nextRowId: asLong(json.nextRowId),
  });
}

function strings(json: { [name: string]: Json }) {
  return present({
    uuid: asText(json.uuid),
    changelogManifestList: asText(json.changelogManifestList),
    indexManifest: asText(json.indexManifest),
    statistics: asText(json.statistics),
    operation: asText(json.operation),
  });
}

/** Leaves out what is undefined, so that absent and null are one thing. */
function present<T extends Record<string, unknown>>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

function required<T>(value: T | undefined, key: string): T {
  if (value === undefined) throw new Damage(`the key ${key}`, 'none');
  return value;
}

/** What tells a snapshot from another of the same id: ids are used again after a rollback. */
export function snapshotIdentity(snapshot: Snapshot): string {
  return `${snapshot.id}/${snapshot.uuid ?? `${snapshot.deltaManifestList}/${snapshot.baseManifestList}`}`;
}

/** A tag: the tagged snapshot, and how long it is kept. */
export interface Tag {
  name: string;
  snapshot: Snapshot;
  /** Writer's local time as ISO text without a zone, as stored. */
  createTime?: string;
  /** Seconds. */
  timeRetained?: number;
}

/** Decodes `tag/tag-<name>` (`org.apache.paimon.tag.Tag`). Throws Damage. */
export function decodeTag(text: string, name: string): { tag: Tag; remarks: SnapshotRemark[] } {
  const { snapshot, remarks } = decodeSnapshot(text);
  const createTime = localTime(snapshot.raw.tagCreateTime);
  const retained = snapshot.raw.tagTimeRetained;
  return {
    tag: {
      name,
      snapshot,
      ...(createTime === undefined ? {} : { createTime }),
      ...(typeof retained === 'number' ? { timeRetained: retained } : {}),
    },
    remarks,
  };
}

/** Java's `[y, M, d, H, m, s, nanos]`, of which trailing zeros may be missing; some writers put ISO text. */
function localTime(json: Json | undefined): string | undefined {
  if (typeof json === 'string') return json;
  if (!Array.isArray(json) || json.length < 3) return undefined;
  const parts = json.map((part) => asInt(part));
  if (parts.some((part) => part === undefined)) return undefined;
  const [year, month, day, hour = 0, minute = 0, second = 0, nanos = 0] = parts as number[];
  const two = (n: number | undefined): string => String(n).padStart(2, '0');
  const fraction = nanos === 0 ? '' : `.${String(nanos).padStart(9, '0')}`;
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}T${two(hour)}:${two(minute)}:${two(second)}${fraction}`;
}
