import { Damage, OverLimit } from '../damage.ts';
import { MAX_LIST_ITEMS } from '../limits.ts';
import type { Cell, RecordCell } from '../rows.ts';
import type { BitRuns } from './bit-runs.ts';
import type { Chunk, Node } from './footer.ts';
import { type Allowance, pagesOf } from './pages.ts';
import { readDictionary, valuesOf } from './values.ts';

/** One leaf column of a row group: its levels, and its values where there are any. */
export class Leaf {
  /** Levels of the entry that is next; `repeat` 0 begins a row. At the end both are 0 and `left` is 0. */
  repeat = 0;
  definition = 0;
  left: number;
  readonly node: Node;
  readonly #pages: ReturnType<typeof pagesOf>;
  #dictionary: Cell[] | undefined;
  #inPage = 0;
  #repeats: BitRuns | undefined;
  #definitions: BitRuns | undefined;
  #value: () => Cell = () => null;

  constructor(file: Uint8Array, node: Node, chunk: Chunk, allowance: Allowance) {
    this.node = node;
    this.left = chunk.values;
    this.#pages = pagesOf(file, node, chunk, allowance);
    this.#peek();
  }

  /** The next entry: null where it or something above it is missing. */
  take(): Cell {
    if (this.left === 0) throw new Damage(`more values of ${this.node.name}`, 'the end of the column');
    const value = this.definition === this.node.definition ? this.#value() : null;
    this.left--;
    this.#inPage--;
    this.#peek();
    return value;
  }

  #peek(): void {
    if (this.left === 0) {
      this.repeat = 0;
      this.definition = 0;
      return;
    }
    while (this.#inPage === 0) this.#nextPage();
    this.repeat = this.#repeats?.next() ?? 0;
    this.definition = this.#definitions?.next() ?? this.node.definition;
    if (this.repeat > this.node.repeat || this.definition > this.node.definition) {
      throw new Damage(`levels of ${this.node.name}`, `${this.repeat} and ${this.definition}`);
    }
  }

  #nextPage(): void {
    const { value: page, done } = this.#pages.next();
    if (done === true || page === undefined) throw new Damage(`more values of ${this.node.name}`, 'the end of the column');
    if (page.kind === 'dictionary') {
      this.#dictionary = readDictionary(this.node, page);
      return;
    }
    this.#inPage = page.count;
    this.#repeats = page.repeats;
    this.#definitions = page.definitions;
    this.#value = valuesOf(this.node, page, this.#dictionary);
  }
}

/** Gives the next value of a column, in the order of its rows. */
export type Read = () => Cell;

/**
 * A reader of one column with all below it, made of its leaves' levels (Dremel): an entry whose definition level does not reach
 * a node means that the node is missing there. Lists and maps of every layout in parquet-format LogicalTypes.md.
 */
export function readerOf(node: Node, leafOf: (node: Node) => Leaf): Read {
  const read = presentReader(node, leafOf);
  if (node.repetition === 'required') return read;
  const leaves = leavesOf(node, leafOf);
  const first = leaves[0];
  if (first === undefined) return () => null;
  const skip = (): void => {
    for (const leaf of leaves) leaf.take();
  };
  if (node.repetition === 'optional') {
    if (node.children.length === 0) return read;
    return () => {
      if (first.definition >= node.definition) return read();
      skip();
      return null;
    };
  }
  return () => {
    const items: Cell[] = [];
    if (first.definition < node.definition) {
      skip();
      return items;
    }
    do {
      if (items.length >= MAX_LIST_ITEMS) throw new OverLimit('items of one list', MAX_LIST_ITEMS);
      items.push(read());
    } while (first.left > 0 && first.repeat === node.repeat);
    return items;
  };
}

/** Reads a node that is known to be there. */
function presentReader(node: Node, leafOf: (node: Node) => Leaf): Read {
  if (node.leaf >= 0) {
    const leaf = leafOf(node);
    return () => leaf.take();
  }
  const [repeated] = node.children;
  if (repeated?.repetition === 'repeated' && node.children.length === 1) {
    if (node.meaning === 'list') {
      const read = readerOf(repeated, leafOf);
      return isWrapper(repeated, node) ? () => (read() as RecordCell[]).map((item) => item.values().next().value ?? null) : read;
    }
    if (node.meaning === 'map' && repeated.children.length === 2) {
      const read = readerOf(repeated, leafOf);
      return () =>
        new Map(
          (read() as RecordCell[])
            .map((pair) => [...pair.values()] as [unknown, Cell])
            .map(([key, value]) => [String(key), value]),
        );
    }
  }
  const fields = node.children.map((child) => [child.name, readerOf(child, leafOf)] as const);
  return () => {
    const record: RecordCell = new Map();
    for (const [name, read] of fields) record.set(name, read());
    return record;
  };
}

/** Is the repeated group only the list's own layer, with the item inside? Old writers left the layer out. */
function isWrapper(repeated: Node, list: Node): boolean {
  return repeated.children.length === 1 && repeated.name !== 'array' && repeated.name !== `${list.name}_tuple`;
}

/**
 * The same for a column wanted alone out of a record that may be missing, `definition` being the record's own level: null then,
 * and not an empty list or a record of nulls.
 */
export function readerWithin(definition: number, node: Node, leafOf: (node: Node) => Leaf): Read {
  const read = readerOf(node, leafOf);
  const leaves = leavesOf(node, leafOf);
  const [first] = leaves;
  if (definition === 0 || node.leaf >= 0 || first === undefined) return read;
  return () => {
    if (first.definition >= definition) return read();
    for (const leaf of leaves) leaf.take();
    return null;
  };
}

function leavesOf(node: Node, leafOf: (node: Node) => Leaf): Leaf[] {
  return node.leaf >= 0 ? [leafOf(node)] : node.children.flatMap((child) => leavesOf(child, leafOf));
}
