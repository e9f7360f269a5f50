import { ZSTDDecoder } from 'zstddec';
import { Damage, OverLimit } from '../damage.ts';

interface Exports {
  memory: { buffer: ArrayBuffer };
  malloc(size: number): number;
  free(pointer: number): void;
  ZSTD_isError(code: number): number;
  ZSTD_decompress(target: number, capacity: number, source: number, size: number): number;
}

let exports: Exports | undefined;
let input = { pointer: 0, size: 0 };
let output = { pointer: 0, size: 0 };

/**
 * The package keeps its module to itself and allocates twice a call; this subclass keeps the instance for the wrapper
 * below, which reuses two areas: 1.1 to 2 times as fast on the small frames of manifests.
 */
class Instance extends ZSTDDecoder {
  override _init(result: { instance: { exports: unknown } }): void {
    super._init(result as never);
    exports = result.instance.exports as unknown as Exports;
  }
}

/** Compiles the decoder once; call before `decompressZstd`. About 2 ms. */
export async function loadZstd(): Promise<void> {
  if (exports === undefined) await new Instance().init();
}

/**
 * Decompresses all frames of `source`. The result is a view of the decoder's memory: use it before the next call, or copy.
 * Throws Damage; OverLimit when more than `maxBytes` would come out (told from the frame headers, before decompressing).
 */
export function decompressZstd(source: Uint8Array, maxBytes: number): Uint8Array {
  if (exports === undefined) throw new Error('call loadZstd first');
  const capacity = frameBound(source);
  if (capacity > maxBytes) throw new OverLimit('decompressed size', maxBytes);
  if (capacity === 0) return new Uint8Array(0);
  input = reserve(exports, input, source.byteLength);
  output = reserve(exports, output, capacity);
  // Taken after the reservations: growth replaces the buffer.
  const heap = new Uint8Array(exports.memory.buffer);
  heap.set(source, input.pointer);
  const size = exports.ZSTD_decompress(output.pointer, output.size, input.pointer, source.byteLength);
  if (exports.ZSTD_isError(size) !== 0) throw new Damage('a zstd frame', 'damaged data');
  return new Uint8Array(exports.memory.buffer, output.pointer, size >>> 0);
}

function reserve(wasm: Exports, area: { pointer: number; size: number }, size: number): { pointer: number; size: number } {
  if (area.size >= size) return area;
  if (area.pointer !== 0) wasm.free(area.pointer);
  const wanted = Math.max(1 << 18, size + (size >> 2));
  const pointer = wasm.malloc(wanted);
  if (pointer === 0) throw new OverLimit('memory for zstd', wanted);
  return { pointer: pointer >>> 0, size: wanted };
}

const MAGIC = 0xfd2fb528;
const BLOCK_MAX = 128 * 1024;

/**
 * Upper bound of the decompressed size, from frame and block headers alone (RFC 8878 §3.1): writers of manifests leave the
 * content size out of the frame header, so the package's own answer would be "unknown".
 */
function frameBound(source: Uint8Array): number {
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  let at = 0;
  let bound = 0;
  const need = (bytes: number): void => {
    if (at + bytes > source.byteLength) throw new Damage('a zstd frame', 'its end too early', at);
  };
  while (at < source.byteLength) {
    need(4);
    const magic = view.getUint32(at, true);
    if (magic >>> 4 === 0x184d2a5) {
      need(8);
      at += 8 + view.getUint32(at + 4, true);
      continue;
    }
    if (magic !== MAGIC) throw new Damage('a zstd frame', 'other bytes', at);
    need(6);
    const descriptor = source[at + 4]!;
    const singleSegment = (descriptor & 0x20) !== 0;
    const contentSizeBytes = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
    const header = 5 + (singleSegment ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]! + contentSizeBytes;
    need(header + 3);
    at += header;
    for (let last = false; !last; ) {
      need(3);
      const block = source[at]! | (source[at + 1]! << 8) | (source[at + 2]! << 16);
      at += 3;
      last = (block & 1) === 1;
      const type = (block >> 1) & 3;
      const size = block >> 3;
      if (type === 3) throw new Damage('a zstd block', 'a reserved type', at);
      bound += type === 2 ? BLOCK_MAX : size;
      at += type === 1 ? 1 : size;
      if (at > source.byteLength) throw new Damage('a zstd block', 'its end too early', at);
    }
    if ((descriptor & 4) !== 0) at += 4;
  }
  return bound;
}
