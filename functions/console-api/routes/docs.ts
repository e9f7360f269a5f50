import { html, raw } from 'hono/html';
import { ACCESS } from '../access.ts';
import type { App } from '../app.ts';
import { docsPage, type OpenApiDocument, STYLE } from '../docs-page.ts';

const PAGE_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const HOUR = 'public, max-age=3600';

/** The description of the API as OpenAPI 3.1, as a page, and the plain page at the root. Nothing comes from another host. */
export function addDocs(app: App): void {
  let document: OpenApiDocument | undefined;
  const described = () => {
    document ??= describe(app);
    return document;
  };

  app.get('/api/v1/openapi.json', (c) => c.json(described()));
  app.get('/api/v1/docs.css', (c) => c.body(STYLE, 200, { 'content-type': 'text/css; charset=utf-8', 'cache-control': HOUR }));
  app.get('/api/v1/docs', (c) => c.html(docsPage(described()), 200, { 'content-security-policy': PAGE_POLICY }));
  app.get('/', (c) => c.html(rootPage(), 200, { 'content-security-policy': PAGE_POLICY }));
}

function describe(app: App): OpenApiDocument {
  const document = app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Paimon Data Map',
      version: '1',
      description:
        'Finds, watches and explains Apache Paimon tables of filesystem catalogs on object storage. Times are RFC 3339 in UTC, 64-bit integers are text, errors are problem documents (RFC 9457), lists have `items` and `nextCursor`.',
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    servers: [{ url: '/' }],
  }) as unknown as OpenApiDocument;
  for (const [path, operations] of Object.entries(document.paths))
    for (const [method, operation] of Object.entries(operations)) {
      const access = ACCESS[`${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`];
      operation.operationId ??= operationIdOf(method, path);
      operation['x-required-role'] =
        typeof access === 'object' ? `${access.everywhere} of every workspace` : (access ?? 'nobody');
    }
  return document;
}

/** `get /api/v1/workspaces/{workspace}/data-sources/{name}` → `getDataSourcesByName`. */
function operationIdOf(method: string, path: string): string {
  const words = path
    .replace(/^\/api\/v1\/workspaces(\/\{workspace\})?/, (_, one) => (one ? '' : '/workspaces'))
    .split(/[/-]/)
    .filter(Boolean)
    .map((part) => (part.startsWith('{') ? `By${capital(part.slice(1, -1))}` : capital(part)));
  return method + (words.join('') || 'Workspace');
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

function rootPage() {
  return html`${raw('<!doctype html>')}<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Paimon Data Map</title><link rel="stylesheet" href="/api/v1/docs.css"></head>
<body><main>
<h1>Paimon Data Map</h1>
<p>Finds, watches and explains Apache Paimon tables of filesystem catalogs on object storage: metadata only, nothing is ever written to a warehouse.</p>
<ul>
<li><a href="/api/v1/docs">The HTTP API</a>, and the same <a href="/api/v1/openapi.json">as OpenAPI 3.1</a></li>
<li><a href="/healthz">healthz</a> and <a href="/readyz">readyz</a>; <code>/metrics</code> needs a token</li>
<li>On the command line: <code>datamap --help</code></li>
</ul>
</main></body></html>`;
}
