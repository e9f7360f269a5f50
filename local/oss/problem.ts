/** OSS's error codes with their status. Source: help pages "HTTP status code 4xx/5xx" (2025). */
const STATUS = {
  AccessDenied: 403,
  BadDigest: 400,
  BucketAlreadyExists: 409,
  BucketNotEmpty: 409,
  EntityTooLarge: 400,
  FileAlreadyExists: 409,
  InternalError: 500,
  InvalidAccessKeyId: 403,
  InvalidArgument: 400,
  InvalidBucketName: 400,
  InvalidDigest: 400,
  InvalidObjectName: 400,
  InvalidPart: 400,
  InvalidPartOrder: 400,
  InvalidRange: 416,
  InvalidSecurityToken: 403,
  KmsServiceNotEnabled: 403,
  MalformedXML: 400,
  MethodNotAllowed: 405,
  MissingContentLength: 411,
  NoSuchBucket: 404,
  NoSuchKey: 404,
  NoSuchUpload: 404,
  NotImplemented: 501,
  PreconditionFailed: 412,
  RequestTimeTooSkewed: 403,
  SecondLevelDomainForbidden: 403,
  SecurityTokenExpired: 403,
  ServiceUnavailable: 503,
  SignatureDoesNotMatch: 403,
  TooManyRequests: 429,
  UserDisable: 403,
} as const;
export type OssCode = keyof typeof STATUS;

/** An answer that is a refusal. `elements` are further children of the error document. */
export class OssProblem extends Error {
  readonly status: number;
  constructor(
    readonly code: OssCode,
    message: string,
    readonly elements: Record<string, string> = {},
  ) {
    super(message);
    this.status = STATUS[code];
  }
}

export function statusOf(code: string): number | undefined {
  return (STATUS as Record<string, number>)[code];
}

export function noSuchBucket(bucket: string): OssProblem {
  return new OssProblem('NoSuchBucket', 'The specified bucket does not exist.', { BucketName: bucket });
}

export function noSuchKey(key: string): OssProblem {
  return new OssProblem('NoSuchKey', 'The specified key does not exist.', { Key: key });
}
