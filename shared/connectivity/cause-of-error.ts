import { AccessDenied, InvalidInput, NotFound, type ServiceEvidence, Unreachable, Unsupported } from '../errors.ts';
import type { CauseCode } from './causes.ts';
import { ForbiddenAddress, type OutboundTarget } from './outbound-door.ts';

/** What was being asked of the object store; decides what a plain "no" means. */
export type Question = 'bucket' | 'list' | 'read';

/** An error of the object store as a named cause with its evidence. */
export function causeOfStoreError(
  error: unknown,
  question: Question,
  target: OutboundTarget,
): { code: CauseCode; evidence: string } {
  if (error instanceof AccessDenied)
    return { code: causeOfDenial(error, question), evidence: describeEvidence(error.detail.evidence) };
  if (error instanceof NotFound) return { code: 'bucket-not-found', evidence: describeEvidence(error.evidence) };
  if (error instanceof Unreachable) return { code: causeOfSilence(error, target), evidence: describeSilence(error) };
  if (error instanceof Unsupported) return { code: 'object-archived', evidence: 'the object is archived' };
  if (error instanceof ForbiddenAddress) return { code: 'address-forbidden', evidence: describeForbidden(error) };
  return { code: 'unexpected', evidence: nameOfError(error) };
}

/**
 * EC codes tell whose rule it was. Source: OSS help pages "0003-00000101" (bucket policy), "0003-00000201" and
 * "0003-00000203" (RAM policy), "0003-00000401" (VPC policy), 2024 to 2026.
 */
const denialByEc: Record<string, CauseCode> = {
  '0003-00000101': 'bucket-policy-denied',
  '0003-00000201': 'ram-policy-denied',
  '0003-00000203': 'ram-policy-denied',
  '0003-00000401': 'vpc-policy-denied',
};

function causeOfDenial(error: AccessDenied, question: Question): CauseCode {
  switch (error.reason) {
    case 'unknown-access-key':
      return 'access-key-unknown';
    case 'wrong-secret':
      return 'access-key-secret-wrong';
    case 'token-expired':
    case 'token-invalid':
      return 'session-rejected';
    case 'clock-skew':
      return 'clock-skew';
    case 'account-disabled':
      return 'account-disabled';
    case 'wrong-endpoint':
      return 'bucket-other-region';
    case 'custom-domain-required':
      return 'custom-domain-required';
    case 'path-style-refused':
      return 'path-style-refused';
    case 'kms':
      return 'kms-denied';
    case 'role-missing':
    case 'role-not-trusted':
      return error.reason;
    case 'not-authorized': {
      const byRule = denialByEc[error.detail.evidence?.ec ?? ''];
      if (byRule) return byRule;
      return question === 'bucket' ? 'bucket-info-denied' : question === 'list' ? 'list-denied' : 'read-denied';
    }
  }
}

/** Denials that say nothing of the identity's keys: OSS looks at a signature first. */
export function provesIdentity(error: unknown): boolean {
  if (error instanceof NotFound) return true;
  return (
    error instanceof AccessDenied && ['not-authorized', 'wrong-endpoint', 'custom-domain-required', 'kms'].includes(error.reason)
  );
}

/** The other side cannot be connected to, or does not answer. */
export function causeOfSilence(error: Unreachable, target: OutboundTarget): CauseCode {
  switch (error.reason) {
    case 'dns':
      return 'dns-not-found';
    case 'connect':
      return causeOfNoConnection(target);
    case 'tls':
      return 'tls-failed';
    case 'timeout':
    case 'cut':
      return 'no-answer';
    case 'throttled':
      return 'throttled';
    case 'server-error':
      return 'server-error';
    case 'bad-answer':
      return 'not-oss';
  }
}

export function causeOfNoConnection(target: OutboundTarget): CauseCode {
  switch (target.form) {
    case 'internal':
    case 'vpc':
      return 'internal-endpoint-unreachable';
    case 'permitted':
      return 'host-unreachable';
    default:
      return 'public-network-unreachable';
  }
}

/** Errors of the token service, when a role is assumed. */
export function causeOfTokenError(error: unknown): { code: CauseCode; evidence: string } {
  if (error instanceof Unreachable) {
    const code = error.reason === 'throttled' || error.reason === 'server-error' ? error.reason : 'sts-unreachable';
    return { code, evidence: `AssumeRole: ${describeSilence(error)}` };
  }
  if (error instanceof AccessDenied) {
    const evidence = `AssumeRole: ${describeEvidence(error.detail.evidence)}`;
    switch (error.reason) {
      case 'role-missing':
      case 'role-not-trusted':
      case 'clock-skew':
      case 'account-disabled':
        return { code: error.reason, evidence };
      default:
        return { code: 'function-identity-rejected', evidence };
    }
  }
  if (error instanceof NotFound) return { code: 'role-missing', evidence: `AssumeRole: ${describeEvidence(error.evidence)}` };
  if (error instanceof InvalidInput) return { code: 'configuration-incomplete', evidence: error.message };
  return { code: 'unexpected', evidence: nameOfError(error) };
}

/** The service's own codes, as far as they look like codes: another server's words are not repeated. */
export function describeEvidence(evidence: ServiceEvidence | undefined): string {
  if (!evidence) return 'no evidence';
  const { status, code, ec, requestId } = evidence;
  return [
    `HTTP ${status}${isCode(code) ? ` ${code}` : ''}`,
    ...(isCode(ec) ? [`EC ${ec}`] : []),
    ...(isCode(requestId) ? [`request id ${requestId}`] : []),
  ].join(', ');
}

export function describeSilence(error: Unreachable): string {
  const { evidence } = error.detail;
  const code = evidence?.code;
  if (evidence && evidence.status > 0) return `${inWords[error.reason]} (${describeEvidence(evidence)})`;
  return `${inWords[error.reason]}${isCode(code) ? ` (${code})` : ''}`;
}

const inWords: Record<Unreachable['reason'], string> = {
  dns: 'the name does not resolve',
  connect: 'no connection',
  tls: 'no TLS connection',
  timeout: 'no answer in time',
  cut: 'the connection was cut',
  throttled: 'too many requests',
  'server-error': 'an error of the service',
  'bad-answer': 'an answer that is not one of OSS',
};

export function describeForbidden(error: ForbiddenAddress): string {
  const kind = error.realm === 'special' ? 'reserved' : error.realm;
  return `${error.hostname} resolves to a ${kind} address`;
}

/** For the evidence of what has no name: its class, never its text. */
export function nameOfError(error: unknown): string {
  return error instanceof Error && /^[A-Za-z]{1,60}$/.test(error.name) ? error.name : 'unknown error';
}

function isCode(text: string | undefined): text is string {
  return text !== undefined && /^[A-Za-z0-9._-]{1,64}$/.test(text);
}
