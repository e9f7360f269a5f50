import { createRoute, z } from '@hono/zod-openapi';
import { ramPolicyFor, trustPolicyFor } from '../../../shared/credentials/access-policy.ts';
import { parseWarehouse } from '../../../shared/data-source-rules.ts';
import { findDataSource } from '../../../shared/store/data-sources.ts';
import type { App } from '../app.ts';
import { notFound, Problem } from '../problem.ts';
import { answers, EnvironmentParams, token } from '../schemas.ts';

const Policy = z.looseObject({ Version: z.string(), Statement: z.array(z.unknown()) });
const PoliciesAnswer = z
  .object({
    ramPolicy: Policy.describe('The least that collecting this warehouse needs: list it, read its metadata'),
    trustPolicy: Policy.describe('Lets this installation assume the role, only with the external id'),
    externalId: z.string().describe('Sent with every AssumeRole of this data source'),
  })
  .openapi('Policies');

export function addPolicies(app: App): void {
  app.openapi(
    createRoute({
      method: 'get',
      path: '/api/v1/workspaces/{workspace}/data-sources/{name}/environments/{environment}/policies',
      tags: ['Connectivity'],
      summary: 'RAM policies for exactly this warehouse, ready to paste',
      security: token,
      request: { params: EnvironmentParams },
      responses: answers(PoliciesAnswer, 'Policies for the RAM user or role, and for the role whom it trusts'),
    }),
    async (c) => {
      const at = c.req.valid('param');
      const source = await c.env.deps.database.tenant(c.var.workspace.id, (tx) => findDataSource(tx, at.name));
      const environment = source?.environments.find((candidate) => candidate.name === at.environment);
      if (!source || !environment) throw notFound();
      if (!environment.warehouse)
        throw new Problem(409, 'incomplete', `The environment ${environment.name} has no warehouse yet: save it first.`);
      const policies = {
        ramPolicy: { ...ramPolicyFor(parseWarehouse(environment.warehouse)) },
        trustPolicy: {
          ...trustPolicyFor({ principalArn: `acs:ram::${c.env.deps.accountId}:root`, externalId: source.externalId }),
        },
        externalId: source.externalId,
      };
      return c.json(policies, 200);
    },
  );
}
