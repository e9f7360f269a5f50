import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { compareText, parseRawQuery, percentEncode } from './encoding.ts';

/**
 * The ACS3-HMAC-SHA256 signature of Alibaba Cloud's current APIs (Function Compute 3.0, STS, …), checked as the service
 * does. Source: help page "V3 request body and signature" (2025), and the shipped clients' requests.
 */

export interface SignedRequest {
  method: string;
  /** As on the wire, still percent-encoded, without the query. */
  rawPath: string;
  /** As on the wire, without `?`. */
  rawQuery: string;
  /** Lower-case names. */
  headers: Record<string, string | string[] | undefined>;
  body: Uint8Array;
}

export type SignatureVerdict =
  | { ok: true; accessKeyId: string; securityToken: string | undefined }
  | { ok: false; problem: 'missing' | 'malformed' | 'mismatch' | 'body-changed' | 'skewed'; detail: string };

export const MAX_CLOCK_SKEW_MS = 15 * 60_000;

/** Which key a request claims to be signed with, before anything is verified. */
export function claimedAcs3(
  headers: SignedRequest['headers'],
): { accessKeyId: string; securityToken: string | undefined } | undefined {
  const accessKeyId = /^ACS3-HMAC-SHA256 .*\bCredential=([^,\s]+)/.exec(String(headers.authorization ?? ''))?.[1];
  const token = headers['x-acs-security-token'];
  return accessKeyId === undefined ? undefined : { accessKeyId, securityToken: typeof token === 'string' ? token : undefined };
}

/** The caller looks the secret up by `claimedAcs3`. */
export function verifyAcs3(request: SignedRequest, secret: string, now = new Date()): SignatureVerdict {
  const authorization = String(request.headers.authorization ?? '');
  if (authorization === '') return { ok: false, problem: 'missing', detail: 'no Authorization header' };
  const parts = /^ACS3-HMAC-SHA256 Credential=([^,\s]+),\s*SignedHeaders=([^,\s]*),\s*Signature=([0-9a-f]{64})$/.exec(
    authorization,
  );
  if (!parts) return { ok: false, problem: 'malformed', detail: 'Authorization is not of the form ACS3-HMAC-SHA256' };
  const [, accessKeyId = '', signedHeaders = '', signature = ''] = parts;
  const sentAt = Date.parse(String(request.headers['x-acs-date'] ?? ''));
  if (!(Math.abs(now.getTime() - sentAt) <= MAX_CLOCK_SKEW_MS))
    return { ok: false, problem: 'skewed', detail: 'x-acs-date is missing or more than 15 minutes off' };
  const bodyHash = createHash('sha256').update(request.body).digest('hex');
  if (request.headers['x-acs-content-sha256'] !== bodyHash)
    return { ok: false, problem: 'body-changed', detail: 'x-acs-content-sha256 is not the hash of the body' };

  const names = signedHeaders.split(';').filter((name) => name !== '');
  const unsigned = Object.keys(request.headers).find(
    (name) => name.startsWith('x-acs-') && request.headers[name] !== undefined && !names.includes(name),
  );
  if (unsigned) return { ok: false, problem: 'mismatch', detail: `header ${unsigned} is not signed` };
  const headerLines = names.map((name) => `${name}:${String(request.headers[name] ?? '').trim()}\n`).join('');
  const query = parseRawQuery(request.rawQuery).sort(([a], [b]) => compareText(a, b));
  // Clients differ in how they write a parameter with an empty value.
  const queries = new Set([
    query.map(([k, v]) => `${percentEncode(k)}=${percentEncode(v ?? '')}`).join('&'),
    query.map(([k, v]) => (v ? `${percentEncode(k)}=${percentEncode(v)}` : percentEncode(k))).join('&'),
  ]);
  for (const canonicalQuery of queries) {
    const canonical = [request.method, request.rawPath || '/', canonicalQuery, headerLines, signedHeaders, bodyHash].join('\n');
    const stringToSign = `ACS3-HMAC-SHA256\n${createHash('sha256').update(canonical).digest('hex')}`;
    const expected = createHmac('sha256', secret).update(stringToSign).digest('hex');
    if (equal(expected, signature)) {
      const token = request.headers['x-acs-security-token'];
      return { ok: true, accessKeyId, securityToken: typeof token === 'string' ? token : undefined };
    }
  }
  return { ok: false, problem: 'mismatch', detail: 'the signature is not the one that the secret gives' };
}

export function equal(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
