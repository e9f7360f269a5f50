import { Damage, NotReadable, OverLimit } from '../damage.ts';
import { MAX_DEPTH, MAX_ENTRIES, MAX_RATIO, MAX_SCHEMA_NODES } from '../limits.ts';
import { asStruct, countOf, listOf, numberOf, structOf, type Thrift, ThriftReader, type ThriftStruct, textOf } from './thrift.ts';

export const TYPE = { boolean: 0, int32: 1, int64: 2, int96: 3, float: 4, double: 5, bytes: 6, fixed: 7 } as const;

/** One node of the schema. */
export interface Node {
  name: string;
  repetition: 'required' | 'optional' | 'repeated';
  /** Definition and repetition level of values for which this node is there. */
  definition: number;
  repeat: number;
  meaning: 'text' | 'list' | 'map' | 'millis' | 'micros' | 'nanos' | undefined;
  children: Node[];
  /** Physical type of a leaf, and its position among the column chunks of a row group. */
  type: number;
  typeBytes: number;
  leaf: number;
}

export interface Chunk {
  offset: number;
  bytes: number;
  codec: number;
  /** Values and nulls. */
  values: number;
}

export interface RowGroup {
  rows: number;
  /** By `Node.leaf`. */
  chunks: Chunk[];
}

export interface Footer {
  root: Node;
  rowGroups: RowGroup[];
  rows: number;
}

const MAGIC = 'PAR1';
const END_BYTES = 8;

/** Reads the footer (apache/parquet-format README.md, parquet.thrift). Throws Damage, NotReadable or OverLimit. */
export function readFooter(file: Uint8Array): Footer {
  const end = file.byteLength - END_BYTES;
  const tail = Buffer.from(file.buffer, file.byteOffset, file.byteLength).subarray(Math.max(0, end));
  if (end < MAGIC.length || tail.toString('latin1', 4) !== MAGIC) {
    throw new Damage("'PAR1' at the end of the Parquet file", 'something else', Math.max(0, end) + 4);
  }
  const bytes = tail.readUInt32LE(0);
  if (bytes > end - MAGIC.length) throw new Damage('a footer inside the file', `${bytes} bytes`, end);
  const meta = new ThriftReader(file, end - bytes, end).struct();
  if (meta.has(8)) throw new NotReadable('an encrypted Parquet file');
  const leaves: Node[] = [];
  const root = readSchema(listOf(meta, 2, 'schema'), leaves);
  const rows = countOf(meta, 3, 'number of rows');
  if (rows > Math.min(MAX_ENTRIES, file.byteLength * MAX_RATIO)) throw new OverLimit('rows of one file', MAX_ENTRIES);
  const rowGroups = listOf(meta, 4, 'row groups').map((group) => readRowGroup(asStruct(group, 'a row group'), leaves, end));
  const inGroups = rowGroups.reduce((sum, group) => sum + group.rows, 0);
  if (inGroups !== rows) throw new Damage(`${rows} rows in the row groups`, `${inGroups}`, end - bytes);
  checkOrder(rowGroups);
  return { root, rowGroups, rows };
}

/** The schema is listed depth first, each node with the number of its children. */
function readSchema(elements: Thrift[], leaves: Node[]): Node {
  if (elements.length > MAX_SCHEMA_NODES) throw new OverLimit('size of the Parquet schema', MAX_SCHEMA_NODES);
  let next = 0;
  const root = read(0, 0, 0);
  if (next !== elements.length) throw new Damage('a schema of one tree', 'more');
  return root;

  function read(depth: number, definition: number, repeat: number): Node {
    if (depth > MAX_DEPTH) throw new OverLimit('depth of the Parquet schema', MAX_DEPTH);
    const element = asStruct(elements[next++], 'a schema element');
    const kind = depth === 0 ? 0 : numberOf(element, 3, 'repetition');
    const repetition = (['required', 'optional', 'repeated'] as const)[kind];
    if (repetition === undefined) throw new Damage('a repetition', `${kind}`);
    const node: Node = {
      name: textOf(element.get(4), 'a column name'),
      repetition,
      definition: definition + (repetition === 'required' ? 0 : 1),
      repeat: repeat + (repetition === 'repeated' ? 1 : 0),
      meaning: meaningOf(element),
      children: [],
      type: -1,
      typeBytes: 0,
      leaf: -1,
    };
    if (element.has(1)) {
      node.type = numberOf(element, 1, 'type');
      if (element.has(2)) node.typeBytes = countOf(element, 2, 'length of type');
      node.leaf = leaves.length;
      leaves.push(node);
      return node;
    }
    const children = element.has(5) ? countOf(element, 5, 'number of children') : 0;
    for (let i = 0; i < children; i++) node.children.push(read(depth + 1, node.definition, node.repeat));
    return node;
  }
}

