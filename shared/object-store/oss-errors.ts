import {
  AccessDenied,
  type DatamapError,
  type DenialReason,
  FormatError,
  InvalidInput,
  NotFound,
  type ServiceEvidence,
  Unreachable,
  Unsupported,
} from '../errors.ts';
import type { Answer } from './http-exchange.ts';

/** What a request was about, in words for people. */
export interface OssCall {
  host: string;
  bucket: string;
  key?: string;
  /** RAM action that the request needs, such as `oss:GetObject`. */
  permission: string;
}

/**
 * OSS's refusal in our words. Sources: OSS help pages "HTTP status code 400/403/404/409/503" and "EC error codes"
 * (2025). A missing object is NotFound here too; the caller turns it into `undefined`.
 */
export function translateRefusal(answer: Answer, call: OssCall): DatamapError {
  const { code, message, evidence } = readRefusal(answer);
  const { status } = answer;
  const what = call.key === undefined ? nameOfBucket(call.bucket) : `oss://${call.bucket}/${call.key}`;
  if (status === 429 || status === 503 || /^(TooManyRequests|Throttling|QpsLimitExceeded|.*ControlTooBusy)/.test(code)) {
    const retryAfterMs = Number(answer.headers['x-oss-qos-delay-time'] ?? Number.NaN);
    return new Unreachable(call.host, 'throttled', { evidence, ...(retryAfterMs > 0 && { retryAfterMs }) });
  }
  if (status >= 500) return new Unreachable(call.host, 'server-error', { evidence });
  if (code === 'NoSuchBucket') return new NotFound(nameOfBucket(call.bucket), evidence);
  if (code === 'InvalidObjectState') return new Unsupported('reading an archived object that is not restored', call.key);
  // Some other server's 404 says nothing about the object.
  const isObjectsAbsence = code === 'NoSuchKey' || (code === '' && answer.bytes.length === 0 && evidence.requestId);
  if (status === 404 && isObjectsAbsence) return new NotFound(what, evidence);
  const reason = denialReason(status, code, message);
  if (reason) return new AccessDenied(what, reason, { permission: call.permission, evidence });
  if (status === 400) return InvalidInput.at(what, `the object store calls the request invalid (${code || 'no code'})`);
  return new Unreachable(call.host, 'bad-answer', { evidence });
}

export function refuseTooLarge(key: string, sizeBytes: number, maxBytes: number): FormatError {
  return new FormatError(key, { expected: `at most ${maxBytes} bytes`, found: `${sizeBytes} bytes` });
}

export function nameOfBucket(bucket: string): string {
  return bucket === '' ? "the account's storage buckets" : `storage bucket ${bucket}`;
}

const reasonByCode: Record<string, DenialReason> = {
  InvalidAccessKeyId: 'unknown-access-key',
  SignatureDoesNotMatch: 'wrong-secret',
  SecurityTokenExpired: 'token-expired',
  InvalidSecurityToken: 'token-invalid',
  SecurityTokenNotSupported: 'token-invalid',
  AccessKeyIdAndSecurityTokenNotMatch: 'token-invalid',
  RequestTimeTooSkewed: 'clock-skew',
  UserDisable: 'account-disabled',
  InDebt: 'account-disabled',
  InDebtOverdue: 'account-disabled',
  AbnormalBucketOwnerStatus: 'account-disabled',
  BucketDisable: 'account-disabled',
  SecondLevelDomainForbidden: 'path-style-refused',
};

function denialReason(status: number, code: string, message: string): DenialReason | undefined {
  const known = reasonByCode[code];
  if (known) return known;
  if (/^kms/i.test(code) || (status === 403 && /\bkms\b/i.test(message))) return 'kms';
  // V4 signatures name a region; a bucket elsewhere refuses them with 400 InvalidArgument.
  if (/signing region/i.test(message)) return 'wrong-endpoint';
  if (/specified endpoint/i.test(message)) return 'wrong-endpoint';
  // Accounts opened since 2025-03-20 reach mainland buckets over the public network by custom domain only.
  if (status === 403 && /custom domain|cname|public (network )?endpoint/i.test(`${code} ${message}`))
    return 'custom-domain-required';
  // Redirects are never followed: another address is for a person to enter.
  if (status >= 300 && status < 400) return 'wrong-endpoint';
  if (status === 403 || status === 401) return 'not-authorized';
  return undefined;
}

/** Body, or for HEAD the header `x-oss-err`, which is the same XML in base64. */
function readRefusal(answer: Answer): { code: string; message: string; evidence: ServiceEvidence } {
  const inHeader = answer.headers['x-oss-err'];
  const xml =
    answer.bytes.length === 0 && typeof inHeader === 'string'
      ? Buffer.from(inHeader, 'base64').toString('utf8')
      : Buffer.from(answer.bytes).toString('utf8');
  const element = (name: string) => new RegExp(`<${name}>([^<]{1,2000})</${name}>`).exec(xml)?.[1]?.trim() ?? '';
  const code = element('Code');
  const ec = element('EC') || header(answer, 'x-oss-ec');
  const requestId = element('RequestId') || header(answer, 'x-oss-request-id');
  const endpoint = /^oss-[a-z0-9-]{1,60}\.aliyuncs\.com$/.exec(element('Endpoint'))?.[0];
  return {
    code,
    message: element('Message'),
    evidence: {
      status: answer.status,
      ...(code && { code }),
      ...(ec && { ec }),
      ...(requestId && { requestId }),
      ...(endpoint && { endpoint }),
    },
  };
}

function header(answer: Answer, name: string): string {
  const value = answer.headers[name];
  return typeof value === 'string' ? value : '';
}
