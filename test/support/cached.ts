import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDir } from '../../local/minio.ts';

/**
 * A folder of the machine's cache, filled once for each `identity`. Filled apart and then renamed: two test processes at once
 * never see half of it. What `make` puts there must
 * not depend on the folder's path.
 */
export async function cached(name: string, identity: string, make: (folder: string) => Promise<void>): Promise<string> {
  const target = join(cacheDir(), `${name}-${createHash('sha256').update(identity).digest('hex').slice(0, 16)}`);
  if (existsSync(target)) return target;
  await mkdir(cacheDir(), { recursive: true });
  const folder = await mkdtemp(join(cacheDir(), `making-${name}-`));
  try {
    await make(folder);
    await rename(folder, target).catch((error: NodeJS.ErrnoException) => {
      // Somebody else was first.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return target;
}
