import { createHmac } from 'node:crypto';
import { equal, MAX_CLOCK_SKEW_MS, type SignatureVerdict } from './acs3.ts';
import { compareText, decode } from './encoding.ts';

/** The signature of Function Compute's older API (2016-08-15), as `@alicloud/fc2` sends it. Source: that client's requests. */

export interface FcSignedRequest {
  method: string;
  /** As on the wire, with the version prefix, without the query. */
  rawPath: string;
  /** Lower-case names. */
  headers: Record<string, string | string[] | undefined>;
}

/** base64 of HMAC-SHA256 over the request's text form. */
export function signFc(request: FcSignedRequest, secret: string): string {
  const { headers } = request;
  const own = Object.keys(headers)
    .filter((name) => name.startsWith('x-fc-'))
    .sort(compareText)
    .map((name) => `${name}:${headers[name]}\n`)
    .join('');
  const text = `${request.method}\n${headers['content-md5'] ?? ''}\n${headers['content-type'] ?? ''}\n${headers.date ?? ''}\n${own}${decode(request.rawPath)}`;
  return createHmac('sha256', secret).update(text).digest('base64');
}

/** Which key a request claims to be signed with, before anything is verified. */
export function claimedFc(
  headers: FcSignedRequest['headers'],
): { accessKeyId: string; securityToken: string | undefined } | undefined {
  const accessKeyId = /^FC ([^:\s]+):\S+$/.exec(String(headers.authorization ?? ''))?.[1];
  const token = headers['x-fc-security-token'];
  return accessKeyId === undefined ? undefined : { accessKeyId, securityToken: typeof token === 'string' ? token : undefined };
}

export function verifyFc(request: FcSignedRequest, secret: string, now = new Date()): SignatureVerdict {
  const claimed = claimedFc(request.headers);
  if (!claimed) return { ok: false, problem: 'malformed', detail: 'Authorization is not of the form FC id:signature' };
  const sentAt = Date.parse(String(request.headers.date ?? ''));
  if (!(Math.abs(now.getTime() - sentAt) <= MAX_CLOCK_SKEW_MS))
    return { ok: false, problem: 'skewed', detail: 'Date is missing or more than 15 minutes off' };
  const given = String(request.headers.authorization).slice(`FC ${claimed.accessKeyId}:`.length);
  if (!equal(signFc(request, secret), given))
    return { ok: false, problem: 'mismatch', detail: 'the signature is not the one that the secret gives' };
  return { ok: true, ...claimed };
}
