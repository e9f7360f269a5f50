import { gunzip } from '../codec/deflate.ts';
import { decompressLz4 } from '../codec/lz4.ts';
import { decompressSnappy } from '../codec/snappy.ts';
import { decompressZstd } from '../codec/zstd.ts';
import { Damage, NotReadable, OverLimit } from '../damage.ts';
import { MAX_BLOCK_BYTES, MAX_RATIO, RATIO_FREE_BYTES } from '../limits.ts';
import { BitRuns, widthOf } from './bit-runs.ts';
import type { Chunk, Node } from './footer.ts';
import { asStruct, countOf, numberOf, ThriftReader, type ThriftStruct } from './thrift.ts';

type Decompress = (page: Uint8Array, size: number) => Uint8Array;

/** `CompressionCodec` of parquet.thrift, by number. */
const CODECS: readonly { name: string; decompress?: Decompress }[] = [
  { name: 'none', decompress: (page) => page },
  { name: 'snappy', decompress: decompressSnappy },
  { name: 'gzip', decompress: gunzip },
  { name: 'lzo' },
  { name: 'brotli' },
  { name: 'lz4', decompress: decompressHadoopLz4 },
  // Its bound counts 128 kB for every zstd block; the real size is checked below. The result is a view of memory used again.
  { name: 'zstd', decompress: (page) => Uint8Array.prototype.slice.call(decompressZstd(page, MAX_BLOCK_BYTES)) },
  { name: 'lz4_raw', decompress: decompressLz4 },
];

export function codecOf(number: number): { name: string; decompress: Decompress } {
  const codec = CODECS[number];
  if (codec === undefined) throw new Damage('a compression', `${number}`);
  const { name, decompress } = codec;
  if (decompress === undefined) throw new NotReadable(`Parquet compression ${name}`);
  return { name, decompress };
}

/** Blocks with their size and compressed size before them, big-endian: what Hadoop's codec makes. */
function decompressHadoopLz4(page: Uint8Array, size: number): Uint8Array {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  const whole = new Uint8Array(size);
  let at = 0;
  let done = 0;
  while (at < page.byteLength) {
    if (page.byteLength - at < 8) throw new Damage('the sizes of an lz4 block', 'the end', at);
    const stated = view.getUint32(at);
    const stored = view.getUint32(at + 4);
    at += 8;
    if (stored > page.byteLength - at || stated > size - done)
      throw new Damage('an lz4 block inside the page', 'a larger one', at);
    const block = decompressLz4(page.subarray(at, at + stored), stated);
    whole.set(block, done);
    at += stored;
    done += block.byteLength;
  }
  return whole.subarray(0, done);
}

