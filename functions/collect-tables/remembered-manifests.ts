import type { ObjectStore } from '../../shared/object-store/object-store.ts';

/** What one table's read may hold of it; four tables are read at once. */
const MAX_BYTES = 8 * 1024 * 1024;

/**
 * A store that answers again what it gave before of one table's manifests and their lists: these never change once written,
 * and the commits of a table name the same ones as its current state. Bounded; what is over is asked for again.
 */
export function rememberManifests(store: ObjectStore): ObjectStore {
  const remembered = new Map<string, Awaited<ReturnType<ObjectStore['get']>>>();
  let bytes = 0;
  return {
    ...store,
    async get(key, options) {
      const found = remembered.get(key);
      if (found) return found;
      const object = await store.get(key, options);
      if (object && key.includes('/manifest/') && bytes + object.bytes.byteLength <= MAX_BYTES) {
        bytes += object.bytes.byteLength;
        remembered.set(key, object);
      }
      return object;
    },
  };
}
