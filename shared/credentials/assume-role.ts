import { type DatamapError, InvalidInput, Unreachable } from '../errors.ts';
import { MAX_SESSION_POLICY_CHARS } from './access-policy.ts';
import { clientConfig, exportsOf, loadOpenApi, parseServiceEndpoint, type SdkError, translateSdkError } from './api-client.ts';
import { type AccessKeys, Secret } from './secret.ts';

/** One session of a RAM role. `policy` narrows it and is never left out. */
export interface RoleSession {
  roleArn: string;
  externalId: string;
  /** JSON of at most 2,048 characters. */
  policy: string;
  /** 2 to 64 of `[A-Za-z0-9.@_-]`; shows in the owner's action trail. */
  sessionName: string;
}

export interface TokenService {
  /** Host name, or URL without a path; `http://` for loopback addresses only. */
  endpoint: string;
  /** Of the identity that assumes roles: this function's. */
  callerKeys: AccessKeys;
  timeoutMs?: number;
}

const SESSION_SECONDS = 3600;
const DEFAULT_TIMEOUT_MS = 8_000;

/**
 * Temporary keys of a role. Throws AccessDenied with why, Unreachable when the token service gave no usable answer, and
 * InvalidInput for what would be asked wrongly. The service's own text is left out: it can hold parts of the request.
 */
export async function assumeRole(session: RoleSession, service: TokenService): Promise<AccessKeys> {
  const endpoint = parseServiceEndpoint(service.endpoint, 'DATAMAP_STS_ENDPOINT');
  const { host } = endpoint;
  if (session.policy.length === 0 || session.policy.length > MAX_SESSION_POLICY_CHARS)
    throw InvalidInput.at('policy', `a session policy has 1 to ${MAX_SESSION_POLICY_CHARS} characters`);
  const { Client, Config, AssumeRoleRequest } = await loadSdk();
  const { callerKeys, timeoutMs = DEFAULT_TIMEOUT_MS } = service;
  const client = new Client(new Config(clientConfig(endpoint, callerKeys, timeoutMs)));
  const request = new AssumeRoleRequest({
    roleArn: session.roleArn,
    externalId: session.externalId,
    policy: session.policy,
    roleSessionName: session.sessionName,
    durationSeconds: SESSION_SECONDS,
  });
  let body: AssumeRoleBody | undefined;
  try {
    body = (await client.assumeRole(request)).body as AssumeRoleBody | undefined;
  } catch (error) {
    throw translate(error as SdkError, session.roleArn, host);
  }
  const given = body?.credentials;
  const expiresAt = new Date(given?.expiration ?? '');
  if (!given?.accessKeyId || !given.accessKeySecret || !given.securityToken || Number.isNaN(expiresAt.getTime()))
    throw new Unreachable(host, 'bad-answer');
  return {
    accessKeyId: given.accessKeyId,
    accessKeySecret: new Secret(given.accessKeySecret),
    securityToken: new Secret(given.securityToken),
    expiresAt,
  };
}

interface AssumeRoleBody {
  credentials?: { accessKeyId?: string; accessKeySecret?: string; securityToken?: string; expiration?: string };
}

function translate(error: SdkError, roleArn: string, host: string): DatamapError {
  return translateSdkError(error, {
    what: `role ${roleArn}`,
    permission: 'sts:AssumeRole',
    host,
    field: 'roleArn',
    ownReason: (code) =>
      /^EntityNotExist/.test(code)
        ? 'role-missing'
        : /^(NoPermission|AuthenticationFail\.NoPermission|Forbidden|NotAuthorized)/.test(code)
          ? 'role-not-trusted'
          : undefined,
  });
}

type Sts = typeof import('@alicloud/sts20150401');

async function loadSdk() {
  const [sts, openApi] = await Promise.all([import('@alicloud/sts20150401'), loadOpenApi()]);
  const stsExports = exportsOf<Sts>(sts, 'AssumeRoleRequest');
  return {
    Client: stsExports.default,
    AssumeRoleRequest: stsExports.AssumeRoleRequest,
    Config: openApi.$OpenApiUtil.Config,
  };
}
