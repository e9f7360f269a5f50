import { claimedOss, judgeTime, type OssClaim, type OssSignedRequest, verifyOss } from '../signatures/oss.ts';
import type { Identities, Principal } from '../sts/identities.ts';
import { judge, type Policy } from '../sts/policy.ts';
import type { Address } from './address.ts';
import { OPERATIONS, type Operation } from './operations.ts';
import { OssProblem } from './problem.ts';

/** Who signed a request. Throws what OSS would answer to a signature that it does not accept. */
export function authenticate(
  request: OssSignedRequest,
  addresses: readonly Address[],
  identities: Identities,
  now: Date,
): { principal: Principal; address: Address; claim: OssClaim } {
  const claim = claimedOss(request);
  if (claim === 'none') throw new OssProblem('AccessDenied', 'Anonymous access is forbidden for this operation.');
  if (claim === 'malformed') throw new OssProblem('InvalidArgument', 'Authorization header is invalid.');
  if (claim === 'date-missing')
    throw new OssProblem('AccessDenied', 'OSS authentication requires a valid Date.', { EC: '0002-00000503' });
  const payload = request.headers['x-oss-content-sha256'];
  if (claim.version === 4 && payload !== undefined && payload !== 'UNSIGNED-PAYLOAD')
    throw new OssProblem('InvalidArgument', 'x-oss-content-sha256 must be UNSIGNED-PAYLOAD.');
  const time = judgeTime(claim, now);
  if (time === 'expired') throw new OssProblem('AccessDenied', 'Request has expired.');
  if (time === 'skewed')
    throw new OssProblem('RequestTimeTooSkewed', 'The difference between the request time and the current time is too large.', {
      RequestTime: claim.signedAt && !Number.isNaN(claim.signedAt.getTime()) ? claim.signedAt.toISOString() : '',
      ServerTime: now.toISOString(),
    });
  const principal = identities.resolve(claim.accessKeyId, claim.securityToken, now);
  if (principal === 'unknown' || principal === 'token-missing')
    throw new OssProblem('InvalidAccessKeyId', 'The OSS Access Key Id you provided does not exist in our records.', {
      OSSAccessKeyId: claim.accessKeyId,
    });
  if (principal === 'token-expired') throw new OssProblem('SecurityTokenExpired', 'The security token you provided has expired.');
  if (principal === 'token-invalid') throw new OssProblem('InvalidSecurityToken', 'The security token you provided is invalid.');

  let stringToSign = '';
  for (const address of addresses) {
    const verdict = verifyOss(request, claim, principal.secret.reveal(), address.resource);
    if (verdict.ok) {
      if (principal.disabled) throw new OssProblem('UserDisable', 'UserDisable');
      return { principal, address, claim };
    }
    stringToSign ||= verdict.stringToSign;
  }
  throw new OssProblem(
    'SignatureDoesNotMatch',
    'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
    { OSSAccessKeyId: claim.accessKeyId, SignatureProvided: claim.signature, StringToSign: stringToSign },
  );
}

/** Throws AccessDenied unless the identity's or the bucket's policies allow it and neither denies it. */
export function requirePermission(
  principal: Principal,
  bucketPolicies: readonly Policy[],
  request: {
    operation: Operation;
    action?: string;
    bucket: string;
    key: string;
    query: ReadonlyMap<string, string>;
    sourceIp: string;
  },
): void {
  const { bucket, key, query } = request;
  const action = request.action ?? OPERATIONS[request.operation];
  const asked = {
    action,
    resource: `acs:oss:*:*:${bucket === '' ? '*' : key === '' ? bucket : `${bucket}/${key}`}`,
    context: {
      'acs:SourceIp': request.sourceIp,
      'acs:SecureTransport': 'false',
      ...(action === 'oss:ListObjects' && {
        'oss:Prefix': query.get('prefix') ?? '',
        'oss:Delimiter': query.get('delimiter') ?? '',
      }),
    },
  };
  const byBucket = judge(bucketPolicies, asked);
  if (byBucket === 'denied')
    throw new OssProblem('AccessDenied', 'Access denied by bucket policy.', { EC: '0003-00000101', AuthAction: action });
  if (byBucket !== 'allowed' && !principal.allows(asked))
    throw new OssProblem('AccessDenied', 'You have no right to access this object because of the policies of your identity.', {
      EC: '0003-00000001',
      AuthAction: action,
    });
}
