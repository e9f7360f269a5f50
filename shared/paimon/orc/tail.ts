import { Damage, NotReadable, OverLimit } from '../damage.ts';
import { MAX_ENTRIES, MAX_SCHEMA_NODES } from '../limits.ts';
import { Chunks } from './chunks.ts';
import { addNumbers, asBytes, asNumber, asText, eachField } from './protobuf.ts';

/** One node of the type tree; `children` are positions in `Tail.types`. The root is 0. */
export interface OrcType {
  kind: number;
  children: number[];
  names: string[];
}

export interface Stripe {
  offset: number;
  indexBytes: number;
  dataBytes: number;
  footerBytes: number;
  rows: number;
}

export interface Tail {
  chunks: Chunks;
  types: OrcType[];
  stripes: Stripe[];
  rows: number;
}

/** A run of bytes of one column in a stripe, at an absolute offset. */
export interface StreamPlace {
  kind: number;
  column: number;
  offset: number;
  bytes: number;
}

export interface StripeFooter {
  streams: StreamPlace[];
  /** By column. */
  encodings: { kind: number; dictionarySize: number }[];
  /** Zone of the writer, such as `Asia/Shanghai`; timestamps are relative to midnight there. Empty in files without any. */
  zone: string;
}

const MAGIC = 'ORC';

/** Reads postscript and footer from the end of the file (ORC specification v1, "File Tail"). */
export function readTail(file: Uint8Array): Tail {
  const end = file.byteLength - 1;
  if (end < MAGIC.length) throw new Damage('an ORC file', 'its end too early', file.byteLength);
  const postscriptBytes = file[end]!;
  const postscriptAt = end - postscriptBytes;
  if (postscriptAt < MAGIC.length) throw new Damage('a postscript inside the file', `${postscriptBytes} bytes`, end);
  let footerBytes = 0;
  let compression = 0;
  let blockBytes = 256 * 1024;
  let magic = '';
  eachField(file.subarray(postscriptAt, end), postscriptAt, (field, value) => {
    if (field === 1) footerBytes = asNumber(value, 'footer length', postscriptAt);
    else if (field === 2) compression = asNumber(value, 'compression', postscriptAt);
    else if (field === 3) blockBytes = asNumber(value, 'compression block size', postscriptAt);
    else if (field === 8000) magic = asText(value, 'magic', postscriptAt);
  });
  if (magic !== MAGIC) throw new Damage("'ORC' in the postscript", JSON.stringify(magic.slice(0, 20)), postscriptAt);
  const footerAt = postscriptAt - footerBytes;
  if (footerAt < MAGIC.length) throw new Damage('a footer inside the file', `${footerBytes} bytes`, postscriptAt);
  const chunks = new Chunks(compression, blockBytes, file.byteLength, postscriptAt);
  return { chunks, ...readFooter(chunks.join(file.subarray(footerAt, postscriptAt), footerAt), footerAt) };
}

function readFooter(footer: Uint8Array, at: number): Omit<Tail, 'chunks'> {
  const types: OrcType[] = [];
  const stripes: Stripe[] = [];
  let rows = 0;
  eachField(footer, at, (field, value) => {
    if (field === 3) stripes.push(readStripe(asBytes(value, 'a stripe', at), at));
    else if (field === 4) types.push(readType(asBytes(value, 'a type', at), at));
    else if (field === 6) rows = asNumber(value, 'number of rows', at);
    else if (field === 10) throw new NotReadable('an encrypted ORC file');
    if (types.length > MAX_SCHEMA_NODES) throw new OverLimit('size of the ORC schema', MAX_SCHEMA_NODES);
  });
  if (rows > MAX_ENTRIES) throw new OverLimit('rows of one file', MAX_ENTRIES);
  const inStripes = stripes.reduce((sum, stripe) => sum + stripe.rows, 0);
  if (inStripes !== rows) throw new Damage(`${rows} rows in the stripes`, `${inStripes}`, at);
  checkTree(types, at);
  checkOrder(stripes);
  return { types, stripes, rows };
}

/** Types are numbered depth first and have one parent each, so the tree can neither hold itself nor unfold without end. */
function checkTree(types: readonly OrcType[], at: number): void {
  const seen = new Set<number>();
  types.forEach(({ children }, id) => {
    for (const child of children) {
      if (child <= id || child >= types.length || seen.has(child)) throw new Damage('a type further down', `${child}`, at);
      seen.add(child);
    }
  });
}

/** Stripes follow each other; else a small file could have the same bytes read over and over. */
function checkOrder(stripes: readonly Stripe[]): void {
  let end = 0;
  for (const { offset, indexBytes, dataBytes, footerBytes } of stripes) {
    if (offset < end) throw new Damage('stripes one after the other', 'one inside another', offset);
    end = offset + indexBytes + dataBytes + footerBytes;
  }
}

function readStripe(message: Uint8Array, at: number): Stripe {
  const numbers = [0, 0, 0, 0, 0, 0];
  eachField(message, at, (field, value) => {
    if (field >= 1 && field <= 5) numbers[field] = asNumber(value, 'a stripe', at);
  });
  const [, offset, indexBytes, dataBytes, footerBytes, rows] = numbers as [number, number, number, number, number, number];
  return { offset, indexBytes, dataBytes, footerBytes, rows };
}

function readType(message: Uint8Array, at: number): OrcType {
  const type: OrcType = { kind: 0, children: [], names: [] };
  eachField(message, at, (field, value) => {
    if (field === 1) type.kind = asNumber(value, 'kind of type', at);
    else if (field === 2) addNumbers(type.children, value, at);
    else if (field === 3) type.names.push(asText(value, 'a field name', at));
  });
  return type;
}

/** Reads where the streams of one stripe lie. They follow each other from the stripe's start in the order listed. */
export function readStripeFooter(file: Uint8Array, stripe: Stripe, chunks: Chunks): StripeFooter {
  const footerAt = stripe.offset + stripe.indexBytes + stripe.dataBytes;
  if (footerAt + stripe.footerBytes > file.byteLength)
    throw new Damage('a stripe inside the file', 'one that is not', stripe.offset);
  const footer: StripeFooter = { streams: [], encodings: [], zone: '' };
  let offset = stripe.offset;
  eachField(chunks.join(file.subarray(footerAt, footerAt + stripe.footerBytes), footerAt), footerAt, (field, value) => {
    if (field === 1) {
      const stream: StreamPlace = { kind: 0, column: 0, offset, bytes: 0 };
      eachField(asBytes(value, 'a stream', footerAt), footerAt, (part, number) => {
        if (part === 1) stream.kind = asNumber(number, 'kind of stream', footerAt);
        else if (part === 2) stream.column = asNumber(number, 'column of a stream', footerAt);
        else if (part === 3) stream.bytes = asNumber(number, 'length of a stream', footerAt);
      });
      offset += stream.bytes;
      if (offset > footerAt) throw new Damage('a stream inside its stripe', `${stream.bytes} bytes`, stream.offset);
      footer.streams.push(stream);
    } else if (field === 2) {
      const encoding = { kind: 0, dictionarySize: 0 };
      eachField(asBytes(value, 'an encoding', footerAt), footerAt, (part, number) => {
        if (part === 1) encoding.kind = asNumber(number, 'kind of encoding', footerAt);
        else if (part === 2) encoding.dictionarySize = asNumber(number, 'size of a dictionary', footerAt);
      });
      footer.encodings.push(encoding);
    } else if (field === 3) footer.zone = asText(value, 'time zone of the writer', footerAt);
    else if (field === 4) throw new NotReadable('an encrypted ORC file');
  });
  return footer;
}
