import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { z } from 'zod';
import { AccessDenied, Conflict, FormatError, InvalidInput, NotFound, Unreachable, Unsupported } from '../../shared/errors.ts';

/** One field of a request that is not as it must be. `path` as in `environments.production.endpoint`. */
export interface FieldError {
  path: string;
  message: string;
  code?: string;
  remedy?: string;
}

/** Thrown where a request cannot be answered as asked; becomes a problem document (RFC 9457). `code` is stable. */
export class Problem extends Error {
  constructor(
    readonly status: 400 | 401 | 403 | 404 | 405 | 409 | 412 | 413 | 415 | 422 | 428 | 429 | 500 | 502 | 503,
    readonly code: string,
    readonly detail: string,
    readonly more: { errors?: FieldError[]; headers?: Record<string, string>; members?: Record<string, unknown> } = {},
  ) {
    super(detail);
  }
}

/** The one answer for what is not there and for what is not yours (T16). */
export function notFound(): Problem {
  return new Problem(404, 'not-found', 'There is no such thing here, or you may not see it.');
}

export function invalid(errors: FieldError[]): Problem {
  const named = errors.map((error) => (error.path === '' ? error.message : `${error.path}: ${error.message}`));
  return new Problem(400, 'invalid', named.slice(0, 3).join('; ') + (named.length > 3 ? ` (and ${named.length - 3} more)` : ''), {
    errors,
  });
}

/** Zod's findings as field errors; `where` is `body`, `query` or the like and stays out of the paths of a body. */
export function fieldErrors(error: z.ZodError, where: string): FieldError[] {
  return error.issues.flatMap((issue) => {
    const base = issue.path.map(String);
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => ({
        path: pathOf(where, [...base, key]),
        code: 'unknown',
        message: 'this name is not known here',
      }));
    return [{ path: pathOf(where, base), code: issue.code, message: issue.message }];
  });
}

function pathOf(where: string, path: string[]): string {
  return (where === 'json' ? path : [where === 'param' ? 'path' : where, ...path]).join('.');
}

const TITLES: Record<number, string> = {
  400: 'Bad request',
  401: 'Not signed in',
  403: 'Not allowed',
  404: 'Not found',
  409: 'Conflict',
  412: 'Precondition failed',
  413: 'Too large',
  415: 'Unsupported media type',
  422: 'Cannot be done',
  428: 'Precondition required',
  429: 'Too many requests',
  500: 'Internal error',
  502: 'Storage not reachable',
  503: 'Not available',
};

/** Any thrown thing as a problem document. What nobody foresaw answers 500 and says nothing but the request's id. */
export function problemAnswer(error: unknown, c: Context, requestId: string): Response {
  const problem = problemOf(error, requestId);
  return c.body(
    JSON.stringify({
      type: 'about:blank',
      title: TITLES[problem.status] ?? 'Error',
      status: problem.status,
      code: problem.code,
      detail: problem.detail,
      ...(problem.more.errors && { errors: problem.more.errors }),
      ...problem.more.members,
      requestId,
    }),
    problem.status,
    { 'content-type': 'application/problem+json', 'cache-control': 'no-store', ...problem.more.headers },
  );
}

/** What a thrown thing is answered with. */
export function problemOf(error: unknown, requestId: string): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof InvalidInput) return invalid(error.issues.map(({ path, issue }) => ({ path, message: issue })));
  if (error instanceof NotFound) return new Problem(404, 'not-found', error.message);
  if (error instanceof Conflict) return new Problem(409, 'conflict', error.message);
  if (error instanceof AccessDenied)
    return new Problem(422, 'access-denied', error.message, { members: { reason: error.reason } });
  if (error instanceof Unsupported || error instanceof FormatError) return new Problem(422, error.code, error.message);
  if (error instanceof Unreachable)
    return error.host === 'database'
      ? new Problem(503, 'unavailable', 'The database is not reachable. Try again.', { headers: { 'retry-after': '5' } })
      : new Problem(502, 'unreachable', error.message, { members: { reason: error.reason } });
  if (error instanceof HTTPException)
    return error.status === 415
      ? new Problem(415, 'unsupported-media-type', 'Send the body as application/json.')
      : new Problem(400, 'bad-request', error.message || 'The request cannot be read.');
  return new Problem(500, 'internal', `The request failed. The log has more under request ${requestId}.`);
}

/** A fault of ours or of the world, worth a line in the log. */
export function isUnforeseen(error: unknown): boolean {
  return problemOf(error, '').status === 500;
}
