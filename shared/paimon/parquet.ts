import { Damage } from './damage.ts';
import { Leaf, type Read, readerWithin } from './parquet/columns.ts';
import { type Node, type RowGroup, readFooter } from './parquet/footer.ts';
import { Allowance, codecOf } from './parquet/pages.ts';
import type { ContainerInfo, OnRow, Slots } from './rows.ts';

type Step = (slots: Slots) => void;

/**
 * Reads a Parquet file row by row: what Java writers up to 2.0 make with `manifest.format` = `parquet`, pages of both
 * versions. Columns that are not asked for are never touched; of the others one page each is held. Timestamps come as
 * milliseconds. Throws Damage, NotReadable or OverLimit.
 */
export function readParquet(file: Uint8Array, columns: readonly string[], onRow: OnRow): ContainerInfo {
  const footer = readFooter(file);
  const allowance = new Allowance(file.byteLength);
  const slots: Slots = columns.map(() => null);
  for (const group of footer.rowGroups) readRowGroup(file, footer.root, group, columns, slots, onRow, allowance);
  const codec = footer.rowGroups[0]?.chunks[0]?.codec;
  // A file without rows does not say how it would have been compressed.
  return { format: 'parquet', codec: codec === undefined ? 'none' : codecOf(codec).name, rows: footer.rows };
}

function readRowGroup(
  file: Uint8Array,
  root: Node,
  group: RowGroup,
  columns: readonly string[],
  slots: Slots,
  onRow: OnRow,
  allowance: Allowance,
): void {
  const leaves = new Map<Node, Leaf>();
  const leafOf = (node: Node): Leaf => {
    let leaf = leaves.get(node);
    if (leaf === undefined) {
      leaf = new Leaf(file, node, group.chunks[node.leaf]!, allowance);
      leaves.set(node, leaf);
    }
    return leaf;
  };
  const wanted = new Map(columns.map((column, slot) => [column, slot]));
  const steps = planRecord(root, '', wanted, leafOf);
  for (let row = 0; row < group.rows; row++) {
    for (let i = 0; i < slots.length; i++) slots[i] = null;
    for (let i = 0; i < steps.length; i++) steps[i]!(slots);
    onRow(slots);
  }
  for (const leaf of leaves.values()) {
    if (leaf.left > 0) throw new Damage(`the end of column ${leaf.node.name}`, `${leaf.left} more values`);
  }
}

/** Wanted columns inside records are read on their own; their levels say where the record is missing. */
function planRecord(node: Node, prefix: string, wanted: Map<string, number>, leafOf: (node: Node) => Leaf): Step[] {
  return node.children.flatMap((child) => {
    const path = prefix + child.name;
    const slot = wanted.get(path);
    if (slot !== undefined) {
      const read: Read = readerWithin(node.definition, child, leafOf);
      return [
        (slots: Slots) => {
          slots[slot] = read();
        },
      ];
    }
    const below = `${path}.`;
    if (![...wanted.keys()].some((name) => name.startsWith(below))) return [];
    if (child.leaf >= 0 || child.repetition === 'repeated') throw new Damage(`a record at ${path}`, 'something else');
    return planRecord(child, below, wanted, leafOf);
  });
}
