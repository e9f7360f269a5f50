import { randomBytes } from 'node:crypto';
import { createRoute, z } from '@hono/zod-openapi';
import { causeOfStoreError } from '../../../shared/connectivity/cause-of-error.ts';
import { explain } from '../../../shared/connectivity/causes.ts';
import { isRefused, openDoor } from '../../../shared/connectivity/outbound-door.ts';
import { openSecret } from '../../../shared/credentials/envelope.ts';
import {
  type Access,
  type BrowsePlace,
  type Identity,
  listAccountBuckets,
  openBrowseStore,
} from '../../../shared/credentials/environment-store.ts';
import { Secret } from '../../../shared/credentials/secret.ts';
import { AccessMode } from '../../../shared/data-source.ts';
import { secretMustBeGivenAgain } from '../../../shared/data-source-rules.ts';
import { InvalidInput } from '../../../shared/errors.ts';
import { browseFolders, listBuckets, MAX_FOLDERS_PER_PAGE } from '../../../shared/folder-browser.ts';
import { EnvironmentName } from '../../../shared/messages.ts';
import {
  findDataSource,
  getSealedSecret,
  type StoredDataSource,
  type StoredEnvironment,
} from '../../../shared/store/data-sources.ts';
import type { App, ConsoleApi } from '../app.ts';
import { invalid, notFound, Problem } from '../problem.ts';
import { answers, body, EnvironmentParams, NullableTime, token, WorkspaceParams } from '../schemas.ts';

/** People wait for a page; a host that hangs must not hold it longer. */
const BROWSE_LIMIT_MS = 20_000;

const place = {
  bucket: z.string().min(3).max(63).optional().describe('Left out: list the storage buckets that the identity may see'),
  prefix: z.string().max(1_000).default('').describe('Empty, or a path that ends in /'),
  search: z.string().max(200).optional().describe('Beginning of the names'),
  cursor: z.string().max(6_000).optional(),
};
const limit = { min: 1, max: MAX_FOLDERS_PER_PAGE, default: 20 };

const FoldersAnswer = z
  .object({
    items: z.array(
      z.object({
        name: z.string(),
        kind: z.enum(['bucket', 'warehouse', 'database', 'table', 'folder', 'unknown']),
        prefix: z.string().describe('What to browse next; empty for a bucket'),
        location: z.string().describe('To be entered as a warehouse'),
        region: z.string().optional(),
        isInRegion: z.boolean().optional().describe('The bucket lies in the region of the configuration'),
        createdAt: NullableTime.optional(),
      }),
    ),
    nextCursor: z.string().nullable(),
    here: z.enum(['warehouse', 'database', 'table', 'folder', 'unknown']).nullable().describe('What the place itself looks like'),
    requests: z.int().describe('Requests that this page cost'),
  })
  .openapi('Folders');

const BrowseInput = z
  .strictObject({
    accessMode: AccessMode,
    roleArn: z.string().max(512).optional(),
    accessKeyId: z.string().max(256).optional(),
    accessKeySecret: z.string().min(1).max(512).optional().describe('Left out: the stored one, if it would go to the same place'),
    region: z.string().min(1).max(64),
    endpoint: z.string().min(1).max(512),
    dataSource: z.string().max(255).optional().describe('The saved data source that is being changed'),
    environment: EnvironmentName.optional(),
    ...place,
    limit: z.int().min(limit.min).max(limit.max).default(limit.default),
  })
  .openapi('BrowseInput');

interface Browse {
  bucket?: string | undefined;
  prefix: string;
  search?: string | undefined;
  cursor?: string | undefined;
  limit: number;
}

const tags = ['Connectivity'];

export function addFolders(app: App): void {
  app.openapi(
    createRoute({
      method: 'get',
      path: '/api/v1/workspaces/{workspace}/data-sources/{name}/environments/{environment}/folders',
      tags,
      summary: 'Look for the warehouse: buckets, then folders, each marked with what it looks like',
      security: token,
      request: {
        params: EnvironmentParams,
        query: z.strictObject({ ...place, limit: z.coerce.number().int().min(limit.min).max(limit.max).default(limit.default) }),
      },
      responses: answers(FoldersAnswer, 'By name'),
    }),
    async (c) => {
      const at = c.req.valid('param');
      const { source, environment, sealed } = await stored(c, at.name, at.environment);
      if (!environment || !source) throw notFound();
      const { accessMode, roleArn, accessKeyId, region, endpoint } = environment;
      if (!accessMode || !region || !endpoint) throw incomplete();
      const identity =
        accessMode === 'ramRole'
          ? roleIdentity(roleArn, source)
          : keyIdentity(accessKeyId, await openStored(c, source, environment, sealed));
      return c.json(await browse(c, { region, endpoint, identity }, c.req.valid('query')), 200);
    },
  );

  app.openapi(
    createRoute({
      method: 'post',
      path: '/api/v1/workspaces/{workspace}/folders',
      tags,
      summary: 'The same for a configuration that is not saved yet',
      description:
        'Nothing of it is kept. A role that trusts only its data source’s external id can be browsed once the data source is saved, if only as a draft.',
      security: token,
      request: { params: WorkspaceParams, body: body(BrowseInput) },
      responses: answers(FoldersAnswer, 'By name'),
    }),
    async (c) => {
      const input = c.req.valid('json');
      const { accessMode, roleArn, accessKeyId, accessKeySecret, region, endpoint } = input;
      const { source, environment, sealed } = await stored(c, input.dataSource, input.environment);
      if (input.dataSource !== undefined && !source) throw notFound();
      let identity: Identity;
      if (accessMode === 'ramRole') identity = roleIdentity(roleArn, source);
      else if (accessKeySecret !== undefined) identity = keyIdentity(accessKeyId, new Secret(accessKeySecret));
      else if (source && environment && !secretMustBeGivenAgain(environment, { ...input, warehouse: environment.warehouse }))
        identity = keyIdentity(accessKeyId, await openStored(c, source, environment, sealed));
      else throw invalid([{ path: 'accessKeySecret', code: 'missing', message: 'the AccessKey secret is missing' }]);
      return c.json(await browse(c, { region, endpoint, identity }, input), 200);
    },
  );
}

