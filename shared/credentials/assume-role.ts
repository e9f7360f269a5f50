import { AccessDenied, type DatamapError, InvalidInput, NotFound, type ServiceEvidence, Unreachable } from '../errors.ts';
import { MAX_SESSION_POLICY_CHARS } from './access-policy.ts';
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
  const { protocol, host } = parseStsEndpoint(service.endpoint);
  if (session.policy.length === 0 || session.policy.length > MAX_SESSION_POLICY_CHARS)
    throw InvalidInput.at('policy', `a session policy has 1 to ${MAX_SESSION_POLICY_CHARS} characters`);
  const { Client, Config, AssumeRoleRequest } = await loadSdk();
  const { callerKeys: keys, timeoutMs = DEFAULT_TIMEOUT_MS } = service;
  const client = new Client(
    new Config({
      accessKeyId: keys.accessKeyId,
      accessKeySecret: keys.accessKeySecret.reveal(),
      ...(keys.securityToken && { securityToken: keys.securityToken.reveal() }),
      endpoint: host,
      protocol,
      connectTimeout: timeoutMs,
      readTimeout: timeoutMs,
    }),
  );
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

/** Throws InvalidInput for anything that is not a host, and for http to other machines. */
export function parseStsEndpoint(endpoint: string): { protocol: 'http' | 'https'; host: string } {
  const text = /^https?:\/\//.test(endpoint) ? endpoint : `https://${endpoint}`;
  if (!URL.canParse(text)) throw InvalidInput.at('DATAMAP_STS_ENDPOINT', 'is not a host name or URL');
  const { protocol, host, hostname, pathname, search, username } = new URL(text);
  if (pathname !== '/' || search || username) throw InvalidInput.at('DATAMAP_STS_ENDPOINT', 'has more than a host');
  if (protocol === 'http:' && !/^(?:127(?:\.\d+){3}|localhost|\[::1\])$/.test(hostname))
    throw InvalidInput.at('DATAMAP_STS_ENDPOINT', 'http is for loopback addresses only');
  return { protocol: protocol === 'http:' ? 'http' : 'https', host };
}

interface AssumeRoleBody {
  credentials?: { accessKeyId?: string; accessKeySecret?: string; securityToken?: string; expiration?: string };
}

interface SdkError {
  name?: string;
  code?: string;
  statusCode?: number;
  requestId?: string;
  message?: string;
}

/** Codes of the token service: help page "STS error codes" and what its SDK documents (2025). */
function translate(error: SdkError, roleArn: string, host: string): DatamapError {
  const status = error.statusCode ?? 0;
  if (status === 0) return noAnswer(error, host);
  const code = error.code === 'undefined' ? undefined : error.code;
  const requestId = error.requestId === 'undefined' ? undefined : error.requestId;
  const evidence: ServiceEvidence = { status, ...(code && { code }), ...(requestId && { requestId }) };
  const denied = (reason: AccessDenied['reason']) =>
    new AccessDenied(`role ${roleArn}`, reason, { permission: 'sts:AssumeRole', evidence });
  if (!code) return new Unreachable(host, status >= 500 ? 'server-error' : 'bad-answer', { evidence });
  switch (true) {
    case /^EntityNotExist/.test(code):
      return denied('role-missing');
    case /^(NoPermission|AuthenticationFail\.NoPermission|Forbidden|NotAuthorized)/.test(code):
      return denied('role-not-trusted');
    case /^InvalidAccessKeyId/.test(code):
      return denied('unknown-access-key');
    case /^(SignatureDoesNotMatch|IncompleteSignature)/.test(code):
      return denied('wrong-secret');
    case /^InvalidSecurityToken\.Expired|^SecurityTokenExpired/.test(code):
      return denied('token-expired');
    case /^InvalidSecurityToken/.test(code):
      return denied('token-invalid');
    case /^(InvalidTimeStamp|RequestTimeTooSkewed|TimestampExpired|Timestamp)/.test(code):
      return denied('clock-skew');
    case /^(UserDisable|InDebt|.*Arrear|Account\.)/.test(code):
      return denied('account-disabled');
    case /^(Throttling|QpsLimit)/.test(code) || status === 429:
      return new Unreachable(host, 'throttled', { evidence });
    case status >= 500:
      return new Unreachable(host, 'server-error', { evidence });
    case status === 404:
      return new NotFound(`role ${roleArn}`, evidence);
    case /^(InvalidParameter|MissingParameter|Invalid)/.test(code):
      return InvalidInput.at('roleArn', `the token service calls the request invalid (${code})`);
    default:
      return denied('not-authorized');
  }
}

function noAnswer(error: SdkError, host: string): Unreachable {
  const text = `${error.name ?? ''} ${error.code ?? ''} ${error.message ?? ''}`;
  if (/ENOTFOUND|EAI_AGAIN/.test(text)) return new Unreachable(host, 'dns');
  if (/timeout|ETIMEDOUT/i.test(text)) return new Unreachable(host, 'timeout');
  if (/ECONNREFUSED|EHOSTUNREACH|ENETUNREACH/.test(text)) return new Unreachable(host, 'connect');
  if (/CERT|SELF_SIGNED|TLS|SSL|certificate/i.test(text)) return new Unreachable(host, 'tls');
  if (/ECONNRESET|socket hang up|EPIPE/.test(text)) return new Unreachable(host, 'cut');
  return new Unreachable(host, 'bad-answer');
}

type Sts = typeof import('@alicloud/sts20150401');
type OpenApi = typeof import('@alicloud/openapi-core');

/** CommonJS: what it exports lies one `default` deeper when Node loads it than when it is bundled. */
async function loadSdk() {
  const [sts, openApi] = await Promise.all([import('@alicloud/sts20150401'), import('@alicloud/openapi-core')]);
  const stsExports = exportsOf<Sts>(sts, 'AssumeRoleRequest');
  return {
    Client: stsExports.default,
    AssumeRoleRequest: stsExports.AssumeRoleRequest,
    Config: exportsOf<OpenApi>(openApi, '$OpenApiUtil').$OpenApiUtil.Config,
  };
}

function exportsOf<Exports>(module: object, name: string): Exports {
  const inner = (module as { default?: object }).default;
  return (inner && name in inner ? inner : module) as Exports;
}
