import { createRoute, z } from '@hono/zod-openapi';
import { Check } from '../../../shared/data-source.ts';
import { EnvironmentName } from '../../../shared/messages.ts';
import {
  type ConnectivityTest,
  countRecentTests,
  getTest,
  listTests,
  MAX_TESTS_PER_MINUTE,
  requestTest,
} from '../../../shared/store/connectivity-tests.ts';
import { findDataSource, getEnvironmentConfig, type StoredEnvironment } from '../../../shared/store/data-sources.ts';
import type { TenantTransaction } from '../../../shared/store/database.ts';
import { type App, change } from '../app.ts';
import { pageOf, pageQuery, readCursor } from '../cursor.ts';
import { notFound, Problem } from '../problem.ts';
import { accepted, answers, EnvironmentParams, iso, isoOrNull, listOf, NullableTime, Time, token } from '../schemas.ts';

const TestAnswer = z
  .object({
    id: z.uuid(),
    environment: EnvironmentName,
    state: z.enum(['queued', 'running', 'done']),
    verdict: z.enum(['connected', 'failed']).nullable(),
    isStale: z.boolean().describe('The configuration changed since: the verdict says nothing of the present one'),
    configVersion: z.int(),
    requestedBy: z.string(),
    requestedAt: Time,
    startedAt: NullableTime,
    finishedAt: NullableTime,
    checks: z.array(Check).describe('In order; grows while the test runs'),
  })
  .openapi('ConnectivityTest');

const tags = ['Connectivity'];
const collection = '/api/v1/workspaces/{workspace}/data-sources/{name}/environments/{environment}/connectivity-tests';

export function addConnectivityTests(app: App): void {
  app.openapi(
    createRoute({
      method: 'post',
      path: collection,
      tags,
      summary: 'Test the connectivity of an environment',
      description: `At most ${MAX_TESTS_PER_MINUTE} tests a minute in a workspace.`,
      security: token,
      request: { params: EnvironmentParams },
      responses: accepted(TestAnswer, 'Queued; read the test for its progress'),
    }),
    async (c) => {
      const answer = await change(c, async (tx) => {
        const environment = await found(tx, c.req.valid('param'));
        if (!(await getEnvironmentConfig(tx, environment.id)))
          throw new Problem(
            409,
            'incomplete',
            `The environment ${environment.name} is a draft or incomplete: it cannot be tested yet.`,
          );
        if ((await countRecentTests(tx)) >= MAX_TESTS_PER_MINUTE)
          throw new Problem(429, 'too-many-tests', `This workspace may ask for ${MAX_TESTS_PER_MINUTE} tests a minute.`, {
            headers: { 'retry-after': '60' },
          });
        const id = await requestTest(tx, environment.id, c.var.principal.name);
        return answerOf(environment, (await getTest(tx, id))!);
      });
      return c.json(answer, 202);
    },
  );

  app.openapi(
    createRoute({
      method: 'get',
      path: collection,
      tags,
      summary: 'Tests of an environment',
      security: token,
      request: { params: EnvironmentParams, query: z.strictObject(pageQuery) },
      responses: answers(listOf(TestAnswer), 'Newest first'),
    }),
    async (c) => {
      const { cursor, limit } = c.req.valid('query');
      const before = readCursor(cursor, z.tuple([z.iso.datetime(), z.uuid()]));
      const page = await c.env.deps.database.tenant(c.var.workspace.id, async (tx) => {
        const environment = await found(tx, c.req.valid('param'));
        const rows = await listTests(tx, environment.id, {
          limit: limit + 1,
          ...(before && { before: { requestedAt: new Date(before[0]), id: before[1] } }),
        });
        return pageOf(
          rows,
          limit,
          (row) => [iso(row.requestedAt), row.id],
          (row) => answerOf(environment, row),
        );
      });
      return c.json(page, 200);
    },
  );

  app.openapi(
    createRoute({
      method: 'get',
      path: `${collection}/{id}`,
      tags,
      summary: 'One test with its checks',
      security: token,
      request: { params: EnvironmentParams.extend({ id: z.uuid() }) },
      responses: answers(TestAnswer, 'As of now'),
    }),
    async (c) => {
      const answer = await c.env.deps.database.tenant(c.var.workspace.id, async (tx) => {
        const environment = await found(tx, c.req.valid('param'));
        const test = await getTest(tx, c.req.valid('param').id);
        if (test?.environmentId !== environment.id) throw notFound();
        return answerOf(environment, test);
      });
      return c.json(answer, 200);
    },
  );
}

async function found(tx: TenantTransaction, at: { name: string; environment: string }): Promise<StoredEnvironment> {
  const source = await findDataSource(tx, at.name);
  const environment = source?.environments.find((candidate) => candidate.name === at.environment);
  if (!environment) throw notFound();
  return environment;
}

function answerOf(environment: StoredEnvironment, test: ConnectivityTest): z.infer<typeof TestAnswer> {
  const { id, state, verdict, isStale, configVersion, requestedBy, checks } = test;
  return {
    id,
    environment: environment.name,
    state,
    verdict,
    isStale,
    configVersion,
    requestedBy,
    requestedAt: iso(test.requestedAt),
    startedAt: isoOrNull(test.startedAt),
    finishedAt: isoOrNull(test.finishedAt),
    checks,
  };
}
