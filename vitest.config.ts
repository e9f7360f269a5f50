import { readFileSync } from 'node:fs';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  plugins: [
    {
      // As esbuild does in the bundles: a migration is imported as its text.
      name: 'sql-as-text',
      enforce: 'pre',
      load: (id) => (id.endsWith('.sql') ? `export default ${JSON.stringify(readFileSync(id, 'utf8'))}` : null),
    },
  ],
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/postgres-server.ts'],
    testTimeout: 60_000,
    // Polls wait for processes that start on a busy machine.
    expect: { poll: { timeout: 20_000, interval: 20 } },
    // A first run builds MinIO from source, which takes minutes.
    hookTimeout: 900_000,
    pool: 'forks',
    maxWorkers: 2,
  },
});
