import type { ObjectStore } from '../object-store/object-store.ts';
import { mapConcurrently, WeightGate } from './concurrent.ts';
import { CONCURRENT_READS, MANIFEST_BYTES_IN_FLIGHT, MAX_FILES_OF_A_KIND, MAX_JSON_BYTES, MAX_MANIFEST_BYTES } from './limits.ts';
import type { ObjectKind, Problems, Severity } from './problem.ts';

/** Everything one read of a table shares: the store, its problems, and the gate that bounds manifests in memory. */
export class Reading {
  readonly store: ObjectStore;
  readonly problems: Problems;
  readonly signal: AbortSignal | undefined;
  /** An object that the current state needs was gone: the table may have moved on under us. */
  missedCurrent = false;
  readonly #gate = new WeightGate(MANIFEST_BYTES_IN_FLIGHT);
  readonly #kept = new Map<string, Uint8Array>();
  #keptBytes = 0;

  constructor(store: ObjectStore, problems: Problems, signal: AbortSignal | undefined) {
    this.store = store;
    this.problems = problems;
    this.signal = signal;
  }

  /**
   * Reads and decodes one object. Absence and damage become problems of `severity` and give undefined; what the store throws
   * (no access, no answer) goes through.
   */
  async decode<T>(
    kind: ObjectKind,
    key: string,
    severity: Severity,
    decode: (bytes: Uint8Array) => T | Promise<T>,
    options: { maxBytes?: number /** Absence is no problem: it was deleted since it was listed. */; mayBeGone?: boolean } = {},
  ): Promise<T | undefined> {
    try {
      const object = await this.store.get(key, {
        maxBytes: options.maxBytes ?? MAX_JSON_BYTES,
        ...(this.signal ? { signal: this.signal } : {}),
      });
      if (object !== undefined) return await decode(object.bytes);
      if (severity !== 'warning') this.missedCurrent = true;
      if (!options.mayBeGone) this.problems.add(`${kind}-missing`, severity, key, 'expected this object, found none');
    } catch (error) {
      this.problems.addThrown(kind, severity, key, error);
    }
    return undefined;
  }

  /** As `decode`, for manifests: bytes and requests in flight are bounded. With `keep` the bytes stay for one more call, if few. */
  decodeManifest<T>(
    key: string,
    sizeBytes: number,
    severity: Severity,
    decode: (bytes: Uint8Array) => Promise<T>,
    keep = false,
  ): Promise<T | undefined> {
    return this.#gate.run(Math.max(sizeBytes, MANIFEST_BYTES_IN_FLIGHT / CONCURRENT_READS), async () => {
      const kept = this.#kept.get(key);
      if (kept !== undefined) {
        this.#kept.delete(key);
        this.#keptBytes -= kept.byteLength;
        try {
          return await decode(kept);
        } catch (error) {
          this.problems.addThrown('manifest', severity, key, error);
          return undefined;
        }
      }
      return this.decode(
        'manifest',
        key,
        severity,
        (bytes) => {
          if (keep && this.#keptBytes + bytes.byteLength <= MANIFEST_BYTES_IN_FLIGHT) {
            this.#kept.set(key, bytes);
            this.#keptBytes += bytes.byteLength;
          }
          return decode(bytes);
        },
        { maxBytes: MAX_MANIFEST_BYTES },
      );
    });
  }

  /** Bounded concurrency, bounded count: what is over the limit is reported and left out (the oldest first). */
  each<T, R>(kind: ObjectKind, folder: string, items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
    let taken = items;
    if (items.length > MAX_FILES_OF_A_KIND) {
      taken = items.slice(-MAX_FILES_OF_A_KIND);
      this.problems.add(
        `${kind}-over-limit`,
        'degraded',
        folder,
        `expected at most ${MAX_FILES_OF_A_KIND} objects, found ${items.length}: the rest is not read`,
      );
    }
    return mapConcurrently(taken, CONCURRENT_READS, work);
  }
}

const utf8 = new TextDecoder('utf-8');

export function textOf(bytes: Uint8Array): string {
  return utf8.decode(bytes);
}
