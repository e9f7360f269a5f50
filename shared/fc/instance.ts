import type { z } from 'zod';
import { Secret } from '../credentials/secret.ts';
import { readEnv } from '../env.ts';
import { type Database, openDatabase } from '../store/database.ts';

/** Reads the environment at the first call, not at import; a failure is not remembered, so that a repaired one is seen. */
export function lazyEnv<Env>(schema: z.ZodType<Env>): () => Env {
  let value: { env: Env } | undefined;
  return () => {
    value ??= { env: readEnv(schema) };
    return value.env;
  };
}

const databases = new Map<string, Database>();

/**
 * The pool of this function instance: made at the first call, shared by all invocations that follow. Never close it;
 * it lets go of idle connections by itself and does not keep a process alive.
 */
export function instanceDatabase(url: Secret | string): Database {
  const secret = typeof url === 'string' ? new Secret(url) : url;
  let database = databases.get(secret.reveal());
  if (!database) {
    database = openDatabase(secret);
    databases.set(secret.reveal(), database);
  }
  return database;
}
