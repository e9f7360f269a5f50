import type { StoredMeta } from './storage.ts';

/** What the native OSS trigger of Function Compute delivers. Source: help page "Trigger event formats" (2025). */
export interface OssEvent {
  events: OssEventItem[];
}

export interface OssEventItem {
  /** Without the prefix `oss:` that trigger configurations have. */
  eventName: string;
  eventSource: 'acs:oss';
  eventTime: string;
  eventVersion: '1.0';
  region: string;
  oss: {
    bucket: { arn: string; name: string; ownerIdentity: string; virtualBucket: string };
    object: {
      key: string;
      size: number;
      deltaSize: number;
      eTag: string;
      objectMeta: { mimeType: string; userMeta: Record<string, string> };
    };
    ossSchemaVersion: '1.0';
    ruleId: string;
  };
  requestParameters: { sourceIPAddress: string };
  responseElements: { requestId: string };
  userIdentity: { principalId: string };
}

export interface EventSource {
  bucket: string;
  region: string;
  accountId: string;
  requestId: string;
  principal: string;
  time: Date;
}

export function newEvent(
  eventName: string,
  object: Pick<StoredMeta, 'key' | 'sizeBytes' | 'etag'> & { previousBytes: number; contentType?: string | undefined },
  source: EventSource,
): OssEventItem {
  return {
    eventName,
    eventSource: 'acs:oss',
    eventTime: source.time.toISOString(),
    eventVersion: '1.0',
    region: source.region,
    oss: {
      bucket: {
        arn: `acs:oss:${source.region}:${source.accountId}:${source.bucket}`,
        name: source.bucket,
        ownerIdentity: source.accountId,
        virtualBucket: '',
      },
      object: {
        key: object.key,
        size: object.sizeBytes,
        deltaSize: object.sizeBytes - object.previousBytes,
        eTag: object.etag,
        objectMeta: { mimeType: object.contentType ?? 'application/octet-stream', userMeta: {} },
      },
      ossSchemaVersion: '1.0',
      ruleId: 'local',
    },
    requestParameters: { sourceIPAddress: '127.0.0.1' },
    responseElements: { requestId: source.requestId },
    userIdentity: { principalId: source.principal },
  };
}
