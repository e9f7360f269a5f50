import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDatabase, type TenantTransaction } from '../../../shared/store/database.ts';
import {
  fence,
  keepRenewing,
  type Lease,
  releaseLease,
  renewLease,
  sweepAbandonedLeases,
  takeLease,
} from '../../../shared/store/leases.ts';
import { type TestDatabase, testDatabase, testWorkspace } from '../../support/postgres.ts';

let db: TestDatabase;
let workspace: number;
beforeAll(async () => {
  db = await testDatabase({ maxConnections: 12 });
  workspace = await testWorkspace(db);
});
afterAll(() => db.close());

const inTenant = <T>(work: (tx: TenantTransaction) => Promise<T>) => db.database.tenant(workspace, work);
const take = (environment: string, holder: string, key = 'db.t') => inTenant((tx) => takeLease(tx, environment, key, holder));
const release = (lease: Lease) => inTenant((tx) => releaseLease(tx, lease));
async function runOut(environment: string, key = 'db.t') {
  await db.query(
    "update lease set expires_at = clock_timestamp() - interval '1 ms' where environment_id = $1 and table_key = $2",
    [environment, key],
  );
}

describe('lease (M1)', () => {
  it('goes to exactly one of many that take it at once', async () => {
    const environment = randomUUID();
    const leases = await Promise.all(Array.from({ length: 12 }, (_, i) => take(environment, `holder-${i}`)));
    const winners = leases.filter((lease) => lease !== undefined);
    expect(winners).toHaveLength(1);
    expect(winners[0]!.term).toBe(1n);
  });

  it('raises the term with each change of hands, also after a release', async () => {
    const environment = randomUUID();
    const terms: bigint[] = [];
    for (let i = 0; i < 3; i++) {
      const lease = await take(environment, `holder-${i}`);
      terms.push(lease!.term);
      await release(lease!);
    }
    expect(terms).toEqual([1n, 2n, 3n]);
  });

  it('fences a holder that slept past its end once another took over (F31)', async () => {
    const environment = randomUUID();
    const zombie = (await take(environment, 'zombie'))!;
    await runOut(environment);
    const heir = (await take(environment, 'heir'))!;
    expect(await inTenant((tx) => fence(tx, zombie))).toBe(false);
    expect(await inTenant((tx) => renewLease(tx, zombie))).toBe(false);
    expect(await release(zombie)).toEqual({ wanted: false });
    // The zombie's attempts changed nothing for the heir.
    expect(await inTenant((tx) => fence(tx, heir))).toBe(true);
  });

  it('lets a late holder go on while nobody took over', async () => {
    const environment = randomUUID();
    const lease = (await take(environment, 'slow'))!;
    await runOut(environment);
    expect(await inTenant((tx) => renewLease(tx, lease))).toBe(true);
    expect(await take(environment, 'other')).toBeUndefined();
  });

  it('does not fence in after its own release', async () => {
    const environment = randomUUID();
    const lease = (await take(environment, 'once'))!;
    await release(lease);
    expect(await inTenant((tx) => fence(tx, lease))).toBe(false);
  });

  it('makes a taker wait for the write transaction that is under way', async () => {
    const environment = randomUUID();
    const lease = (await take(environment, 'writer'))!;
    await runOut(environment);
    let taken: Lease | undefined | 'waiting' = 'waiting';
    let taking: Promise<void> | undefined;
    await inTenant(async (tx) => {
      expect(await fence(tx, lease)).toBe(true);
      taking = take(environment, 'taker').then((result) => {
        taken = result;
      });
      await expect
        .poll(async () => (await db.query("select 1 from pg_locks where locktype = 'advisory' and not granted")).length)
        .toBeGreaterThan(0);
      expect(taken).toBe('waiting');
    });
    await taking;
    expect(taken).toMatchObject({ holder: 'taker', term: 2n });
  });

  it('never lets two terms write in the wrong order, however holders race', async () => {
    const environment = randomUUID();
    await db.query('create table if not exists written (at bigint generated always as identity, term bigint)');
    await db.query('grant all on written to datamap_tenant');
    // Leases run out at random moments while everybody takes, writes and lets go.
    const workers = Array.from({ length: 6 }, async (_, worker) => {
      for (let round = 0; round < 15; round++) {
        const lease = await take(environment, `w${worker}-${round}`);
        if (!lease) {
          if (round % 4 === 0) await runOut(environment);
          continue;
        }
        for (let write = 0; write < 2; write++)
          await inTenant(async (tx) => {
            if (await fence(tx, lease)) await tx.query('insert into written (term) values ($1)', [lease.term.toString()]);
          });
        if (round % 3 !== 0) await release(lease);
        else await runOut(environment);
      }
    });
    await Promise.all(workers);
    const terms = (await db.query<{ term: string }>('select term from written order by at')).map((row) => Number(row.term));
    expect(terms.length).toBeGreaterThan(10);
    expect(terms).toEqual([...terms].sort((a, b) => a - b));
  });

  it('is hidden from other workspaces', async () => {
    const environment = randomUUID();
    const lease = (await take(environment, 'mine'))!;
    const other = await testWorkspace(db, `other-${environment.slice(0, 8)}`);
    expect(await db.database.tenant(other, (tx) => fence(tx, lease))).toBe(false);
  });
});

