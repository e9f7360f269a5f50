import { html, raw } from 'hono/html';

/** As much of an OpenAPI document as the page shows. */
export interface OpenApiDocument {
  info: { title: string; description?: string };
  paths: Record<string, Record<string, Operation>>;
  components?: { schemas?: Record<string, JsonSchema> };
}
interface Operation {
  operationId?: string;
  tags?: string[];
  summary?: string;
  description?: string;
  parameters?: { name: string; in: string; required?: boolean; description?: string; schema?: JsonSchema }[];
  requestBody?: { content?: Record<string, { schema?: JsonSchema }> };
  responses?: Record<string, { description?: string; content?: Record<string, { schema?: JsonSchema }> }>;
  'x-required-role'?: string;
}
interface JsonSchema {
  $ref?: string;
  type?: string | string[];
  format?: string;
  description?: string;
  enum?: unknown[];
  const?: unknown;
  items?: JsonSchema;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  allOf?: JsonSchema[];
  default?: unknown;
  minimum?: number;
  maximum?: number;
  maxLength?: number;
}

/** Below this a schema is named only: some refer to themselves, and nobody reads deeper. */
const MAX_DEPTH = 6;
type Html = ReturnType<typeof html>;

/** The API as a page of plain HTML: no script, so nothing of it can be made to run. */
export function docsPage(document: OpenApiDocument): Html {
  const byTag = new Map<string, { method: string; path: string; operation: Operation }[]>();
  for (const [path, operations] of Object.entries(document.paths))
    for (const [method, operation] of Object.entries(operations)) {
      const tag = operation.tags?.[0] ?? 'Other';
      byTag.set(tag, [...(byTag.get(tag) ?? []), { method, path, operation }]);
    }
  return html`${raw('<!doctype html>')}<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${document.info.title}: API</title><link rel="stylesheet" href="/api/v1/docs.css"></head>
<body><nav><b>${document.info.title}</b>${[...byTag.keys()].map((tag) => html`<a href="#${anchor(tag)}">${tag}</a>`)}<a href="/api/v1/openapi.json">openapi.json</a></nav>
<main><h1>${document.info.title}: API</h1><p>${document.info.description ?? ''}</p>
<p>Every call but this description needs <code>Authorization: Bearer dm_…</code>. For example:</p>
<pre>curl -H "Authorization: Bearer $DATAMAP_TOKEN" $DATAMAP_URL/api/v1/workspaces/default/tables</pre>
${[...byTag].map(
  ([tag, entries]) => html`<h2 id="${anchor(tag)}">${tag}</h2>${entries.map((entry) => operationHtml(entry, document))}`,
)}
</main></body></html>`;
}

function operationHtml(
  { method, path, operation }: { method: string; path: string; operation: Operation },
  document: OpenApiDocument,
): Html {
  const parameters = operation.parameters ?? [];
  const sent = schemaOf(operation.requestBody?.content);
  return html`<details class="operation"><summary><span class="method ${method}">${method.toUpperCase()}</span> <code>${path}</code> <span>${operation.summary ?? ''}</span></summary>
<p>${operation.description ?? ''}</p><p>Role: <b>${operation['x-required-role'] ?? ''}</b></p>
${
  parameters.length === 0
    ? ''
    : html`<table><thead><tr><th>Parameter</th><th>In</th><th>Form</th><th>Meaning</th></tr></thead><tbody>${parameters.map(
        (parameter) =>
          html`<tr><td><code>${parameter.name}</code>${parameter.required ? ' *' : ''}</td><td>${parameter.in}</td><td>${shortForm(parameter.schema ?? {})}</td><td>${parameter.description ?? parameter.schema?.description ?? ''}</td></tr>`,
      )}</tbody></table>`
}
${sent ? html`<h4>Body</h4>${schemaHtml(sent, document, 0)}` : ''}
${Object.entries(operation.responses ?? {}).map(([status, response]) => {
  const answered = status === 'default' ? undefined : schemaOf(response.content);
  return html`<h4>${status === 'default' ? 'Else' : status}: ${response.description ?? ''}</h4>${answered ? schemaHtml(answered, document, 0) : ''}`;
})}
</details>`;
}

function schemaOf(content: Record<string, { schema?: JsonSchema }> | undefined): JsonSchema | undefined {
  return Object.values(content ?? {})[0]?.schema;
}

function schemaHtml(given: JsonSchema, document: OpenApiDocument, depth: number): Html {
  const schema = resolved(given, document);
  if (depth > MAX_DEPTH) return html`<span>…</span>`;
  const item = schema.items && resolved(schema.items, document);
  if (item) return html`<span class="form">list of</span> ${schemaHtml(item, document, depth + 1)}`;
  const choice = (schema.anyOf ?? schema.oneOf)?.find((option) => resolved(option, document).properties);
  const properties = schema.properties ?? (choice && resolved(choice, document).properties);
  if (!properties) return html`<span class="form">${shortForm(schema)}</span>`;
  return html`<ul>${Object.entries(properties).map(([name, property]) => {
    const inner = resolved(property, document);
    return html`<li><code>${name}</code>${schema.required?.includes(name) ? ' *' : ''} ${schemaHtml(inner, document, depth + 1)} ${inner.properties ? '' : (inner.description ?? '')}</li>`;
  })}</ul>`;
}

function resolved(schema: JsonSchema, document: OpenApiDocument): JsonSchema {
  const name = schema.$ref?.replace('#/components/schemas/', '');
  return (name !== undefined && document.components?.schemas?.[name]) || schema;
}

function shortForm(schema: JsonSchema): string {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  const options = schema.anyOf ?? schema.oneOf;
  if (options) return options.map(shortForm).join(' | ');
  const type = Array.isArray(schema.type) ? schema.type.join(' | ') : (schema.type ?? 'any');
  const bounds = [
    schema.format,
    schema.minimum !== undefined && schema.minimum > Number.MIN_SAFE_INTEGER ? `≥ ${schema.minimum}` : undefined,
    schema.maximum !== undefined && schema.maximum < Number.MAX_SAFE_INTEGER ? `≤ ${schema.maximum}` : undefined,
    schema.maxLength !== undefined ? `≤ ${schema.maxLength} characters` : undefined,
    schema.default !== undefined ? `default ${JSON.stringify(schema.default)}` : undefined,
  ].filter(Boolean);
  return bounds.length === 0 ? type : `${type} (${bounds.join(', ')})`;
}

function anchor(tag: string): string {
  return tag.toLowerCase().replaceAll(' ', '-');
}

export const STYLE = `:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;margin:0;color:CanvasText;background:Canvas}
main{max-width:60rem;margin:0 auto;padding:1rem 1.5rem 4rem}
nav{position:sticky;top:0;display:flex;flex-wrap:wrap;gap:1rem;padding:.75rem 1.5rem;background:Canvas;border-bottom:1px solid GrayText}
h4{margin:1rem 0 .25rem}
code,pre{font:14px/1.5 ui-monospace,monospace}
pre{overflow:auto;padding:.75rem;border:1px solid GrayText;border-radius:6px}
.operation{border:1px solid GrayText;border-radius:6px;margin:.5rem 0;padding:.5rem .75rem}
summary{cursor:pointer}
.method{display:inline-block;min-width:4.5rem;font-weight:600}
.get{color:#0a7d33}.post,.put,.patch{color:#1a5fb4}.delete{color:#c01c28}
.form{opacity:.75}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0}
ul{margin:.25rem 0;padding-left:1.25rem}
`;
