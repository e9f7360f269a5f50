import { createRoute, z } from '@hono/zod-openapi';
import { parseWarehouse } from '../../../shared/data-source-rules.ts';
import { eventSetupOf } from '../../../shared/event-setup.ts';
import { numberFeed } from '../../../shared/store/change-feed.ts';
import { findDataSource } from '../../../shared/store/data-sources.ts';
import { eventStateOf } from '../../../shared/store/event-state.ts';
import type { App } from '../app.ts';
import { notFound, Problem } from '../problem.ts';
import { answers, EnvironmentParams, Int64, iso, isoOrNull, NullableTime, Time, token } from '../schemas.ts';

const EventSetupAnswer = z
  .object({
    state: z
      .enum(['receiving', 'silent', 'waiting'])
      .describe('silent: commits were found without events; waiting: there was nothing to hear of yet'),
    lastEventAt: NullableTime,
    commits: z.object({ byEvent: z.int(), withoutEvent: z.int() }).describe('Of the last 24 hours'),
    missed: z
      .object({ database: z.string(), table: z.string(), snapshotId: Int64, foundAt: Time })
      .nullable()
      .describe('The newest commit that no event came for'),
    hint: z.string().nullable().describe('What to look at when events do not come'),
    events: z.array(z.string()),
    filter: z.object({ bucket: z.string(), prefix: z.string() }),
    notes: z.array(z.string()),
    eventRule: z
      .object({ name: z.string(), queue: z.string(), terraform: z.string(), steps: z.array(z.string()) })
      .describe('Any number of buckets: a rule of the message service that writes to a queue'),
    nativeTrigger: z
      .object({ variables: z.record(z.string(), z.string()), role: z.string(), steps: z.array(z.string()) })
      .describe('One bucket: the trigger of the function itself'),
  })
  .openapi('EventSetup');

export function addEventSetup(app: App): void {
  app.openapi(
    createRoute({
      method: 'get',
      path: '/api/v1/workspaces/{workspace}/data-sources/{name}/environments/{environment}/event-setup',
      tags: ['Connectivity'],
      summary: 'How object events of this warehouse come here, and whether they do',
      security: token,
      request: { params: EnvironmentParams },
      responses: answers(EventSetupAnswer, 'What to configure, ready to paste, and what has arrived'),
    }),
    async (c) => {
      const at = c.req.valid('param');
      const { deps } = c.env;
      await numberFeed(deps.database);
      const answer = await deps.database.tenant(c.var.workspace.id, async (tx) => {
        const source = await findDataSource(tx, at.name);
        const environment = source?.environments.find((candidate) => candidate.name === at.environment);
        if (!environment) throw notFound();
        const { warehouse, region, roleArn, lastEventAt } = environment;
        if (!warehouse || !region)
          throw new Problem(
            409,
            'incomplete',
            `The environment ${environment.name} has no warehouse or region yet: save it first.`,
          );
        const ownerAccountId = /^acs:ram::(\d+):/.exec(roleArn ?? '')?.[1];
        const setup = eventSetupOf({
          warehouse: parseWarehouse(warehouse),
          region,
          installation: { accountId: deps.accountId, region: deps.settings.ownRegion },
          ...(ownerAccountId && { ownerAccountId }),
        });
        const { state, byEvent, withoutEvent, missed } = await eventStateOf(tx, environment.id, lastEventAt);
        const hint =
          missed &&
          `No event came although snapshot ${missed.snapshotId} of ${missed.database}.${missed.table} appeared: check rule ${setup.eventRule.name} (or the trigger object-changed), its prefix and its events.`;
        return {
          state,
          lastEventAt: isoOrNull(lastEventAt),
          commits: { byEvent, withoutEvent },
          missed: missed && { ...missed, foundAt: iso(missed.foundAt) },
          hint,
          ...setup,
          events: [...setup.events],
        };
      });
      return c.json(answer, 200);
    },
  );
}
