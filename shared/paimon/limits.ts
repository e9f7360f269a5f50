/**
 * Hard limits of the reader. A warehouse is other people's data: every size, count and depth that it states is checked
 * against one of these before memory or time is spent on it. Real tables stay far below.
 */

/** Snapshot, schema, tag, consumer and hint files. A schema of 10,000 columns with comments is about 3 MB. */
export const MAX_JSON_BYTES = 64 * 1024 * 1024;

/** Hints hold one number; anything longer is not a hint. */
export const MAX_HINT_BYTES = 1024;

/** One manifest, manifest list or index manifest. Writers aim at 8 MB (`manifest.target-file-size`). */
export const MAX_MANIFEST_BYTES = 512 * 1024 * 1024;

/** One decompressed block. Avro writers use 64 kB, ORC 256 kB; one huge row (an embedded index) may need more. */
export const MAX_BLOCK_BYTES = 128 * 1024 * 1024;

/** Decompressed bytes per compressed byte of a whole file, once past the free allowance below. Manifests reach about 40. */
export const MAX_RATIO = 2_000;
export const RATIO_FREE_BYTES = 16 * 1024 * 1024;

/** Entries of one manifest. 8 MB hold about 60,000. */
export const MAX_ENTRIES = 20_000_000;

/** Items of one list inside a row: extra files, ranges of deletion vectors (one for every data file of a bucket). */
export const MAX_LIST_ITEMS = 1_000_000;

/** Manifests named by one snapshot's lists. */
export const MAX_MANIFESTS = 100_000;

/** Nesting of JSON, types and Avro schemas. */
export const MAX_DEPTH = 100;

/** Nodes of one Avro, ORC or Parquet file schema; Paimon's manifests have about 60. */
export const MAX_SCHEMA_NODES = 10_000;

/** Schemas, snapshots, tags, changelogs or consumers read of one table; the rest is counted and reported. */
export const MAX_FILES_OF_A_KIND = 100_000;

/** Branches of one table that are read as tables of their own. */
export const MAX_BRANCHES = 1_000;

/** Files looked at, from the newest on, for the newest readable schema or snapshot where no others are asked for. */
export const MAX_STEPS_BACK = 20;

/** Pages of one listing: ten million keys. */
export const MAX_PAGES = 10_000;

/** Folders listed, without `full`, to find partition paths that metadata does not tell. */
export const MAX_ZONE_LISTS = 20;

/** Columns of one schema. */
export const MAX_FIELDS = 100_000;

/** Fields of one binary row: partition columns, or columns with statistics. */
export const MAX_ROW_FIELDS = 100_000;

/** Problems kept for one table; the rest is counted. */
export const MAX_PROBLEMS = 200;

/** Reads of one table in flight at once. */
export const CONCURRENT_READS = 16;

/** Bytes of manifests of one table in flight at once. */
export const MANIFEST_BYTES_IN_FLIGHT = 32 * 1024 * 1024;