describe('wanted mark (M6, F32)', () => {
  it('tells the holder of somebody who came while it read', async () => {
    const environment = randomUUID();
    const lease = (await take(environment, 'reader'))!;
    expect(await take(environment, 'event')).toBeUndefined();
    expect(await release(lease)).toEqual({ wanted: true });
  });

  it('is answered once, not by the next holder again', async () => {
    const environment = randomUUID();
    const lease = (await take(environment, 'reader'))!;
    await take(environment, 'event');
    await release(lease);
    const next = (await take(environment, 'next'))!;
    expect(await release(next)).toEqual({ wanted: false });
  });

  it('is not wanted when the read started after the event', async () => {
    const environment = randomUUID();
    const lease = (await take(environment, 'reader'))!;
    await take(environment, 'event');
    const [{ now } = { now: new Date() }] = await db.query<{ now: Date }>("select clock_timestamp() + interval '2 ms' as now");
    expect(await inTenant((tx) => releaseLease(tx, lease, now))).toEqual({ wanted: false });
  });

  it('loses no wake-up in either order of release and arrival', async () => {
    for (let round = 0; round < 40; round++) {
      const environment = randomUUID();
      const lease = (await take(environment, 'reader'))!;
      const [released, arrived] = await Promise.all([release(lease), take(environment, 'event')]);
      // Either the one who came works itself, or the holder was told to send one more message; never neither.
      expect(arrived !== undefined || released.wanted, `round ${round}`).toBe(true);
      expect(arrived !== undefined && released.wanted, `round ${round}`).toBe(false);
    }
  });
});

describe('abandoned leases (F30)', () => {
  it('are named once, and only those that ran out unreleased', async () => {
    const [dead, alive, freed] = [randomUUID(), randomUUID(), randomUUID()];
    await take(dead, 'dies');
    await take(alive, 'works');
    await release((await take(freed, 'done'))!);
    await runOut(dead);
    const found = await db.database.system((tx) => sweepAbandonedLeases(tx));
    expect(found.filter((lease) => [dead, alive, freed].some((id) => id === lease.environmentId))).toEqual([
      { workspaceId: workspace, environmentId: dead, tableKey: 'db.t' },
    ]);
    const again = await db.database.system((tx) => sweepAbandonedLeases(tx));
    expect(again.map((lease) => lease.environmentId)).not.toContain(dead);
    expect(await take(dead, 'heir')).toMatchObject({ term: 2n });
  });
});

describe('keepRenewing', () => {
  it('trusts until 25 s after the start of the last good renewal', async () => {
    let now = 0;
    let good = true;
    let renewals = 0;
    const renewing = keepRenewing(
      async () => {
        renewals++;
        if (!good) throw new Error('database away');
        return true;
      },
      { everyMs: 1, now: () => now },
    );
    try {
      now = 20_000;
      const before = renewals;
      await expect.poll(() => renewals).toBeGreaterThan(before + 1);
      good = false;
      now = 44_000;
      expect(renewing.isTrusted()).toBe(true);
      now = 45_001;
      expect(renewing.isTrusted()).toBe(false);
    } finally {
      renewing.stop();
    }
  });

  it('stops trusting at once when a renewal is refused', async () => {
    const renewing = keepRenewing(async () => false, { everyMs: 1 });
    await expect.poll(() => renewing.isTrusted()).toBe(false);
    renewing.stop();
  });
});

it('a second session sees a taken lease even when the first one is on another pool', async () => {
  const other = openDatabase(db.url);
  try {
    const environment = randomUUID();
    await take(environment, 'here');
    expect(await other.tenant(workspace, (tx) => takeLease(tx, environment, 'db.t', 'there'))).toBeUndefined();
    expect(await other.tenant(workspace, (tx) => takeLease(tx, environment, 'db.u', 'there'))).toBeDefined();
  } finally {
    await other.close();
  }
});
