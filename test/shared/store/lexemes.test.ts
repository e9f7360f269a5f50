import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { queryWordsOf, quoteLexeme, searchDocuments, wordsOf } from '../../../shared/store/lexemes.ts';
import { storableJson, storableText } from '../../../shared/store/storable.ts';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.close());

describe('words', () => {
  it('are lower case parts, and of Chinese each character and each pair', () => {
    expect(wordsOf('dwd_trade_Order-Detail.2026')).toEqual(['dwd', 'trade', 'order', 'detail', '2026']);
    expect(wordsOf('订单表v2')).toEqual(['订', '单', '表', '订单', '单表', 'v2']);
    expect(wordsOf('')).toEqual([]);
  });

  it('of a query are pairs where the text is long enough', () => {
    expect(queryWordsOf('订单')).toEqual(['订单']);
    expect(queryWordsOf('订')).toEqual(['订']);
    expect(queryWordsOf('订单 order')).toEqual(['订单', 'order']);
  });
});

describe('search documents', () => {
  it('are accepted by PostgreSQL whatever the names are', async () => {
    const odd = `o'dd\\name "q" 订单 \t${'x'.repeat(3_000)} é`;
    const { document, columnDocument } = searchDocuments({
      database: odd,
      table: odd,
      comment: odd,
      owner: odd,
      mergeEngine: 'partial-update',
      columns: [{ name: odd, description: odd }, { name: '__proto__' }],
    });
    const [row] = await db.query<{ d: boolean; c: boolean }>(
      `select $1::tsvector @@ $3::tsquery as d, $2::tsvector @@ $4::tsquery as c`,
      [document, columnDocument, `${quoteLexeme('订单')} & ${quoteLexeme('#me=partial-update')}`, quoteLexeme('__proto__')],
    );
    expect(row).toEqual({ d: true, c: true });
  });

  it('are equal for equal facts in any order', () => {
    const columns = [{ name: 'a' }, { name: 'b' }];
    const facts = { database: 'd', table: 't', columns };
    expect(searchDocuments({ ...facts, columns: columns.toReversed() })).toEqual(searchDocuments(facts));
  });
});

describe('storable values', () => {
  it('lose only what PostgreSQL refuses, and say so (F45)', async () => {
    const value = { 'k\0': 'a\0b', lone: '\ud800x', fine: '😀', big: 9_223_372_036_854_775_807n, list: [1, null, undefined] };
    const { json, isCleaned } = storableJson(value);
    expect(isCleaned).toBe(true);
    const [row] = await db.query<{ v: unknown }>('select $1::jsonb as v', [json]);
    expect(row!.v).toEqual({ 'k�': 'a�b', lone: '�x', fine: '😀', big: '9223372036854775807', list: [1, null, null] });
    expect(storableJson({ a: 'fine' })).toEqual({ json: '{"a":"fine"}', isCleaned: false });
    expect(storableText('\0\udc00')).toBe('��');
  });

  it('keep __proto__ and its like as data (T11)', async () => {
    const value = JSON.parse('{"__proto__":"x","constructor":{"prototype":1},"toString":null}');
    const [row] = await db.query<{ v: Record<string, unknown> }>('select $1::jsonb as v', [storableJson(value).json]);
    expect(JSON.stringify(row!.v)).toBe('{"toString":null,"__proto__":"x","constructor":{"prototype":1}}');
    expect(({} as { x?: unknown }).x).toBeUndefined();
    expect(Object.getPrototypeOf({})).toBe(Object.prototype);
  });
});
