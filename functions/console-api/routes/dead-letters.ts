import { createRoute, z } from '@hono/zod-openapi';
import {
  type DeadLetterQueues,
  discardDeadLetter,
  type FoundLetter,
  listDeadLetters,
  redriveDeadLetter,
  type Sees,
} from '../../../shared/queue/dead-letters.ts';
import type { App, ConsoleApi } from '../app.ts';
import { notFound, Problem } from '../problem.ts';
import { answers, iso, isoOrNull, listOf, NullableTime, problems, Time, token, WorkspaceParams } from '../schemas.ts';

const DeadLetterAnswer = z
  .object({
    id: z.string(),
    queue: z.string().describe('Where a redrive sends it'),
    type: z.string().nullable().describe('Of the message; null: it is none that this program knows'),
    reason: z.string().nullable().describe('Null: the platform gave up after its last attempt'),
    function: z.string().nullable(),
    requestId: z.string().nullable(),
    failedAt: NullableTime,
    enqueuedAt: Time,
  })
  .openapi('DeadLetter');
const WholeDeadLetter = DeadLetterAnswer.extend({
  message: z.looseObject({ workspaceId: z.int() }).nullable(),
  body: z.string().describe('As its sender wrote it'),
}).openapi('WholeDeadLetter');
const LetterParams = WorkspaceParams.extend({ id: z.string().min(1).max(200) });

const tags = ['Dead letters'];
const PATH = '/api/v1/workspaces/{workspace}/dead-letters';

/** Messages that no function could handle. The queues serve the whole installation; a workspace sees its own. */
export function addDeadLetters(app: App): void {
  app.openapi(
    createRoute({
      method: 'get',
      path: PATH,
      tags,
      summary: 'List messages that no function could handle',
      security: token,
      request: { params: WorkspaceParams },
      responses: answers(
        listOf(DeadLetterAnswer).extend({ complete: z.boolean().describe('False: there are more, or others hold some now') }),
        'Oldest first',
      ),
    }),
    async (c) => {
      const { letters, complete } = await listDeadLetters(queuesOf(c), seenBy(c));
      return c.json({ items: letters.map(toAnswer), nextCursor: null, complete }, 200);
    },
  );
  app.openapi(
    createRoute({
      method: 'get',
      path: `${PATH}/{id}`,
      tags,
      summary: 'Show a dead letter with its message',
      security: token,
      request: { params: LetterParams },
      responses: answers(WholeDeadLetter, 'The letter stays where it is'),
    }),
    async (c) => {
      const { id } = c.req.valid('param');
      const found = (await listDeadLetters(queuesOf(c), seenBy(c))).letters.find((letter) => letter.id === id);
      if (!found) throw notFound();
      const message: { workspaceId: number } | null = found.message?.data ?? null;
      return c.json({ ...toAnswer(found), message, body: found.letter.body }, 200);
    },
  );
  app.openapi(
    createRoute({
      method: 'post',
      path: `${PATH}/{id}/redrive`,
      tags,
      summary: 'Send the message to its queue again',
      security: token,
      request: { params: LetterParams },
      responses: answers(DeadLetterAnswer, 'Sent, and no longer a dead letter'),
    }),
    async (c) => c.json(toAnswer(await redriveDeadLetter(queuesOf(c), c.req.valid('param').id, seenBy(c))), 200),
  );
  app.openapi(
    createRoute({
      method: 'delete',
      path: `${PATH}/{id}`,
      tags,
      summary: 'Discard a dead letter for good',
      security: token,
      request: { params: LetterParams },
      responses: { 204: { description: 'Discarded' }, ...problems },
    }),
    async (c) => {
      await discardDeadLetter(queuesOf(c), c.req.valid('param').id, seenBy(c));
      return c.body(null, 204);
    },
  );
}

interface Asked {
  env: ConsoleApi['Bindings'];
  var: ConsoleApi['Variables'];
}

function queuesOf({ env }: Asked): DeadLetterQueues {
  if (!env.deps.deadLetters) throw new Problem(503, 'unavailable', 'No queue service is reachable from here.');
  return env.deps.deadLetters;
}

function seenBy({ var: { principal, workspace } }: Asked): Sees {
  const administersAll = principal.grants.some((grant) => grant.workspaceId === null && grant.role === 'administrator');
  return ({ message }) => (message ? message.data.workspaceId === workspace.id : administersAll);
}

function toAnswer({ id, queueName, enqueuedAt, letter, message }: FoundLetter) {
  return {
    id,
    queue: queueName,
    type: message?.type ?? null,
    reason: letter.reason ?? null,
    function: letter.functionName ?? null,
    requestId: letter.requestId ?? null,
    failedAt: isoOrNull(letter.failedAt ?? null),
    enqueuedAt: iso(enqueuedAt),
  };
}
