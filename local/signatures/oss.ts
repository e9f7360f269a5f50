import { createHash, createHmac } from 'node:crypto';
import { equal, MAX_CLOCK_SKEW_MS } from './acs3.ts';
import { compareText, parseRawQuery, percentEncode } from './encoding.ts';

/**
 * OSS signatures V1 and V4, in headers and in presigned URLs, checked as the service does.
 * Sources: help pages "Include signatures in the Authorization header", "… in a URL", "… (V4)" (2025).
 */

export interface OssSignedRequest {
  method: string;
  /** Lower-case names. */
  headers: Record<string, string | string[] | undefined>;
  rawQuery: string;
}

/** Who claims to have signed, how, and when. */
export interface OssClaim {
  version: 1 | 4;
  presigned: boolean;
  accessKeyId: string;
  signature: string;
  securityToken: string | undefined;
  /** When it was signed; presigned V1 does not say. */
  signedAt: Date | undefined;
  expiresAt: Date | undefined;
  /** V4: the region that the signature is for. */
  region: string | undefined;
  additionalHeaders: string[];
}

export type OssClaimProblem = 'none' | 'malformed' | 'date-missing';

/** Query parameters that V1 signs, from the vendor's list; all others are free for anyone on the way to change. */
const V1_SIGNED_PARAMETERS = new Set(
  (
    'acl uploads location cors logging website referer lifecycle delete append tagging objectMeta uploadId partNumber ' +
    'security-token position img style styleName replication replicationProgress replicationLocation cname bucketInfo comp ' +
    'qos live status vod startTime endTime symlink x-oss-process response-content-type response-content-language ' +
    'response-expires response-cache-control response-content-disposition response-content-encoding udf udfName udfImage ' +
    'udfId udfImageDesc udfApplication udfApplicationLog restore callback callback-var versions versioning versionId sequential ' +
    'continuation-token regionList cloudboxes inventory inventoryId encryption policy stat metaQuery resourceGroup worm wormId ' +
    'wormExtend requestPayment accessmonitor transferAcceleration publicAccessBlock x-oss-traffic-limit x-oss-ac-source-ip ' +
    'x-oss-ac-subnet-mask x-oss-ac-vpc-id x-oss-ac-forward-allow x-oss-request-payer x-oss-async-process'
  ).split(' '),
);

export function claimedOss(request: OssSignedRequest): OssClaim | OssClaimProblem {
  const authorization = one(request.headers.authorization);
  const query = new Map(parseRawQuery(request.rawQuery));
  if (authorization.startsWith('OSS4-HMAC-SHA256')) return claimV4Header(request, authorization);
  if (authorization.startsWith('OSS ')) {
    const parts = /^OSS ([^:\s]+):(\S+)$/.exec(authorization);
    if (!parts) return 'malformed';
    const date = one(request.headers['x-oss-date']) || one(request.headers.date);
    if (date === '') return 'date-missing';
    return {
      ...nobody,
      version: 1,
      accessKeyId: parts[1] ?? '',
      signature: parts[2] ?? '',
      securityToken: one(request.headers['x-oss-security-token']) || undefined,
      signedAt: new Date(date),
    };
  }
  if (authorization !== '') return 'malformed';
  if (query.get('x-oss-signature-version') === 'OSS4-HMAC-SHA256') return claimV4Query(query);
  if (query.has('OSSAccessKeyId') && query.has('Signature'))
    return {
      ...nobody,
      version: 1,
      presigned: true,
      accessKeyId: query.get('OSSAccessKeyId') ?? '',
      signature: query.get('Signature') ?? '',
      securityToken: query.get('security-token'),
      expiresAt: new Date(Number(query.get('Expires')) * 1000),
    };
  return 'none';
}

const nobody = { presigned: false, signedAt: undefined, expiresAt: undefined, region: undefined, additionalHeaders: [] };

function claimV4Header(request: OssSignedRequest, authorization: string): OssClaim | OssClaimProblem {
  const fields = new Map<string, string>();
  for (const field of authorization.slice('OSS4-HMAC-SHA256'.length).split(',')) {
    const at = field.indexOf('=');
    fields.set(field.slice(0, at).trim(), field.slice(at + 1).trim());
  }
  const date = one(request.headers['x-oss-date']) || one(request.headers.date);
  if (date === '') return 'date-missing';
  const credential = (fields.get('Credential') ?? '').split('/');
  const [accessKeyId = '', day, region, product, end] = credential;
  const signedAt = parseCompactTime(date) ?? new Date(date);
  if (credential.length !== 5 || product !== 'oss' || end !== 'aliyun_v4_request' || !date.startsWith(day ?? '-'))
    return 'malformed';
  return {
    ...nobody,
    version: 4,
    accessKeyId,
    signature: fields.get('Signature') ?? '',
    securityToken: one(request.headers['x-oss-security-token']) || undefined,
    signedAt,
    region,
    additionalHeaders: (fields.get('AdditionalHeaders') ?? '').split(';').filter((name) => name !== ''),
  };
}

