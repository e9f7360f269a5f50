/**
 * What the package offers as `paimon-datamap/paimon`: the reader alone, without a server. Names here are promises to users; all
 * else of the reader may change at any time.
 */

export { AccessDenied, NotFound, Unreachable } from './errors.ts';
export { openDirectoryStore } from './object-store/directory.ts';
export type {
  ListPage,
  ListRequest,
  ObjectInfo,
  ObjectStore,
  ReadOptions,
  StoredObject,
} from './object-store/object-store.ts';
export { metered, newMeter, type RequestMeter } from './object-store/request-meter.ts';
export { type FileDetails, type FileGroup, readFileDetails } from './paimon/file-details.ts';
export { type SchemaChange, type SchemaStep, schemaChanges, schemaTimeline } from './paimon/schema-changes.ts';
export {
  type Problem,
  probeTable,
  type ReadTableOptions,
  readBranch,
  readTable,
  type TableLocation,
  type TableMetadata,
  type TableProbe,
  type TableStatus,
  type TableView,
} from './paimon/table.ts';
export { type PlainJson, type PlainObject, toDocument } from './paimon/table-document.ts';
export { CompleteListing, listDatabases, listTables, listTablesWithTokens } from './paimon/warehouse.ts';
