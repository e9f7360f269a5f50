import { inflateRaw } from '../codec/deflate.ts';
import { decompressLz4 } from '../codec/lz4.ts';
import { decompressSnappy } from '../codec/snappy.ts';
import { decompressZstd } from '../codec/zstd.ts';
import { Damage, NotReadable, OverLimit } from '../damage.ts';
import { MAX_BLOCK_BYTES, MAX_RATIO, RATIO_FREE_BYTES } from '../limits.ts';

type Decompress = (chunk: Uint8Array, maxBytes: number) => Uint8Array;

/** `CompressionKind` of the postscript (orc_proto.proto), by number. */
const CODECS: readonly { name: string; decompress?: Decompress }[] = [
  { name: 'none' },
  { name: 'zlib', decompress: inflateRaw },
  { name: 'snappy', decompress: decompressSnappy },
  { name: 'lzo' },
  { name: 'lz4', decompress: decompressLz4 },
  // Its bound counts 128 kB for every zstd block, however small the chunk; the real size is checked below.
  { name: 'zstd', decompress: (chunk) => decompressZstd(chunk, MAX_BLOCK_BYTES) },
  { name: 'brotli' },
];

const HEADER_BYTES = 3;

/**
 * Undoes the chunks of which every compressed part of an ORC file consists (ORC specification v1, "Compression"): three
 * bytes of length and a flag, then the chunk. Counts what comes out against the file's size.
 */
export class Chunks {
  readonly codec: string;
  readonly #decompress: Decompress | undefined;
  readonly #blockBytes: number;
  readonly #allowance: number;
  #total = 0;

  constructor(kind: number, blockBytes: number, fileBytes: number, offset: number) {
    const codec = CODECS[kind];
    if (codec === undefined) throw new Damage('a compression kind', `${kind}`, offset);
    if (kind !== 0 && codec.decompress === undefined) throw new NotReadable(`ORC compression ${codec.name}`);
    if (blockBytes > MAX_BLOCK_BYTES) throw new OverLimit('compression block size', MAX_BLOCK_BYTES);
    this.codec = codec.name;
    this.#decompress = codec.decompress;
    this.#blockBytes = blockBytes;
    this.#allowance = Math.max(RATIO_FREE_BYTES, fileBytes * MAX_RATIO);
  }

  /** The whole content of one stream or footer that lies at `offset`; a view of the file where nothing is compressed. */
  join(part: Uint8Array, offset: number): Uint8Array {
    if (this.#decompress === undefined) return part;
    const chunks: Uint8Array[] = [];
    let size = 0;
    let at = 0;
    while (at < part.byteLength) {
      if (part.byteLength - at < HEADER_BYTES) throw new Damage('a chunk header', 'the end', offset + at);
      const header = part[at]! | (part[at + 1]! << 8) | (part[at + 2]! << 16);
      const length = header >>> 1;
      at += HEADER_BYTES;
      if (length > part.byteLength - at) throw new Damage('a chunk inside its stream', `${length} bytes`, offset + at);
      const stored = part.subarray(at, at + length);
      const isOriginal = (header & 1) === 1;
      const chunk = isOriginal ? stored : this.#decompress(stored, this.#blockBytes);
      if (chunk.byteLength > this.#blockBytes) {
        throw new Damage(`at most ${this.#blockBytes} bytes in a chunk`, `${chunk.byteLength}`, offset + at);
      }
      at += length;
      size += chunk.byteLength;
      this.#total += chunk.byteLength;
      if (size > MAX_BLOCK_BYTES) throw new OverLimit('decompressed size', MAX_BLOCK_BYTES);
      if (this.#total > this.#allowance) throw new OverLimit('compression ratio', MAX_RATIO);
      // Decompressors may give a view of memory that they use again.
      chunks.push(isOriginal ? chunk : Uint8Array.prototype.slice.call(chunk));
    }
    if (chunks.length === 1) return chunks[0]!;
    const whole = new Uint8Array(size);
    let done = 0;
    for (const chunk of chunks) {
      whole.set(chunk, done);
      done += chunk.byteLength;
    }
    return whole;
  }
}
