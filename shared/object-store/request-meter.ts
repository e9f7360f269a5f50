import type { ObjectStore } from './object-store.ts';

/** What a piece of work cost. Storage services price lists and gets apart. */
export interface RequestMeter {
  lists: number;
  gets: number;
  heads: number;
  /** Body bytes received by gets. */
  bytesRead: number;
}

export function newMeter(): RequestMeter {
  return { lists: 0, gets: 0, heads: 0, bytesRead: 0 };
}

export function totalRequests(meter: RequestMeter): number {
  return meter.lists + meter.gets + meter.heads;
}

/** The same store, counting into `meter`; failed requests count too. */
export function metered(store: ObjectStore, meter: RequestMeter): ObjectStore {
  return {
    async get(key, options) {
      meter.gets++;
      const object = await store.get(key, options);
      meter.bytesRead += object?.bytes.byteLength ?? 0;
      return object;
    },
    async getRange(key, offset, length, options) {
      meter.gets++;
      const object = await store.getRange(key, offset, length, options);
      meter.bytesRead += object?.bytes.byteLength ?? 0;
      return object;
    },
    head(key, options) {
      meter.heads++;
      return store.head(key, options);
    },
    list(request) {
      meter.lists++;
      return store.list(request);
    },
  };
}