/** Bytes that may still come out of one file. */
export class Allowance {
  #left: number;
  constructor(fileBytes: number) {
    this.#left = Math.max(RATIO_FREE_BYTES, fileBytes * MAX_RATIO);
  }
  take(bytes: number): void {
    this.#left -= bytes;
    if (this.#left < 0) throw new OverLimit('compression ratio', MAX_RATIO);
  }
}

export interface DictionaryPage {
  kind: 'dictionary';
  bytes: Uint8Array;
  count: number;
  offset: number;
}

export interface DataPage {
  kind: 'data';
  /** Values and nulls. */
  count: number;
  /** undefined: all 0, or all at the maximum. */
  repeats: BitRuns | undefined;
  definitions: BitRuns | undefined;
  encoding: number;
  bytes: Uint8Array;
  /** Where the values begin in `bytes`. */
  start: number;
  /** Of the page in the file. */
  offset: number;
}

const PAGE = { data: 0, index: 1, dictionary: 2, dataV2: 3 } as const;
const RLE = 3;

/** The pages of one column chunk, each decompressed when its turn comes. Throws Damage, NotReadable or OverLimit. */
export function* pagesOf(file: Uint8Array, node: Node, chunk: Chunk, allowance: Allowance): Generator<DictionaryPage | DataPage> {
  const { decompress } = codecOf(chunk.codec);
  const end = chunk.offset + chunk.bytes;
  let at = chunk.offset;
  let left = chunk.values;
  while (at < end && left > 0) {
    const offset = at;
    const reader = new ThriftReader(file, at, end);
    const header = reader.struct();
    const size = countOf(header, 2, 'size of a page');
    const stored = countOf(header, 3, 'compressed size of a page');
    if (stored > end - reader.at) throw new Damage('a page inside its column chunk', `${stored} bytes`, offset);
    if (size > MAX_BLOCK_BYTES) throw new OverLimit('size of a page', MAX_BLOCK_BYTES);
    allowance.take(size);
    const body = file.subarray(reader.at, reader.at + stored);
    at = reader.at + stored;
    const inflate = (part: Uint8Array, wanted: number): Uint8Array => {
      const page = decompress(part, wanted);
      if (page.byteLength !== wanted) throw new Damage(`a page of ${wanted} bytes`, `${page.byteLength}`, offset);
      return page;
    };
    const type = numberOf(header, 1, 'type of a page');
    if (type === PAGE.dictionary) {
      const count = countOf(asStruct(header.get(7), 'a dictionary page header'), 1, 'size of a dictionary');
      yield { kind: 'dictionary', bytes: inflate(body, size), count, offset };
    } else if (type === PAGE.data || type === PAGE.dataV2) {
      const page =
        type === PAGE.data
          ? firstVersion(node, header, inflate(body, size), offset)
          : secondVersion(node, header, body, size, inflate, offset);
      if (page.count > left) throw new Damage(`at most ${left} values in the page`, `${page.count}`, offset);
      left -= page.count;
      yield page;
    } else if (type !== PAGE.index) throw new Damage('a type of page', `${type}`, offset);
  }
  if (left > 0) throw new Damage(`${left} more values in the column chunk`, 'its end', end);
}

function firstVersion(node: Node, header: ThriftStruct, bytes: Uint8Array, offset: number): DataPage {
  const data = asStruct(header.get(5), 'a data page header');
  let start = 0;
  const levels = (max: number, encoding: number): BitRuns | undefined => {
    if (max === 0) return undefined;
    if (encoding !== RLE) throw new NotReadable('a Parquet page with bit-packed levels');
    if (bytes.byteLength - start < 4) throw new Damage('the length of levels', 'the end of the page', offset);
    const length = new DataView(bytes.buffer, bytes.byteOffset + start, 4).getUint32(0, true);
    const runs = new BitRuns(bytes, start + 4, start + 4 + length, widthOf(max), offset);
    start += 4 + length;
    return runs;
  };
  const repeats = levels(node.repeat, numberOf(data, 4, 'encoding of levels'));
  const definitions = levels(node.definition, numberOf(data, 3, 'encoding of levels'));
  const count = countOf(data, 1, 'values of a page');
  return { kind: 'data', count, repeats, definitions, encoding: numberOf(data, 2, 'encoding'), bytes, start, offset };
}

/** Levels lie before the values and are never compressed. */
function secondVersion(
  node: Node,
  header: ThriftStruct,
  body: Uint8Array,
  size: number,
  inflate: (part: Uint8Array, size: number) => Uint8Array,
  offset: number,
): DataPage {
  const data = asStruct(header.get(8), 'a data page header');
  const definitionBytes = countOf(data, 5, 'size of levels');
  const repeatBytes = countOf(data, 6, 'size of levels');
  const levelBytes = definitionBytes + repeatBytes;
  if (levelBytes > body.byteLength || levelBytes > size)
    throw new Damage('levels inside the page', `${levelBytes} bytes`, offset);
  const values = body.subarray(levelBytes);
  const isPlain = data.get(7) === false || values.byteLength === 0;
  return {
    kind: 'data',
    count: countOf(data, 1, 'values of a page'),
    repeats: node.repeat === 0 ? undefined : new BitRuns(body, 0, repeatBytes, widthOf(node.repeat), offset),
    definitions: node.definition === 0 ? undefined : new BitRuns(body, repeatBytes, levelBytes, widthOf(node.definition), offset),
    encoding: numberOf(data, 4, 'encoding'),
    bytes: isPlain ? values : inflate(values, size - levelBytes),
    start: 0,
    offset,
  };
}
