import { z } from 'zod';
import { EnvironmentName } from './messages.ts';

/**
 * A data source as people write it: the form's fields under the API's names. The same schema checks the YAML file and the
 * API's body. Only shapes are checked here; rules that judge values live in `data-source-rules.ts`.
 */

export const AccessMode = z.enum(['ramRole', 'accessKey']);
export type AccessMode = z.infer<typeof AccessMode>;

/** Glob patterns (`*` and `?`) on `database` or `database.table`; empty `include` means everything. */
export const CollectionScope = z.strictObject({
  include: z.array(z.string().min(1).max(256)).max(100).default([]),
  exclude: z.array(z.string().min(1).max(256)).max(100).default([]),
});
export type CollectionScope = z.infer<typeof CollectionScope>;

/** Written by people; every field may be missing in a draft. `accessKeySecret` is write-only: no answer ever holds it. */
export const EnvironmentInput = z.strictObject({
  accessMode: AccessMode.optional(),
  roleArn: z.string().max(512).optional(),
  accessKeyId: z.string().max(256).optional(),
  /** Left out on update: the stored one is kept, unless what it would be sent to changed. */
  accessKeySecret: z.string().min(1).max(512).optional(),
  region: z.string().max(64).optional(),
  endpoint: z.string().max(512).optional(),
  warehouse: z.string().max(1024).optional(),
  /** Seconds between sweeps; 0 turns the timer off. Default 600. */
  sweepIntervalSeconds: z.int().min(0).max(604_800).optional(),
  scope: CollectionScope.optional(),
});
export type EnvironmentInput = z.infer<typeof EnvironmentInput>;

export const DataSourceInput = z.strictObject({
  name: z.string().min(1).max(255),
  catalog: z.string().max(255).optional(),
  description: z.string().max(4_000).optional(),
  metastore: z.literal('filesystem').default('filesystem'),
  filesystem: z.literal('oss').default('oss'),
  environments: z.partialRecord(EnvironmentName, EnvironmentInput).default({}),
  /** A draft may be incomplete and is neither tested nor collected. */
  draft: z.boolean().default(false),
});
export type DataSourceInput = z.infer<typeof DataSourceInput>;

/** `connected` and `failed` are verdicts of the newest test of the present configuration. */
export const ConnectionState = z.enum(['not-tested', 'testing', 'connected', 'failed']);
export type ConnectionState = z.infer<typeof ConnectionState>;

export const Severity = z.enum(['error', 'warning', 'info']);

/** One thing that a rule found in a configuration. `code` is stable. */
export const Finding = z.strictObject({
  code: z.string(),
  severity: Severity,
  environment: EnvironmentName.optional(),
  /** Field path below the data source, e.g. `environments.production.endpoint`. */
  path: z.string(),
  message: z.string(),
  remedy: z.string().optional(),
});
export type Finding = z.infer<typeof Finding>;

/** One question that a connectivity test asks. */
export const Check = z.strictObject({
  id: z.string(),
  title: z.string(),
  status: z.enum(['ok', 'warning', 'failed', 'skipped']),
  /** What was seen: our words and the service's codes, never a body or a credential. */
  evidence: z.string().optional(),
  /** Stable code of the named cause, when not ok. */
  causeCode: z.string().optional(),
  /** Likely causes, most likely first. */
  causes: z.array(z.string()).default([]),
  remedy: z.string().optional(),
  durationMs: z.number().nonnegative(),
});
export type Check = z.infer<typeof Check>;

/** `oss://bucket/path` taken apart; `prefix` has no leading slash and ends in `/`, or is empty for a bucket's root. */
export interface WarehouseLocation {
  bucket: string;
  prefix: string;
}

/** A complete, valid configuration as steps use it; the secret stays sealed in the store. */
export interface EnvironmentConfig {
  id: string;
  workspaceId: number;
  dataSourceId: string;
  dataSourceName: string;
  environment: EnvironmentName;
  /** Raised by every change of this environment's fields; a test's verdict belongs to one. */
  configVersion: number;
  accessMode: AccessMode;
  roleArn?: string;
  externalId: string;
  accessKeyId?: string;
  region: string;
  /** Host name, or URL where the operator's allow list permits one (local platform). */
  endpoint: string;
  warehouse: string;
  location: WarehouseLocation;
  scope: CollectionScope;
}
