import type { Operation } from './operations.ts';

export interface LoggedRequest {
  time: string;
  requestId: string;
  operation: Operation;
  bucket: string;
  /** Key, or the prefix of a listing. */
  key: string;
  accessKeyId: string;
  status: number;
  /** OSS's error code, empty for a success. */
  code: string;
  bytesReceived: number;
  bytesSent: number;
  durationMs: number;
}

const KEPT = 20_000;

/** The newest requests, and counts of all. Holds no header and no signature. */
export function openRequestLog() {
  let kept: LoggedRequest[] = [];
  let counts = new Map<string, number>();
  return {
    add(request: LoggedRequest): void {
      kept.push(request);
      if (kept.length > KEPT * 2) kept = kept.slice(-KEPT);
      counts.set(request.operation, (counts.get(request.operation) ?? 0) + 1);
    },
    requests: (filter: { bucket?: string; prefix?: string; operation?: string } = {}): LoggedRequest[] =>
      kept.filter(
        (request) =>
          (filter.bucket === undefined || request.bucket === filter.bucket) &&
          (filter.prefix === undefined || request.key.startsWith(filter.prefix)) &&
          (filter.operation === undefined || request.operation === filter.operation),
      ),
    /** Requests since the start or the last `clear`, by operation. */
    counts: (): Record<string, number> => Object.fromEntries(counts),
    clear(): void {
      kept = [];
      counts = new Map();
    },
  };
}
export type RequestLog = ReturnType<typeof openRequestLog>;
