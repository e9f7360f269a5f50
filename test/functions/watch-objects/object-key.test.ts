import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { effectOf, identifyObject } from '../../../functions/watch-objects/object-key.ts';

const uuid = '0a1b2c3d-0000-4000-8000-000000000001';

describe('an object key', () => {
  it.each([
    ['schema/schema-0', 'schema', 'probe'],
    ['snapshot/snapshot-12', 'snapshot', 'probe'],
    ['snapshot/LATEST', 'hint', 'probe'],
    ['snapshot/EARLIEST', 'hint', 'probe'],
    ['tag/tag-2026-01-15 08:30', 'tag', 'reread'],
    ['branch/branch-b1/snapshot/snapshot-3', 'snapshot', 'reread'],
    ['branch/branch-b1/schema/schema-1', 'schema', 'reread'],
    ['branch/branch-b1/tag/tag-x', 'tag', 'reread'],
    ['branch/branch-b1/consumer/consumer-c', 'consumer', 'none'],
    ['changelog/changelog-4', 'changelog', 'none'],
    ['consumer/consumer-me', 'consumer', 'none'],
    [`manifest/manifest-list-${uuid}-0`, 'manifest', 'none'],
    [`manifest/manifest-${uuid}-0`, 'manifest', 'none'],
    [`index/index-${uuid}-0`, 'index', 'none'],
    [`statistics/stat-${uuid}-0`, 'statistics', 'none'],
    ['service/service-primary-key-lookup', 'service', 'none'],
    ['metadata/v1.metadata.json', 'iceberg', 'none'],
    [`bucket-0/data-${uuid}-0.parquet`, 'data', 'none'],
    [`dt=2026-01-15/bucket-postpone/data-u-a-s-0-w-${uuid}-0.avro`, 'data', 'none'],
    [`data/dt=1/hh=%2F/bucket-3/changelog-${uuid}-0.orc`, 'data', 'none'],
    ['bucket-0/schema/schema-0', 'data', 'none'],
    ['dt=1/_SUCCESS', 'partition-done', 'none'],
    [`snapshot/.snapshot-3.${uuid}.tmp`, 'temporary', 'none'],
    [`snapshot/snapshot-1${uuid}.tmp`, 'temporary', 'none'],
    ['_temporary/.tmp.x/part', 'temporary', 'none'],
    ['snapshot/snapshot-x', 'other', 'none'],
    ['snapshot/snapshot-1/deeper', 'other', 'none'],
    ['schema/schema-', 'other', 'none'],
    ['snapshot/', 'marker', 'none'],
    ['branch/branch-b1/', 'marker', 'none'],
    ['README', 'other', 'none'],
  ])('%s is %s', (rest, kind, effect) => {
    const identity = identifyObject(`lake/wh/sales.db/orders/${rest}`, 'lake/wh/');
    expect(identity).toMatchObject({ database: 'sales', table: 'orders', kind });
    expect(effectOf(identity!)).toBe(effect);
  });

  it('names its branch', () => {
    expect(identifyObject('d.db/t/branch/branch-a b/snapshot/snapshot-1', '')).toEqual({
      database: 'd',
      table: 't',
      branch: 'a b',
      kind: 'snapshot',
    });
  });

  it('keeps dots in database names and only takes the last .db off', () => {
    expect(identifyObject('wh/a.b.db/t/snapshot/snapshot-1', 'wh/')).toMatchObject({ database: 'a.b', table: 't' });
    expect(identifyObject('wh/a.db.db/t/snapshot/snapshot-1', 'wh/')).toMatchObject({ database: 'a.db' });
  });

  it.each([
    'other/sales.db/orders/snapshot/snapshot-1',
    'lake/wh2/sales.db/orders/snapshot/snapshot-1',
    'lake/wh/iceberg/sales/orders/metadata/x',
    'lake/wh/.db/orders/snapshot/snapshot-1',
    'lake/wh/sales.db/',
    'lake/wh/sales.db/orders',
    'lake/wh/sales.db//snapshot/snapshot-1',
    'lake/wh/sales.db/../snapshot/snapshot-1',
    'lake/wh/sales.DB/orders/snapshot/snapshot-1',
    '',
  ])('%s belongs to no table of the warehouse lake/wh/', (key) => {
    expect(identifyObject(key, 'lake/wh/')).toBeUndefined();
  });

  it('goes there and back for any names (Q6)', () => {
    const name = fc
      .string({ unit: 'binary', minLength: 1 })
      .filter((text) => !text.includes('/') && text !== '.' && text !== '..');
    fc.assert(
      fc.property(name, name, name, (database, table, branch) => {
        const key = `w/${database}.db/${table}/branch/branch-${branch}/snapshot/snapshot-7`;
        expect(identifyObject(key, 'w/')).toEqual({ database, table, branch, kind: 'snapshot' });
      }),
    );
  });
});
