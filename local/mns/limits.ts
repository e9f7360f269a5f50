/** The service's limits and defaults, each attribute with its range. Source: SMQ documentation, "Queue API" and "Limits". */
export const QUEUE_NAME = /^[A-Za-z0-9][A-Za-z0-9-]{0,119}$/;

export const DELAY_SECONDS = { default: 0, min: 0, max: 604_800 };
export const MAXIMUM_MESSAGE_SIZE = { default: 65_536, min: 1_024, max: 65_536 };
export const MESSAGE_RETENTION_PERIOD = { default: 345_600, min: 60, max: 604_800 };
export const VISIBILITY_TIMEOUT = { default: 30, min: 1, max: 43_200 };
export const POLLING_WAIT_SECONDS = { default: 0, min: 0, max: 30 };
export const MAX_RECEIVE_COUNT = { default: 16, min: 1, max: 65_535 };
export const PRIORITY = { default: 8, min: 1, max: 16 };

export const BATCH_MESSAGES = 16;
export const BATCH_BYTES = 65_536;
/** A batch of bodies at their limit with every character escaped stays below this. */
export const REQUEST_BYTES = 1_048_576;
export const LIST_QUEUES = { default: 1_000, min: 1, max: 1_000 };

/** A request whose date is further away is refused. */
export const CLOCK_SKEW_MS = 15 * 60_000;
