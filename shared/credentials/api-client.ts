import { AccessDenied, type DatamapError, InvalidInput, NotFound, type ServiceEvidence, Unreachable } from '../errors.ts';
import type { AccessKeys } from './secret.ts';

/** What requests to the token service and to the key service share: endpoint, vendor's client, refusals in our words. */

export interface ServiceEndpoint {
  protocol: 'http' | 'https';
  host: string;
}

/** `variable` names where the endpoint came from. Throws InvalidInput for anything but a host, and for http to other machines. */
export function parseServiceEndpoint(endpoint: string, variable: string): ServiceEndpoint {
  const text = /^https?:\/\//.test(endpoint) ? endpoint : `https://${endpoint}`;
  if (!URL.canParse(text)) throw InvalidInput.at(variable, 'is not a host name or URL');
  const { protocol, host, hostname, pathname, search, username } = new URL(text);
  if (pathname !== '/' || search || username) throw InvalidInput.at(variable, 'has more than a host');
  if (protocol === 'http:' && !/^(?:127(?:\.\d+){3}|localhost|\[::1\])$/.test(hostname))
    throw InvalidInput.at(variable, 'http is for loopback addresses only');
  return { protocol: protocol === 'http:' ? 'http' : 'https', host };
}

/** Options of the vendor's generic client; it signs with ACS3-HMAC-SHA256. */
export function clientConfig({ protocol, host }: ServiceEndpoint, keys: AccessKeys, timeoutMs: number) {
  return {
    accessKeyId: keys.accessKeyId,
    accessKeySecret: keys.accessKeySecret.reveal(),
    ...(keys.securityToken && { securityToken: keys.securityToken.reveal() }),
    endpoint: host,
    protocol,
    connectTimeout: timeoutMs,
    readTimeout: timeoutMs,
  };
}

export interface SdkError {
  name?: string;
  code?: string;
  statusCode?: number;
  requestId?: string;
  message?: string;
}

/** Why a code that only this service has means a refusal; undefined: the common meaning. */
export type OwnReason = (code: string) => AccessDenied['reason'] | undefined;

/**
 * A refusal, or no answer, in our words. Codes: help pages "STS error codes", "KMS error codes" and what the SDKs document
 * (2025). The service's own text is left out: it can hold parts of the request.
 */
export function translateSdkError(
  error: SdkError,
  asked: { what: string; permission: string; host: string; field: string; ownReason: OwnReason },
): DatamapError {
  const { what, permission, host, field } = asked;
  const status = error.statusCode ?? 0;
  if (status === 0) return noAnswer(error, host);
  const code = error.code === 'undefined' ? undefined : error.code;
  const requestId = error.requestId === 'undefined' ? undefined : error.requestId;
  const evidence: ServiceEvidence = { status, ...(code && { code }), ...(requestId && { requestId }) };
  const denied = (reason: AccessDenied['reason']) => new AccessDenied(what, reason, { permission, evidence });
  if (!code) return new Unreachable(host, status >= 500 ? 'server-error' : 'bad-answer', { evidence });
  const own = asked.ownReason(code);
  if (own) return denied(own);
  switch (true) {
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
      return new NotFound(what, evidence);
    case /^(InvalidParameter|MissingParameter|Invalid)/.test(code):
      return InvalidInput.at(field, `${host} calls the request invalid (${code})`);
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

type OpenApi = typeof import('@alicloud/openapi-core');

export async function loadOpenApi(): Promise<OpenApi> {
  return exportsOf<OpenApi>(await import('@alicloud/openapi-core'), '$OpenApiUtil');
}

/** CommonJS: what it exports lies one `default` deeper when Node loads it than when it is bundled. */
export function exportsOf<Exports>(module: object, name: string): Exports {
  const inner = (module as { default?: object }).default;
  return (inner && name in inner ? inner : module) as Exports;
}
