import type { MiddlewareHandler } from 'hono';
import type { ConsoleApi } from './app.ts';
import { type FieldError, invalid, Problem } from './problem.ts';

export const MAX_BODY_BYTES = 1024 * 1024;
export const MAX_BODY_DEPTH = 32;
const MAX_TEXT_BYTES = 64 * 1024;
const MAX_ITEMS = 10_000;

/** Bounds a JSON body before anything parses it: deep nesting is cheap to send and overflows whoever walks it (T10). */
export const boundedBody: MiddlewareHandler<ConsoleApi> = async (c, next) => {
  if (c.req.method !== 'GET' && c.req.method !== 'HEAD') {
    const declared = Number(c.req.header('content-length') ?? 0);
    if (declared > MAX_BODY_BYTES) throw tooLarge();
    const text = await c.req.text();
    if (Buffer.byteLength(text) > MAX_BODY_BYTES) throw tooLarge();
    if (text !== '') {
      if (!/^application\/json\b/i.test(c.req.header('content-type') ?? ''))
        throw new Problem(415, 'unsupported-media-type', 'Send the body as application/json.');
      if (depthOf(text) > MAX_BODY_DEPTH)
        throw invalid([{ path: '', code: 'too-deep', message: `the body nests deeper than ${MAX_BODY_DEPTH}` }]);
      let body: unknown;
      try {
        body = JSON.parse(text);
      } catch (error) {
        // The parser quotes what it met, and that may be a secret: only the place is said.
        const place = /position (\d+)/.exec(error instanceof Error ? error.message : '')?.[1];
        throw invalid([
          { path: '', code: 'not-json', message: `the body is not JSON${place ? ` (at character ${place})` : ''}` },
        ]);
      }
      const errors = [...oversized(body, '')];
      if (errors.length > 0) throw invalid(errors);
    }
  }
  await next();
};

/** The deepest nesting of brackets outside of strings; stops counting past the bound. */
function depthOf(json: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let i = 0; i < json.length && deepest <= MAX_BODY_DEPTH; i++) {
    const char = json[i];
    if (inString) {
      if (char === '\\') i++;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === '{' || char === '[') deepest = Math.max(deepest, ++depth);
    else if (char === '}' || char === ']') depth--;
  }
  return deepest;
}

/** Texts and lists beyond their limits; the depth is bounded already. */
function* oversized(value: unknown, path: string): Generator<FieldError> {
  if (typeof value === 'string' && Buffer.byteLength(value) > MAX_TEXT_BYTES)
    yield { path, code: 'too-long', message: `is longer than ${MAX_TEXT_BYTES} bytes` };
  if (Array.isArray(value) && value.length > MAX_ITEMS)
    yield { path, code: 'too-many', message: `has more than ${MAX_ITEMS} items` };
  else if (typeof value === 'object' && value !== null)
    for (const [name, item] of Object.entries(value)) yield* oversized(item, path === '' ? name : `${path}.${name}`);
}

function tooLarge(): Problem {
  return new Problem(413, 'too-large', `The body is larger than ${MAX_BODY_BYTES} bytes.`);
}
