/** Every error that the endpoint answers, with its HTTP status. Source: SMQ documentation, "Error codes". */
const STATUS = {
  AccessDenied: 403,
  InternalError: 500,
  InvalidAccessKeyId: 403,
  InvalidArgument: 400,
  InvalidContentType: 400,
  InvalidQueryString: 400,
  InvalidQueueName: 400,
  InvalidRequestURL: 400,
  MalformedXML: 400,
  MessageNotExist: 404,
  MissingAuthorizationHeader: 400,
  MissingDateHeader: 400,
  MissingReceiptHandle: 400,
  MissingVersionHeader: 400,
  MissingVisibilityTimeout: 400,
  QueueAlreadyExist: 409,
  QueueNameLengthError: 400,
  QueueNotExist: 404,
  ReceiptHandleError: 400,
  SignatureDoesNotMatch: 403,
  TimeExpired: 408,
} as const;

export type MnsErrorCode = keyof typeof STATUS;

export class MnsError extends Error {
  constructor(
    readonly code: MnsErrorCode,
    message: string,
  ) {
    super(message);
  }
  get status(): number {
    return STATUS[this.code];
  }
}
