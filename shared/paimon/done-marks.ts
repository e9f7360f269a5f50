import { mapConcurrently } from './concurrent.ts';
import { CONCURRENT_READS } from './limits.ts';
import type { Reading } from './reading.ts';
import type { TableView } from './table-metadata.ts';

/** Looks for `_SUCCESS` in the folder of each partition: one HEAD a folder. Marks lie below the table, without `data-file.path-directory`. */
export async function addDoneMarks(reading: Reading, tableRoot: string, view: TableView): Promise<void> {
  const marked = new Map<string, boolean>();
  const folders = new Map<string, string>();
  for (const partition of view.live?.partitions ?? []) {
    if (
      partition.path === undefined ||
      partition.path === '' ||
      partition.naming === undefined ||
      partition.naming.keys.length === 0
    )
      continue;
    folders.set(partition.path, partition.path.slice(partition.naming.directory.length));
  }
  await mapConcurrently([...folders], CONCURRENT_READS, async ([path, folder]) => {
    const mark = await reading.store.head(`${tableRoot}${folder}/_SUCCESS`, reading.signal ? { signal: reading.signal } : {});
    marked.set(path, mark !== undefined);
  });
  for (const partition of view.live?.partitions ?? [])
    if (partition.path !== undefined && marked.get(partition.path)) partition.markedDone = true;
}
