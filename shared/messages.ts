import { z } from 'zod';

/**
 * Every message between functions: who sends it, who receives it. The flow on one page.
 * The envelope is CloudEvents 1.0 as JSON, base64 on the wire. Delivery is at least once and unordered: each receiver
 * may run twice, also at the same moment. Messages name things by id; they never carry locations, roles or secrets.
 */

/** Bump when a message's meaning changes; receivers accept this version and the one before. */
export const MESSAGE_VERSION = 1;

/** Queue names; `s.yaml`, `deploy/` and the local platform create these, each with a `-dead` companion. */
export const QUEUES = {
  dataSourceSaved: 'datamap-data-source-saved',
  connectivityTest: 'datamap-connectivity-test',
  collection: 'datamap-collection',
  /** Tables named by an object event: somebody's commit waits to be seen. */
  tableEvents: 'datamap-table-events',
  /** First collections and sweeps. */
  tableBulk: 'datamap-table-bulk',
  /** Object events that OSS delivers straight to a queue. */
  objectEvents: 'datamap-object-events',
} as const;
export type QueueName = (typeof QUEUES)[keyof typeof QUEUES];

export function deadLetterQueueOf(queueName: string): string {
  return `${queueName}-dead`;
}

export const EnvironmentName = z.enum(['development', 'production']);
export type EnvironmentName = z.infer<typeof EnvironmentName>;

const Id = z.uuid();
const WorkspaceId = z.int().positive();

/** `console-api` → `validate-config`, after a data source was created or changed. `version` is the data source's. */
export const DataSourceSaved = z.strictObject({
  type: z.literal('data-source.saved'),
  data: z.strictObject({ workspaceId: WorkspaceId, dataSourceId: Id, version: z.int().positive() }),
});
export type DataSourceSaved = z.infer<typeof DataSourceSaved>;

/** `validate-config`, `console-api` (re-test) or `schedule-collection` → `test-connectivity`. */
export const ConnectivityTestRequested = z.strictObject({
  type: z.literal('connectivity-test.requested'),
  data: z.strictObject({ workspaceId: WorkspaceId, environmentId: Id, testId: Id }),
});
export type ConnectivityTestRequested = z.infer<typeof ConnectivityTestRequested>;

/** `test-connectivity` (gate opened), `schedule-collection` (due) or `console-api` (a person) → `plan-collection`. */
export const CollectionRequested = z.strictObject({
  type: z.literal('collection.requested'),
  data: z.strictObject({
    workspaceId: WorkspaceId,
    environmentId: Id,
    runId: Id,
    /** Last database and table already handed out, when a large plan is continued. */
    continueAfter: z.strictObject({ database: z.string(), table: z.string() }).optional(),
  }),
});
export type CollectionRequested = z.infer<typeof CollectionRequested>;

/** `plan-collection` (a batch, with its run) or `watch-objects` (one table, no run) → `collect-tables`. */
export const TableCollectionRequested = z.strictObject({
  type: z.literal('table-collection.requested'),
  data: z.strictObject({
    workspaceId: WorkspaceId,
    environmentId: Id,
    runId: Id.optional(),
    tables: z
      .array(z.strictObject({ database: z.string().min(1), table: z.string().min(1) }))
      .min(1)
      .max(500),
    /** When the object event happened, by the storage service's clock. */
    eventAt: z.iso.datetime().optional(),
  }),
});
export type TableCollectionRequested = z.infer<typeof TableCollectionRequested>;

export const AnyMessage = z.discriminatedUnion('type', [
  DataSourceSaved,
  ConnectivityTestRequested,
  CollectionRequested,
  TableCollectionRequested,
]);
/** A message before it is wrapped; `shared/queue/envelope.ts` adds id, source, time and version. */
export type Message = z.infer<typeof AnyMessage>;
