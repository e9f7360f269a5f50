import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openDirectoryStore } from '../../../shared/object-store/directory.ts';
import { type SchemaStep, schemaTimeline } from '../../../shared/paimon/schema-changes.ts';
import { readTable } from '../../../shared/paimon/table.ts';
import { fixtureWarehouses, warehousesIn } from '../../fixtures/unpack.ts';

const warehouse = (await warehousesIn(await fixtureWarehouses())).find(
  ({ name, root }) => name.endsWith('main') && root.includes(join('written-java-2.0.0')),
)!;

async function timelineOf(database: string, table: string): Promise<SchemaStep[]> {
  return schemaTimeline(await readTable(openDirectoryStore(warehouse.root), { warehousePrefix: '', database, table }));
}

test('a table of twenty-one schemas: one ALTER, one list of changes', async () => {
  const timeline = await timelineOf('research', 'invoices_evolved');
  const changes = timeline.map((step) => step.changes.map((change) => (change.kind === 'option' ? change.name : change.kind)));
  expect(timeline).toHaveLength(21);
  expect(changes[0]).toEqual([]);
  expect(timeline[1]!.changes).toEqual([{ kind: 'added', path: 'note', id: 4, type: 'STRING' }]);
  // Added first: the others keep their order, so none has moved.
  expect(timeline[2]!.changes).toEqual([{ kind: 'added', path: 'first', id: 5, type: 'INT' }]);
  expect(timeline[4]!.changes).toEqual([{ kind: 'retyped', path: 'margin', id: 1, from: 'INT', to: 'BIGINT' }]);
  expect(timeline[5]!.changes).toEqual([{ kind: 'renamed', path: 'title_2', id: 2, from: 'title', to: 'title_2' }]);
  expect(timeline[7]!.changes).toEqual([{ kind: 'dropped', path: 'flag', id: 3, type: 'BOOLEAN' }]);
  // The same name again is another column, and no sign of a new table.
  expect(timeline[8]!.changes).toEqual([{ kind: 'added', path: 'flag', id: 7, type: 'BOOLEAN' }]);
  expect(timeline[9]!.changes).toEqual([{ kind: 'moved', path: 'note', id: 4, from: 5, to: 0 }]);
  expect(timeline[12]!.changes).toEqual([{ kind: 'nullability', path: 'id', id: 0, nullable: true }]);
  expect(changes[13]).toEqual(['snapshot.num-retained.max', 'write-buffer-size']);
  expect(timeline[14]!.changes).toEqual([{ kind: 'option', name: 'write-buffer-size', from: '8 mb' }]);
  expect(timeline[15]!.changes).toEqual([{ kind: 'table-comment', from: 'version zero', to: 'version fifteen' }]);
  expect(changes[18]).toEqual(['dropped', 'added', 'added']);
  expect(changes.flat()).not.toContain('replaced');
});

test('a renamed key renames the keys; snapshots belong to the schema they were written under', async () => {
  const timeline = await timelineOf('research', 'tickets_keyed_evolved');
  expect(timeline[2]!.changes).toEqual([
    { kind: 'renamed', path: 'key_id', id: 0, from: 'id', to: 'key_id' },
    { kind: 'primary-keys', from: ['id'], to: ['key_id'] },
    { kind: 'option', name: 'bucket-key', from: 'id', to: 'key_id' },
  ]);
  expect(timeline[4]!.snapshots).toContain(3n);
  expect(timeline.flatMap((step) => step.snapshots).sort()).toEqual([1n, 2n, 3n]);
});

test('REPLACE TABLE starts field ids again: nothing of before lives on', async () => {
  const timeline = await timelineOf('partners', 'tickets_replaced');
  expect(timeline[1]!.changes.map((change) => change.kind)).toEqual([
    'replaced',
    ...Array(3).fill('dropped'),
    ...Array(4).fill('added'),
    'table-comment',
  ]);
});

test('fields inside columns are followed by id', async () => {
  const timeline = await timelineOf('research', 'refunds_nested_evolved');
  const nested = timeline.flatMap((step) => step.changes);
  expect(nested.map((change) => [change.kind, 'path' in change ? change.path : ''])).toEqual([
    ['added', 'address.city'],
    ['added', 'address.geo.alt'],
    ['retyped', 'address.zip'],
    ['renamed', 'address.position'],
    ['dropped', 'address.position.lat'],
    ['added', 'list.element.v'],
  ]);
});
