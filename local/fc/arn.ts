/** Queue name of `acs:mns:{region}:{account}:/queues/{name}`, with or without the slash and `/messages`. */
export function queueOfArn(arn: string): string | undefined {
  return /^acs:mns:[^:]*:[^:]*:\/?queues\/([^/]+)(\/messages)?$/.exec(arn)?.[1];
}

/** Bucket of `acs:oss:{region}:{account}:{bucket}`. */
export function bucketOfArn(arn: string): string | undefined {
  return /^acs:oss:[^:]*:[^:]*:([^:/]+)$/.exec(arn)?.[1];
}
