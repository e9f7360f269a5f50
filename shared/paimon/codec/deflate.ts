import { gunzipSync, inflateRawSync } from 'node:zlib';
import { Damage, OverLimit } from '../damage.ts';

/** Raw RFC 1951 data, as Avro's `deflate` and ORC's `zlib` have it. */
export function inflateRaw(source: Uint8Array, maxBytes: number): Uint8Array {
  return guarded('deflate', maxBytes, () => inflateRawSync(source, { maxOutputLength: maxBytes }));
}

/** RFC 1952 data, as Parquet's `GZIP` has it. */
export function gunzip(source: Uint8Array, maxBytes: number): Uint8Array {
  return guarded('gzip', maxBytes, () => gunzipSync(source, { maxOutputLength: maxBytes }));
}

function guarded(what: string, maxBytes: number, decompress: () => Uint8Array): Uint8Array {
  try {
    return decompress();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ERR_BUFFER_TOO_LARGE') throw new OverLimit('decompressed size', maxBytes);
    throw new Damage(`${what} data`, `${code ?? 'damaged data'}`);
  }
}
