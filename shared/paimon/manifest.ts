import { readContainer } from './container.ts';
import { Damage } from './damage.ts';
import { type Cell, type ContainerInfo, type OnRow, RawText } from './rows.ts';

/** Columns of a manifest that live state needs (`org.apache.paimon.manifest.ManifestEntry`); statistics are not among them. */
export const MANIFEST_COLUMNS = [
  '_KIND',
  '_PARTITION',
  '_BUCKET',
  '_TOTAL_BUCKETS',
  '_FILE._FILE_NAME',
  '_FILE._FILE_SIZE',
  '_FILE._ROW_COUNT',
  '_FILE._LEVEL',
  '_FILE._EXTRA_FILES',
  '_FILE._CREATION_TIME',
  '_FILE._DELETE_ROW_COUNT',
  '_FILE._EMBEDDED_FILE_INDEX',
  '_FILE._EXTERNAL_PATH',
  '_VERSION',
] as const;

/** Position of each column in the slots that `readManifest` hands over. */
export const SLOT = {
  kind: 0,
  partition: 1,
  bucket: 2,
  totalBuckets: 3,
  fileName: 4,
  fileSize: 5,
  rowCount: 6,
  level: 7,
  extraFiles: 8,
  creationTime: 9,
  deleteRowCount: 10,
  embeddedIndex: 11,
  externalPath: 12,
  version: 13,
} as const;

export const ADD = 0;
export const DELETE = 1;

/**
 * Decodes a manifest entry by entry; required columns are checked. Slots of `more` columns come after those of `SLOT`. Throws
 * Damage, NotReadable or OverLimit.
 */
export function readManifest(file: Uint8Array, onEntry: OnRow, more: readonly string[] = []): Promise<ContainerInfo> {
  const check: OnRow = (slots) => {
    if (slots[SLOT.version] !== 2) throw new Damage('manifest entries of version 2', String(slots[SLOT.version]));
    const kind = slots[SLOT.kind];
    if (kind !== ADD && kind !== DELETE) throw new Damage('_KIND 0 or 1', String(kind));
    if (!(slots[SLOT.partition] instanceof Uint8Array)) throw new Damage('bytes in _PARTITION', 'none');
    if (!Number.isInteger(slots[SLOT.bucket])) throw new Damage('a number in _BUCKET', 'none');
    const name = slots[SLOT.fileName];
    if (!(name instanceof RawText) && typeof name !== 'string') throw new Damage('a name in _FILE_NAME', 'none');
    if (!isSize(slots[SLOT.fileSize])) throw new Damage('a size in _FILE_SIZE', String(slots[SLOT.fileSize]));
    if (!isSize(slots[SLOT.rowCount])) throw new Damage('a count in _ROW_COUNT', String(slots[SLOT.rowCount]));
    const { level, creationTime, deleteRowCount } = SLOT;
    if (!isInteger(slots[level])) throw new Damage('a number in _LEVEL', String(slots[level]));
    if (!isInteger(slots[creationTime])) throw new Damage('a time in _CREATION_TIME', String(slots[creationTime]));
    if (!isInteger(slots[deleteRowCount])) throw new Damage('a count in _DELETE_ROW_COUNT', String(slots[deleteRowCount]));
    onEntry(slots);
  };
  return readContainer(file, [...MANIFEST_COLUMNS, ...more], check, RAW);
}

/** Names are looked at only to match a DELETE, and for their last letters. */
const RAW: ReadonlySet<string> = new Set(['_FILE._FILE_NAME']);

function isSize(cell: Cell | undefined): cell is number | bigint {
  return (typeof cell === 'number' ? Number.isInteger(cell) : typeof cell === 'bigint') && (cell as number | bigint) >= 0;
}

/** Or null: writers of other releases leave the column out. */
function isInteger(cell: Cell | undefined): boolean {
  return cell === null || (typeof cell === 'number' ? Number.isInteger(cell) : typeof cell === 'bigint');
}

/** The whole identity by which a DELETE cancels an ADD: an upgraded file keeps its name and changes its level. */
export function identityOf(slots: readonly Cell[]): string {
  const extra = slots[SLOT.extraFiles];
  const embedded = slots[SLOT.embeddedIndex];
  return [
    slots[SLOT.fileName],
    slots[SLOT.level] ?? 0,
    slots[SLOT.bucket],
    latin1(slots[SLOT.partition] as Uint8Array),
    Array.isArray(extra) ? extra.join('\u0001') : '',
    embedded instanceof Uint8Array ? latin1(embedded) : '',
    slots[SLOT.externalPath] ?? '',
  ].join('\u0000');
}

export function latin1(bytes: Uint8Array): string {
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return buffer.toString('latin1');
}