function claimV4Query(query: Map<string, string | undefined>): OssClaim | OssClaimProblem {
  const date = query.get('x-oss-date') ?? '';
  const signedAt = parseCompactTime(date);
  if (!signedAt) return 'date-missing';
  const [accessKeyId = '', day, region, product, end] = (query.get('x-oss-credential') ?? '').split('/');
  const seconds = Number(query.get('x-oss-expires'));
  if (product !== 'oss' || end !== 'aliyun_v4_request' || !date.startsWith(day ?? '-') || !(seconds > 0)) return 'malformed';
  return {
    version: 4,
    presigned: true,
    accessKeyId,
    signature: query.get('x-oss-signature') ?? '',
    securityToken: query.get('x-oss-security-token'),
    signedAt,
    expiresAt: new Date(signedAt.getTime() + seconds * 1000),
    region,
    additionalHeaders: (query.get('x-oss-additional-headers') ?? '').split(';').filter((name) => name !== ''),
  };
}

/** Time alone, without the secret. */
export function judgeTime(claim: OssClaim, now: Date): 'ok' | 'skewed' | 'expired' {
  if (claim.presigned) return claim.expiresAt && claim.expiresAt >= now ? 'ok' : 'expired';
  return claim.signedAt && Math.abs(now.getTime() - claim.signedAt.getTime()) <= MAX_CLOCK_SKEW_MS ? 'ok' : 'skewed';
}

/**
 * Whether the claim's signature is what `secret` gives for `/bucket/key` (`/bucket/` or `/` without a key or bucket).
 * `stringToSign` is what the service shows to a caller whose signature differs.
 */
export function verifyOss(
  request: OssSignedRequest,
  claim: OssClaim,
  secret: string,
  resource: string,
): { ok: boolean; stringToSign: string } {
  if (claim.version === 1) {
    const stringToSign = stringToSignV1(request, claim, resource);
    return { ok: equal(createHmac('sha1', secret).update(stringToSign).digest('base64'), claim.signature), stringToSign };
  }
  const date = one(request.headers['x-oss-date']) || new Map(parseRawQuery(request.rawQuery)).get('x-oss-date') || '';
  let shown = '';
  for (const withEquals of [false, true]) {
    const canonical = canonicalV4(request, claim, resource, withEquals);
    const day = date.slice(0, 8);
    const scope = `${day}/${claim.region}/oss/aliyun_v4_request`;
    const stringToSign = ['OSS4-HMAC-SHA256', date, scope, createHash('sha256').update(canonical).digest('hex')].join('\n');
    const key = [day, claim.region ?? '', 'oss', 'aliyun_v4_request'].reduce<string | Buffer>(
      (signingKey, part) => createHmac('sha256', signingKey).update(part).digest(),
      `aliyun_v4${secret}`,
    );
    if (equal(createHmac('sha256', key).update(stringToSign).digest('hex'), claim.signature)) return { ok: true, stringToSign };
    shown ||= stringToSign;
  }
  return { ok: false, stringToSign: shown };
}

function stringToSignV1(request: OssSignedRequest, claim: OssClaim, resource: string): string {
  const { headers } = request;
  const parameters = parseRawQuery(request.rawQuery)
    .filter(([name]) => V1_SIGNED_PARAMETERS.has(name))
    .sort(([a], [b]) => compareText(a, b))
    .map(([name, value]) => (value ? `${name}=${value}` : name));
  const date = claim.presigned
    ? String((claim.expiresAt?.getTime() ?? 0) / 1000)
    : one(headers['x-oss-date']) || one(headers.date);
  return [
    request.method,
    one(headers['content-md5']),
    one(headers['content-type']),
    date,
    ...ossHeaderNames(headers).map((name) => `${name}:${one(headers[name]).trim()}`),
    resource + (parameters.length > 0 ? `?${parameters.join('&')}` : ''),
  ].join('\n');
}

/** `withEquals`: clients differ in how they write a parameter with an empty value. */
function canonicalV4(request: OssSignedRequest, claim: OssClaim, resource: string, withEquals: boolean): string {
  const { headers } = request;
  const query = parseRawQuery(request.rawQuery)
    .filter(([name]) => !(claim.presigned && name === 'x-oss-signature'))
    .map(([name, value]) => [percentEncode(name), percentEncode(value ?? '')] as const)
    .sort(([a], [b]) => compareText(a, b))
    .map(([name, value]) => (value !== '' || withEquals ? `${name}=${value}` : name))
    .join('&');
  const names = new Set([...ossHeaderNames(headers), ...claim.additionalHeaders]);
  for (const name of ['content-type', 'content-md5']) if (headers[name] !== undefined) names.add(name);
  const headerLines = [...names].sort(compareText).map((name) => `${name}:${one(headers[name]).trim()}\n`);
  const payload = one(headers['x-oss-content-sha256']) || 'UNSIGNED-PAYLOAD';
  return [
    request.method,
    resource.split('/').map(percentEncode).join('/'),
    query,
    headerLines.join(''),
    claim.additionalHeaders.join(';'),
    payload,
  ].join('\n');
}

function ossHeaderNames(headers: OssSignedRequest['headers']): string[] {
  return Object.keys(headers)
    .filter((name) => name.startsWith('x-oss-'))
    .sort(compareText);
}

function parseCompactTime(text: string): Date | undefined {
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (!parts) return undefined;
  const [, y, mo, d, h, mi, s] = parts;
  return new Date(`${y}-${mo}-${d}T${h}:${mi}:${s}Z`);
}

function one(value: string | string[] | undefined): string {
  return Array.isArray(value) ? value.join(',') : (value ?? '');
}
