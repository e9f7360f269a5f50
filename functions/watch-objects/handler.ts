import { z } from 'zod';
import { type CompiledScope, compileScope } from '../../shared/collection-scope.ts';
import { type Call, objectEventHandler } from '../../shared/fc/event-handler.ts';
import { functionQueue, queueEnv } from '../../shared/fc/function-queue.ts';
import { instanceDatabase } from '../../shared/fc/instance.ts';
import type { Queue } from '../../shared/queue/queue.ts';
import type { Database } from '../../shared/store/database.ts';
import { type EventTarget, eventTargets, type Wake, wakeTables } from '../../shared/store/event-targets.ts';
import { flushOutbox } from '../../shared/store/outbox.ts';
import { storableText } from '../../shared/store/storable.ts';
import { tableKeyOf } from '../../shared/store/table-key.ts';
import { type ObjectEvent, readObjectEvents } from './object-event.ts';
import { effectOf, identifyObject } from './object-key.ts';

const Env = z.object({ DATABASE_URL: z.string().min(1), ...queueEnv });

export interface Deps {
  database: Database;
  queue: Queue;
}

/**
 * Object events: native trigger, EventBridge, or a queue. An event only names a table to look at: which environment that is
 * follows from its storage bucket, region and key, and what does not fit one is counted and dropped.
 */
export const handler = objectEventHandler({ env: Env, build, run });

export async function run(event: unknown, deps: Deps, call: Call): Promise<void> {
  const { events, malformed, irrelevant } = readObjectEvents(event);
  const targets = events.length === 0 ? [] : await eventTargets(deps.database, [...new Set(events.map((e) => e.bucket))]);
  const { wakes, foreign, ignored } = tablesNamed(events, targets);
  const sent = await wakeTables(deps.database, wakes);
  await flushOutbox(deps.database, deps.queue);
  call.log.info('object events handled', {
    events: events.length,
    tables: wakes.length,
    messages: sent,
    ignored,
    irrelevant,
    foreign,
    malformed,
  });
}

/** Events → tables to look at, each once. `foreign`: below no warehouse; `ignored`: of a kind that changes nothing yet. */
export function tablesNamed(
  events: readonly ObjectEvent[],
  targets: readonly EventTarget[],
): { wakes: Wake[]; foreign: number; ignored: number } {
  const scopes = new Map<EventTarget, CompiledScope>(targets.map((target) => [target, compileScope(target.scope)]));
  const wakes = new Map<string, Wake>();
  let foreign = 0;
  let ignored = 0;
  for (const event of events) {
    let belongs = false;
    let changes = false;
    for (const target of targets) {
      if (target.bucket !== event.bucket || (event.region !== undefined && event.region !== target.region)) continue;
      const identity = identifyObject(event.key, target.prefix);
      if (!identity) continue;
      const { database, table } = identity;
      belongs = true;
      const effect = effectOf(identity);
      if (effect === 'none' || !scopes.get(target)!.holds(database, table)) continue;
      if (storableText(database) !== database || storableText(table) !== table) continue;
      changes = true;
      const key = `${target.environmentId} ${tableKeyOf(identity)}`;
      const eventAt = earliest(wakes.get(key)?.eventAt, event.time);
      wakes.set(key, {
        workspaceId: target.workspaceId,
        environmentId: target.environmentId,
        database,
        table,
        reread: effect === 'reread' || wakes.get(key)?.reread === true,
        ...(eventAt && { eventAt }),
      });
    }
    if (!belongs) foreign++;
    else if (!changes) ignored++;
  }
  return { wakes: [...wakes.values()], foreign, ignored };
}

function earliest(a: Date | undefined, b: Date | undefined): Date | undefined {
  if (!a || !b) return a ?? b;
  return a < b ? a : b;
}

function build(env: z.infer<typeof Env>, call: Call): Deps {
  return { database: instanceDatabase(env.DATABASE_URL), queue: functionQueue(env, call) };
}
