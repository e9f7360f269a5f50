import { readContainer } from './container.ts';
import { Damage, OverLimit } from './damage.ts';
import { isFileName } from './layout.ts';
import { MAX_MANIFESTS } from './limits.ts';
import type { ContainerInfo } from './rows.ts';

/** One line of a manifest list (`org.apache.paimon.manifest.ManifestFileMeta`). */
export interface ManifestMeta {
  fileName: string;
  fileSize: number;
  addedFiles: number;
  deletedFiles: number;
  schemaId: number;
}

const COLUMNS = ['_VERSION', '_FILE_NAME', '_FILE_SIZE', '_NUM_ADDED_FILES', '_NUM_DELETED_FILES', '_SCHEMA_ID'] as const;

/** Decodes a manifest list. Throws Damage, NotReadable or OverLimit. */
export async function readManifestList(file: Uint8Array): Promise<{ manifests: ManifestMeta[]; container: ContainerInfo }> {
  const manifests: ManifestMeta[] = [];
  const container = await readContainer(file, COLUMNS, ([version, name, size, added, deleted, schemaId]) => {
    if (version !== 2) throw new Damage('manifest list entries of version 2', String(version));
    // The name becomes part of a key: it must stay in its folder.
    if (typeof name !== 'string' || !isFileName(name))
      throw new Damage('a file name', JSON.stringify(String(name).slice(0, 100)));
    if (manifests.length >= MAX_MANIFESTS) throw new OverLimit('manifests of one list', MAX_MANIFESTS);
    manifests.push({
      fileName: name,
      fileSize: count(size, '_FILE_SIZE'),
      addedFiles: count(added, '_NUM_ADDED_FILES'),
      deletedFiles: count(deleted, '_NUM_DELETED_FILES'),
      schemaId: count(schemaId, '_SCHEMA_ID'),
    });
  });
  return { manifests, container };
}

function count(value: unknown, name: string): number {
  if (typeof value !== 'number' || value < 0) throw new Damage(`a count in ${name}`, String(value));
  return value;
}