type Caller = { env: ConsoleApi['Bindings']; var: ConsoleApi['Variables'] };

async function stored(
  c: Caller,
  name: string | undefined,
  environmentName: string | undefined,
): Promise<{ source?: StoredDataSource; environment?: StoredEnvironment; sealed?: unknown }> {
  if (name === undefined) return {};
  return c.env.deps.database.tenant(c.var.workspace.id, async (tx) => {
    const source = await findDataSource(tx, name);
    const environment = source?.environments.find((candidate) => candidate.name === environmentName);
    if (!source) return {};
    if (!environment) return { source };
    return { source, environment, sealed: await getSealedSecret(tx, environment.id) };
  });
}

async function openStored(c: Caller, source: StoredDataSource, environment: StoredEnvironment, sealed: unknown): Promise<Secret> {
  if (!sealed) throw incomplete();
  const at = { workspaceId: c.var.workspace.id, dataSourceId: source.id, environmentId: environment.id };
  return openSecret(await c.env.deps.settings.keyRing(), sealed, at);
}

function keyIdentity(accessKeyId: string | null | undefined, accessKeySecret: Secret): Identity {
  if (!accessKeyId) throw invalid([{ path: 'accessKeyId', code: 'missing', message: 'the AccessKey ID is missing' }]);
  return { accessMode: 'accessKey', accessKeyId, accessKeySecret };
}

/** What is not saved has no external id that a role could trust; one of nobody's is sent, never none. */
function roleIdentity(roleArn: string | null | undefined, source: StoredDataSource | undefined): Identity {
  if (!roleArn) throw invalid([{ path: 'roleArn', code: 'missing', message: 'the role is missing' }]);
  return { accessMode: 'ramRole', roleArn, externalId: source?.externalId ?? randomBytes(32).toString('hex') };
}

async function browse(c: Caller, from: BrowsePlace, asked: Browse): Promise<z.infer<typeof FoldersAnswer>> {
  const { settings, functionKeys } = c.env.deps;
  const access: Access = { settings, ...(functionKeys && { functionKeys }) };
  const { bucket, prefix, search, cursor, limit: count } = asked;
  const page = {
    ...(search && { search }),
    ...(cursor && { token: cursor }),
    limit: count,
    signal: AbortSignal.timeout(BROWSE_LIMIT_MS),
  };
  try {
    if (bucket === undefined) {
      const { buckets, nextToken } = await listBuckets((request) => listAccountBuckets(from, request, access), {
        region: from.region,
        ...page,
      });
      return {
        items: buckets.map(({ name, region, createdAt, isInRegion }) => ({
          name,
          kind: 'bucket' as const,
          prefix: '',
          location: `oss://${name}`,
          region,
          isInRegion,
          createdAt: createdAt?.toISOString() ?? null,
        })),
        nextCursor: nextToken ?? null,
        here: null,
        requests: 1,
      };
    }
    const { folders, here, nextToken, requests } = await browseFolders(openBrowseStore(from, bucket, access), {
      bucket,
      prefix,
      ...page,
    });
    return { items: folders, nextCursor: nextToken ?? null, here, requests };
  } catch (error) {
    throw asProblem(error, c, from, bucket);
  }
}

/** What the storage said, in the words of the connectivity test: cause and remedy, never a foreign body. */
function asProblem(error: unknown, c: Caller, from: BrowsePlace, bucket: string | undefined): unknown {
  if (error instanceof InvalidInput || error instanceof Problem) return error;
  if (error instanceof Error && (error.name === 'TimeoutError' || error.name === 'AbortError'))
    return new Problem(502, 'no-answer', `${from.endpoint} did not answer within ${BROWSE_LIMIT_MS / 1000} s.`);
  const { settings } = c.env.deps;
  const target = openDoor(from.endpoint, { ...(bucket !== undefined && { bucket }), permitted: settings.permitted });
  if (isRefused(target)) return invalid([{ path: 'endpoint', message: target.message, remedy: target.remedy }]);
  const { code, evidence } = causeOfStoreError(error, bucket === undefined ? 'bucket' : 'list', target);
  if (code === 'unexpected') return error;
  const { identity, region, endpoint } = from;
  const { causes, remedy } = explain(code, {
    config: { ...identity, externalId: '', region, endpoint, location: { bucket: bucket ?? '', prefix: '' } },
    ownRegion: settings.ownRegion,
    form: target.form,
  });
  const unreachable = /unreachable|no-answer|dns|tls|throttled|server-error|not-oss/.test(code);
  return new Problem(unreachable ? 502 : 422, code, `${causes[0] ?? code} (${evidence})`, {
    members: { causes, remedy, evidence },
  });
}

function incomplete(): Problem {
  return new Problem(409, 'incomplete', 'Access mode, identity, region and endpoint must be saved before folders can be listed.');
}
