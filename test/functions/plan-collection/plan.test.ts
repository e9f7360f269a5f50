import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  BATCH_NAME_BYTES,
  BATCH_TABLES,
  cutBatches,
  planDatabase,
  reasonToHold,
} from '../../../functions/plan-collection/plan.ts';
import { MAX_ENVELOPE_BYTES, wrapMessage } from '../../../shared/queue/envelope.ts';

const stored = (name: string, change: object = {}) => ({ name, readRequests: 30, readBytes: 5_000, removed: false, ...change });
const everything = () => true;

describe('the plan of a database', () => {
  it('reads what is listed and misses what is known but not listed', () => {
    const plan = planDatabase(['a', 'b'], [stored('b'), stored('c'), stored('d', { removed: true })], everything);
    expect(plan.toRead.map((table) => table.table)).toEqual(['a', 'b']);
    expect(plan.missing).toEqual(['c']);
  });

  it('expects less of a table that was read before than of a new one', () => {
    const { toRead } = planDatabase(['new', 'old'], [stored('old')], everything);
    expect(toRead[0]!.requests).toBeGreaterThan(toRead[1]!.requests);
  });

  it('neither reads nor misses what is out of scope', () => {
    const plan = planDatabase(['a_tmp'], [stored('b_tmp')], (table) => !table.endsWith('_tmp'));
    expect(plan).toEqual({ toRead: [], missing: [] });
  });

  it('never misses what a complete listing holds (Q5)', () => {
    const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 4 }), { maxLength: 20 });
    fc.assert(
      fc.property(names, names, (listed, known) => {
        const plan = planDatabase(
          listed,
          known.map((name) => stored(name)),
          everything,
        );
        expect(plan.missing.filter((name) => listed.includes(name))).toEqual([]);
        expect(plan.toRead.map((table) => table.table)).toEqual(listed);
      }),
    );
  });
});

describe('batches', () => {
  const table = (name: string, requests = 1) => ({ database: 'd', table: name, requests, bytes: 0 });

  it('keep order and lose nothing', () => {
    const tables = Array.from({ length: 1_003 }, (_, i) => table(`t${i}`));
    const batches = cutBatches(tables);
    expect(batches.flat().map((name) => name.table)).toEqual(tables.map((each) => each.table));
    expect(Math.max(...batches.map((batch) => batch.length))).toBe(BATCH_TABLES);
  });

  it('give a table that is over the limit a message of its own', () => {
    expect(cutBatches([table('a'), table('huge', 1_000_000), table('b')])).toHaveLength(3);
  });

  it('fit into one queue message whatever the names are', () => {
    const names = fc.array(fc.string({ unit: 'binary', minLength: 1, maxLength: 300 }), { minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(names, (all) => {
        for (const tables of cutBatches(all.map((name) => table(name)))) {
          const workspaceId = 1;
          const id = '00000000-0000-4000-8000-000000000000';
          const data = { workspaceId, environmentId: id, runId: id, tables };
          const text = wrapMessage({ type: 'table-collection.requested', data }, 'plan-collection');
          expect(Buffer.byteLength(text)).toBeLessThanOrEqual(MAX_ENVELOPE_BYTES);
        }
      }),
      { numRuns: 100 },
    );
    expect(BATCH_NAME_BYTES).toBeLessThan(MAX_ENVELOPE_BYTES);
  });
});

describe('removals', () => {
  const count = (database: string, known: number, missing: number) => ({ database, known, missing });

  it('are believed when they are few', () => {
    expect(reasonToHold([count('a', 100, 3), count('b', 4, 4)])).toBeUndefined();
    expect(reasonToHold([count('a', 1_000, 100)])).toBeUndefined();
    expect(reasonToHold([count('a', 30, 20)])).toBeUndefined();
    expect(reasonToHold([])).toBeUndefined();
  });

  it('are held when they are more than 20 and more than a tenth', () => {
    expect(reasonToHold([count('a', 1_000, 101)])).toMatch('101 of 1000');
    expect(reasonToHold([count('a', 30, 21)])).toMatch('21 of 30');
  });

  it('are held when a whole database of five or more would go', () => {
    expect(reasonToHold([count('a', 1_000, 0), count('b', 5, 5)])).toMatch("database 'b'");
    expect(reasonToHold([count('a', 1_000, 0), count('b', 4, 4)])).toBeUndefined();
  });

  it('are held when everything would go, however little that is', () => {
    expect(reasonToHold([count('a', 1, 1)])).toMatch('environment');
    expect(reasonToHold([count('a', 2, 2), count('b', 1, 1)])).toMatch('environment');
  });
});
