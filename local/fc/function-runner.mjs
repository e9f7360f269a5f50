// One instance of a function: loads its bundle and answers one invocation at a time over the process channel.
// Started by instance.ts with the function's own environment; plain JavaScript, so that it runs without a build.
import { pathToFileURL } from 'node:url';

/** @typedef {{ kind: 'invoke', event: Uint8Array, context: Record<string, unknown> }} Invoke */

// The platform may be killed at any moment; nothing may go on without it.
process.on('disconnect', () => process.exit(0));
// A terminal sends these to every process of its group; only the platform decides when an instance ends.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});

const [file, exportName] = process.argv.slice(2);
/** @type {unknown} */
let handler;
/** @type {unknown} */
let loadError;
try {
  const module = await import(pathToFileURL(/** @type {string} */ (file)).href);
  handler = module[exportName ?? 'handler'] ?? module.default?.[exportName ?? 'handler'];
  if (typeof handler !== 'function') throw new TypeError(`${file} exports no function '${exportName}'`);
} catch (error) {
  loadError = error;
}

process.on('message', async (/** @type {Invoke} */ message) => {
  if (message.kind !== 'invoke') return;
  const startedAt = performance.now();
  try {
    if (loadError) throw loadError;
    const result = await call(Buffer.from(message.event), withLogger(message.context));
    finish({ kind: 'result', body: toBytes(result), isJson: !isRaw(result), startedAt });
  } catch (error) {
    finish({ kind: 'failure', handled: error instanceof Handled, error: describe(error), startedAt });
  }
});
process.send?.({ kind: 'ready' });

class Handled extends Error {
  /** @param {unknown} reason */
  constructor(reason) {
    super('callback received an error', { cause: reason });
  }
}

/** A handler of three parameters answers through its callback; an error given to that is a handled one. */
function call(event, context) {
  const run = /** @type {Function} */ (handler);
  if (run.length < 3) return run(event, context);
  return new Promise((resolve, reject) => {
    Promise.resolve(run(event, context, (error, value) => (error ? reject(new Handled(error)) : resolve(value)))).catch(reject);
  });
}

function withLogger(context) {
  const line = (level) => (text) => process.stdout.write(`${new Date().toISOString()} ${context.requestId} [${level}] ${text}\n`);
  const logger = { debug: line('verbose'), info: line('info'), warn: line('warn'), error: line('error'), log: line('info') };
  return { ...context, logger };
}

function isRaw(value) {
  return typeof value === 'string' || value instanceof Uint8Array;
}

function toBytes(value) {
  return isRaw(value) ? Buffer.from(value) : Buffer.from(JSON.stringify(value ?? null));
}

function describe(error) {
  const cause = error instanceof Handled ? error.cause : error;
  if (!(cause instanceof Error)) return { errorMessage: String(cause), errorType: typeof cause };
  return {
    errorMessage: cause.message,
    errorType: cause.name,
    stackTrace: (cause.stack ?? '')
      .split('\n')
      .slice(1, 20)
      .map((l) => l.trim()),
  };
}

function finish({ startedAt, ...message }) {
  const memoryMb = process.memoryUsage().rss / 1_048_576;
  process.send?.({ ...message, durationMs: performance.now() - startedAt, memoryMb });
}
