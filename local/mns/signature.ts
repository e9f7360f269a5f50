import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { MnsError } from './error.ts';
import { CLOCK_SKEW_MS } from './limits.ts';

/** Secret of an access key, when there is such a key and the token (for temporary ones) belongs to it and is alive. */
export type FindSecret = (accessKeyId: string, securityToken?: string) => Promise<string | undefined>;

export interface SignedRequest {
  method: string;
  /** The request target exactly as it stood on the wire, with its query. */
  target: string;
  headers: IncomingHttpHeaders;
}

/** base64 of HMAC-SHA1 over the request's text form. The security token is not part of it. */
export function signMns(request: SignedRequest, secret: string): string {
  const { headers } = request;
  const own = Object.keys(headers)
    .filter((name) => name.startsWith('x-mns-'))
    .sort()
    .map((name) => `${name}:${headers[name]}\n`)
    .join('');
  const text = `${request.method}\n${headers['content-md5'] ?? ''}\n${headers['content-type'] ?? ''}\n${headers.date ?? ''}\n${own}${request.target}`;
  return createHmac('sha1', secret).update(text).digest('base64');
}

/** Throws the service's own errors. `nowMs` decides about the clock skew. */
export async function verifyMns(request: SignedRequest, findSecret: FindSecret, nowMs: number): Promise<void> {
  const { headers } = request;
  if (!headers.authorization) throw new MnsError('MissingAuthorizationHeader', 'The Authorization header is required.');
  if (!headers.date && !headers['x-mns-date']) throw new MnsError('MissingDateHeader', 'The Date header is required.');
  if (!headers['x-mns-version']) throw new MnsError('MissingVersionHeader', 'The x-mns-version header is required.');
  const [, accessKeyId, signature] = /^MNS ([^:\s]+):(\S+)$/.exec(headers.authorization) ?? [];
  if (!accessKeyId || !signature) throw new MnsError('AccessDenied', 'The Authorization header must be "MNS id:signature".');
  const date = Date.parse(String(headers.date ?? headers['x-mns-date']));
  if (!(Math.abs(date - nowMs) <= CLOCK_SKEW_MS))
    throw new MnsError('TimeExpired', 'The time of the request is more than 15 minutes from the time of the server.');
  const token = headers['security-token'];
  const secret = await findSecret(accessKeyId, typeof token === 'string' ? token : undefined);
  if (secret === undefined)
    throw new MnsError('InvalidAccessKeyId', 'The AccessKey ID, or the token that came with it, is not valid.');
  const expected = Buffer.from(signMns(request, secret));
  const given = Buffer.from(signature);
  if (expected.length !== given.length || !timingSafeEqual(expected, given))
    throw new MnsError(
      'SignatureDoesNotMatch',
      'The signature of the request does not match: check the secret and the signing text.',
    );
}
