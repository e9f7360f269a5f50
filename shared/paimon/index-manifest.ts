import { readContainer } from './container.ts';
import { Damage } from './damage.ts';
import { DELETE } from './manifest.ts';

/** What a snapshot's index manifest lists (`org.apache.paimon.manifest.IndexManifestEntry`). A complete list, no delta. */
export interface IndexSummary {
  /** File name of the index manifest. */
  manifest: string;
  /** Index files by type: `HASH`, `DELETION_VECTORS`, `btree`, … */
  files: Map<string, number>;
  sizeBytes: bigint;
  /** Data files that have a deletion vector. */
  deletionVectorRanges: number;
  /** Rows that they mark as deleted; undefined where a writer before 1.0 left the cardinality out. */
  deletedRows: bigint | undefined;
}

const COLUMNS = ['_KIND', '_INDEX_TYPE', '_FILE_SIZE', '_DELETIONS_VECTORS_RANGES'] as const;

/** Decodes an index manifest. Throws Damage, NotReadable or OverLimit. */
export async function readIndexManifest(file: Uint8Array, name: string): Promise<IndexSummary> {
  const summary: IndexSummary = { manifest: name, files: new Map(), sizeBytes: 0n, deletionVectorRanges: 0, deletedRows: 0n };
  await readContainer(file, COLUMNS, ([kind, type, size, ranges]) => {
    if (kind === DELETE) return;
    if (typeof type !== 'string') throw new Damage('a text in _INDEX_TYPE', 'none');
    summary.files.set(type, (summary.files.get(type) ?? 0) + 1);
    if (typeof size === 'number' || typeof size === 'bigint') summary.sizeBytes += BigInt(size);
    if (!Array.isArray(ranges)) return;
    for (const range of ranges) {
      summary.deletionVectorRanges++;
      const cardinality = range instanceof Map ? range.get('_CARDINALITY') : undefined;
      const rows = typeof cardinality === 'number' || typeof cardinality === 'bigint' ? BigInt(cardinality) : undefined;
      summary.deletedRows = rows === undefined || summary.deletedRows === undefined ? undefined : summary.deletedRows + rows;
    }
  });
  return summary;
}
