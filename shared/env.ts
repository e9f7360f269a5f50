import type { z } from 'zod';
import { InvalidInput } from './errors.ts';

/** Reads and checks the environment once, at cold start. All missing or wrong names come in one InvalidInput. */
export function readEnv<T>(schema: z.ZodType<T>, env: NodeJS.ProcessEnv = process.env): T {
  const result = schema.safeParse(env);
  if (result.success) return result.data;
  throw new InvalidInput(
    result.error.issues.map((i) => ({ path: `environment variable ${i.path.join('.')}`, issue: i.message })),
  );
}