/** Logical type where there is one, else the older converted type. */
function meaningOf(element: ThriftStruct): Node['meaning'] {
  const logical = element.get(10);
  if (logical instanceof Map) {
    if (logical.has(1) || logical.has(4) || logical.has(12)) return 'text';
    if (logical.has(2)) return 'map';
    if (logical.has(3)) return 'list';
    if (logical.has(8)) {
      const unit = structOf(asStruct(logical.get(8), 'a timestamp'), 2, 'unit of a timestamp');
      return unit.has(1) ? 'millis' : unit.has(2) ? 'micros' : 'nanos';
    }
    return undefined;
  }
  const converted = new Map<number, Node['meaning']>([
    [0, 'text'],
    [1, 'map'],
    [2, 'map'],
    [3, 'list'],
    [4, 'text'],
    [9, 'millis'],
    [10, 'micros'],
    [19, 'text'],
  ]);
  return element.has(6) ? converted.get(numberOf(element, 6, 'converted type')) : undefined;
}

function readRowGroup(group: ThriftStruct, leaves: Node[], end: number): RowGroup {
  const rows = countOf(group, 3, 'rows of a row group');
  const columns = listOf(group, 1, 'columns of a row group');
  if (columns.length !== leaves.length) throw new Damage(`${leaves.length} column chunks`, `${columns.length}`);
  const chunks = columns.map((column, i): Chunk => {
    const chunk = asStruct(column, 'a column chunk');
    if (chunk.has(1)) throw new NotReadable('a Parquet file with columns in other files');
    if (chunk.has(8) || !chunk.has(3)) throw new NotReadable('an encrypted Parquet column');
    const meta = structOf(chunk, 3, 'metadata of a column chunk');
    const name = textOf(listOf(meta, 3, 'path of a column').at(-1), 'path of a column');
    if (name !== leaves[i]!.name) throw new Damage(`column ${leaves[i]!.name}`, JSON.stringify(name.slice(0, 100)));
    const data = countOf(meta, 9, 'offset of data pages');
    // Some writers put 0 where there is no dictionary.
    const dictionary = meta.has(11) ? countOf(meta, 11, 'offset of the dictionary page') : 0;
    const offset = dictionary > 0 && dictionary < data ? dictionary : data;
    const bytes = countOf(meta, 7, 'size of a column chunk');
    if (offset < MAGIC.length || offset + bytes > end)
      throw new Damage('a column chunk inside the file', `one of ${bytes} bytes`, offset);
    const values = countOf(meta, 5, 'values of a column chunk');
    if (values > Math.min(MAX_ENTRIES, end * MAX_RATIO)) throw new OverLimit('values of one column', MAX_ENTRIES);
    return { offset, bytes, codec: numberOf(meta, 4, 'compression'), values };
  });
  return { rows, chunks };
}

/** No two chunks share bytes; else a small file could have the same bytes read over and over. */
function checkOrder(rowGroups: readonly RowGroup[]): void {
  const chunks = rowGroups.flatMap((group) => group.chunks).sort((a, b) => a.offset - b.offset);
  for (let i = 1; i < chunks.length; i++) {
    const before = chunks[i - 1]!;
    if (chunks[i]!.offset < before.offset + before.bytes) {
      throw new Damage('column chunks apart from each other', 'one inside another', chunks[i]!.offset);
    }
  }
}
