import { z } from '@hono/zod-openapi';
import { EnvironmentName } from '../../shared/messages.ts';

/** Shapes that several routes share. */

export const Time = z.string().openapi({ format: 'date-time', example: '2026-11-23T09:30:00.000Z' });
export const NullableTime = z.string().nullable().openapi({ format: 'date-time' });
/** 64-bit integers exceed what JSON numbers hold. */
export const Int64 = z.string().openapi({ format: 'int64', pattern: '^-?[0-9]+$', example: '9223372036854775807' });
export const NullableInt64 = z.string().nullable().openapi({ format: 'int64', pattern: '^-?[0-9]+$' });

export const ProblemDocument = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.string().describe('Stable name of the problem'),
    detail: z.string(),
    errors: z
      .array(z.object({ path: z.string(), message: z.string(), code: z.string().optional(), remedy: z.string().optional() }))
      .optional()
      .describe('The fields of the request that are not as they must be'),
    requestId: z.string(),
  })
  .openapi('Problem');

export const WorkspaceParams = z.object({
  workspace: z.string().openapi({ param: { in: 'path', name: 'workspace' }, example: 'default' }),
});
export const SourceParams = WorkspaceParams.extend({
  name: z
    .string()
    .openapi({ param: { in: 'path', name: 'name' }, description: 'Name of the data source', example: 'paimon_finance' }),
});
export const EnvironmentParams = SourceParams.extend({ environment: EnvironmentName });
export const IdParams = WorkspaceParams.extend({ id: z.uuid() });

/** The answers of a route: its own, and problem documents for the rest. */
export function answers<S extends z.ZodType>(schema: S, description: string) {
  return { 200: { description, content: { 'application/json': { schema } } }, ...problems };
}
export function created<S extends z.ZodType>(schema: S, description: string) {
  return { 201: { description, content: { 'application/json': { schema } } }, ...problems };
}
export function accepted<S extends z.ZodType>(schema: S, description: string) {
  return { 202: { description, content: { 'application/json': { schema } } }, ...problems };
}

export const problems = {
  default: { description: 'A problem document', content: { 'application/problem+json': { schema: ProblemDocument } } },
} as const;

export function listOf<S extends z.ZodType>(item: S) {
  return z.object({
    items: z.array(item),
    nextCursor: z.string().nullable().describe('`cursor` of the next page; null: this is the last one'),
  });
}

export function body<S extends z.ZodType>(schema: S, description = '') {
  return { description, required: true, content: { 'application/json': { schema } } };
}

export const token = [{ token: [] }];

export function iso(time: Date): string {
  return time.toISOString();
}
export function isoOrNull(time: Date | null): string | null {
  return time === null ? null : time.toISOString();
}
