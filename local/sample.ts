import { cpSync, existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { SAMPLE_BUCKET } from './served-buckets.ts';

export const SAMPLE_WORKSPACE = 'sandbox';

/** The folder that is served as bucket `sample`: a copy, so that programs may write there without changing the checkout. */
export function sampleFolder(root: string, dir: string): string {
  const folder = join(dir, 'sample');
  if (!existsSync(folder)) {
    const unfinished = `${folder}.unfinished`;
    rmSync(unfinished, { recursive: true, force: true });
    cpSync(join(root, 'sample'), unfinished, { recursive: true });
    renameSync(unfinished, folder);
  }
  return folder;
}

/** Saves data source `sample` as a person would, over the API; testing and collecting follow by themselves. */
export async function saveSample(options: { api: string; apiToken: string; roleArn: string; region: string; endpoint: string }) {
  const response = await fetch(`${options.api}/workspaces/${SAMPLE_WORKSPACE}/data-sources`, {
    method: 'POST',
    headers: { authorization: `Bearer ${options.apiToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      name: 'sample',
      catalog: 'sample',
      description: 'Tables of five generations of Paimon writers, served by this platform. Remove it whenever you like.',
      environments: {
        production: {
          accessMode: 'ramRole',
          roleArn: options.roleArn,
          region: options.region,
          endpoint: options.endpoint,
          warehouse: `oss://${SAMPLE_BUCKET}/warehouse`,
        },
      },
    }),
    signal: AbortSignal.timeout(20_000),
  });
  // 409: there already is one of this name.
  if (!response.ok && response.status !== 409)
    throw new Error(`the sample data source was not saved: HTTP ${response.status} ${(await response.text()).slice(0, 500)}`);
}
