/**
 * The closed list of errors that cross a border in this system. Adapters translate what they meet into one of these;
 * steps decide by class, never by a vendor's name. `code` is stable and may be shown to users.
 */

/** What a remote service itself said: safe to show, never holds a body, a credential or a signed URL. */
export interface ServiceEvidence {
  /** HTTP status, or 0 when there was no answer. */
  status: number;
  /** The service's own error code, such as `SignatureDoesNotMatch`. */
  code?: string;
  /** OSS error-cause code, such as `0003-00000001`. */
  ec?: string;
  requestId?: string;
  /** The endpoint that the service says to use instead: a host name of Alibaba Cloud OSS, nothing else. */
  endpoint?: string;
}

/** Why a request was refused, in our words; `object-store/oss.ts` and `credentials/` translate into these. */
export type DenialReason =
  | 'not-authorized'
  | 'unknown-access-key'
  | 'wrong-secret'
  | 'token-expired'
  | 'token-invalid'
  | 'clock-skew'
  | 'account-disabled'
  | 'wrong-endpoint'
  | 'custom-domain-required'
  | 'path-style-refused'
  | 'kms'
  | 'role-missing'
  | 'role-not-trusted';

export abstract class DatamapError extends Error {
  abstract readonly code: string;
  /** Written out in each class: a bundle shortens the names of classes, and people read this in logs and dead letters. */
  abstract override readonly name: string;
}

/** Something we were given does not have the required form. `path` names the field, e.g. `environments.production.endpoint`. */
export class InvalidInput extends DatamapError {
  readonly code = 'invalid';
  override get name(): string {
    return 'InvalidInput';
  }
  constructor(
    readonly issues: ReadonlyArray<{ path: string; issue: string }>,
    options?: ErrorOptions,
  ) {
    super(issues.map((i) => (i.path === '' ? i.issue : `${i.path}: ${i.issue}`)).join('; '), options);
  }
  static at(path: string, issue: string, options?: ErrorOptions): InvalidInput {
    return new InvalidInput([{ path, issue }], options);
  }
}

/** The named thing does not exist, or is not visible to who asks. */
export class NotFound extends DatamapError {
  readonly code = 'not-found';
  override get name(): string {
    return 'NotFound';
  }
  constructor(
    readonly what: string,
    readonly evidence?: ServiceEvidence,
    options?: ErrorOptions,
  ) {
    super(`${what} not found`, options);
  }
}

/** A concurrent change won; read again and repeat. */
export class Conflict extends DatamapError {
  readonly code = 'conflict';
  override get name(): string {
    return 'Conflict';
  }
}

/** The other side answered, and said no. `permission` is the action that was missing, such as `oss:ListObjects`. */
export class AccessDenied extends DatamapError {
  readonly code = 'access-denied';
  override get name(): string {
    return 'AccessDenied';
  }
  constructor(
    readonly what: string,
    readonly reason: DenialReason,
    readonly detail: { permission?: string; evidence?: ServiceEvidence } = {},
    options?: ErrorOptions,
  ) {
    super(`access to ${what} denied: ${reason}${detail.permission ? ` (needs ${detail.permission})` : ''}`, options);
  }
}

/** No usable answer: name not resolved, connection refused or cut, time-out, throttled, server error. Worth another try. */
export class Unreachable extends DatamapError {
  readonly code = 'unreachable';
  override get name(): string {
    return 'Unreachable';
  }
  constructor(
    readonly host: string,
    readonly reason: 'dns' | 'connect' | 'tls' | 'timeout' | 'cut' | 'throttled' | 'server-error' | 'bad-answer',
    readonly detail: { evidence?: ServiceEvidence; retryAfterMs?: number } = {},
    options?: ErrorOptions,
  ) {
    super(`${host} not reachable: ${reason}`, options);
  }
}

/** Bytes that are not what their place says. `file` is the object's key; `offset` in bytes where known. */
export class FormatError extends DatamapError {
  readonly code = 'format';
  override get name(): string {
    return 'FormatError';
  }
  constructor(
    readonly file: string,
    readonly detail: { offset?: number; expected: string; found: string },
    options?: ErrorOptions,
  ) {
    super(
      `${file}: expected ${detail.expected}, found ${detail.found}${detail.offset === undefined ? '' : ` at byte ${detail.offset}`}`,
      options,
    );
  }
}

/** A well-formed thing that this version cannot read, such as a codec. */
export class Unsupported extends DatamapError {
  readonly code = 'unsupported';
  override get name(): string {
    return 'Unsupported';
  }
  constructor(
    readonly feature: string,
    readonly file?: string,
    options?: ErrorOptions,
  ) {
    super(file ? `${file}: ${feature} is not supported` : `${feature} is not supported`, options);
  }
}

/** A repeat would fail the same way: record it and acknowledge. Everything else is worth a redelivery. */
export function isPermanent(error: unknown): boolean {
  return (
    error instanceof InvalidInput ||
    error instanceof FormatError ||
    error instanceof Unsupported ||
    error instanceof AccessDenied ||
    error instanceof NotFound
  );
}
