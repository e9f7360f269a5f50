import { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { StorageSettings } from '../../shared/credentials/environment-store.ts';
import type { AccessKeys } from '../../shared/credentials/secret.ts';
import type { Call } from '../../shared/fc/context.ts';
import type { DeadLetterQueues } from '../../shared/queue/dead-letters.ts';
import type { Queue } from '../../shared/queue/queue.ts';
import type { Database, TenantTransaction } from '../../shared/store/database.ts';
import { flushOutbox } from '../../shared/store/outbox.ts';
import type { RequestLimit } from '../../shared/store/request-limits.ts';
import type { Principal } from '../../shared/store/tokens.ts';
import type { Workspace } from '../../shared/store/workspaces.ts';
import { guard } from './access.ts';
import { audited, recordDone } from './audit.ts';
import { boundedBody } from './json-body.ts';
import { fieldErrors, invalid, isUnforeseen, notFound, problemAnswer } from './problem.ts';
import { addAudit } from './routes/audit.ts';
import { addChanges } from './routes/changes.ts';
import { addCollectionRuns } from './routes/collection-runs.ts';
import { addCommits } from './routes/commits.ts';
import { addConnectivityTests } from './routes/connectivity-tests.ts';
import { addDataSources } from './routes/data-sources.ts';
import { addDeadLetters } from './routes/dead-letters.ts';
import { addDocs } from './routes/docs.ts';
import { addEventSetup } from './routes/event-setup.ts';
import { addFolders } from './routes/folders.ts';
import { addOperations } from './routes/operations.ts';
import { addPolicies } from './routes/policies.ts';
import { addTableParts } from './routes/table-parts.ts';
import { addTables } from './routes/tables.ts';
import { addTokens } from './routes/tokens.ts';
import { addWorkspaces } from './routes/workspaces.ts';

/** What the API's routes use of the world. */
export interface Deps {
  database: Database;
  /** Absent where none is reachable: messages then wait in the outbox for the timer. */
  queue?: Queue;
  /** Absent where no queue service is reachable. */
  deadLetters?: DeadLetterQueues;
  accountId: string;
  /** How warehouses are reached: for browsing folders, and for the rules of endpoints. */
  settings: StorageSettings;
  /** This function's own identity, which assumes roles. */
  functionKeys?: AccessKeys;
  /** Of each token; left out: TOKEN_LIMIT. */
  requestLimit?: RequestLimit;
}

export interface ConsoleApi {
  Bindings: { deps: Deps; call: Call & { sourceIp?: string } };
  /** `isAudited`: the change has its row in the audit log already. */
  Variables: { principal: Principal; workspace: Workspace; isAudited?: boolean };
}
export type App = OpenAPIHono<ConsoleApi>;

/** The whole HTTP surface; made once per instance. Each request brings its own `deps` and `call`. */
export function createApp(): App {
  const app: App = new OpenAPIHono<ConsoleApi>({
    defaultHook: (result) => {
      if (!result.success) throw invalid(fieldErrors(result.error as never, result.target));
    },
  });
  app.use(async (c, next) => {
    await next();
    c.header('x-content-type-options', 'nosniff');
    c.header('referrer-policy', 'no-referrer');
    c.header('cross-origin-opener-policy', 'same-origin');
    c.header('x-frame-options', 'DENY');
    if (!c.res.headers.has('content-security-policy'))
      c.header('content-security-policy', "default-src 'none'; frame-ancestors 'none'; base-uri 'none'");
    if (!c.res.headers.has('cache-control')) c.header('cache-control', 'no-store');
  });
  app.use(audited);
  app.use(guard);
  app.use(boundedBody);
  app.onError((error, c) => {
    const { log, requestId } = c.env.call;
    if (isUnforeseen(error)) log.error('request failed', { error });
    return problemAnswer(error, c, requestId);
  });
  app.notFound((c) => problemAnswer(notFound(), c, c.env.call.requestId));

  app.openAPIRegistry.registerComponent('securitySchemes', 'token', {
    type: 'http',
    scheme: 'bearer',
    description: 'A token that starts with dm_',
  });
  addOperations(app);
  addWorkspaces(app);
  addDataSources(app);
  addConnectivityTests(app);
  addPolicies(app);
  addEventSetup(app);
  addFolders(app);
  addCollectionRuns(app);
  addTables(app);
  addTableParts(app);
  addCommits(app);
  addChanges(app);
  addTokens(app);
  addDeadLetters(app);
  addAudit(app);
  addDocs(app);
  return app;
}

/** Commits `work` and its audit row as the workspace's tenant, then sends what it left in the outbox; what cannot be sent now, the timer sends. */
export async function change<T>(
  // biome-ignore lint/suspicious/noExplicitAny: any route's context
  c: Context<ConsoleApi, any, any>,
  work: (tx: TenantTransaction) => Promise<T>,
): Promise<T> {
  const { deps, call } = c.env;
  const result = await deps.database.tenant(c.var.workspace.id, async (tx) => {
    const done = await work(tx);
    await recordDone(c, tx);
    return done;
  });
  if (deps.queue)
    try {
      await flushOutbox(deps.database, deps.queue);
    } catch (error) {
      call.log.warn('messages wait in the outbox', { error });
    }
  return result;
}
