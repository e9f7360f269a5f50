import { REGIONS } from './regions.ts';

/**
 * What an endpoint text is, from its spelling alone. Nothing here resolves or repairs: a text that is not byte for byte
 * (but for case) a form that we know never becomes a host to connect to.
 */
export type EndpointForm =
  | { kind: 'public' | 'internal' | 'vpc' | 'dual-stack'; host: string; region: string }
  | { kind: 'accelerate'; host: string }
  /** On the operator's list: `origin` is what to connect to. */
  | { kind: 'permitted'; host: string; origin: string }
  /** A name outside Alibaba Cloud: perhaps the owner's domain that is bound to the bucket. */
  | { kind: 'custom'; host: string }
  | { kind: 'refused'; code: RefusedEndpoint; message: string; remedy: string };

export type RefusedEndpoint =
  | 'endpoint-form'
  | 'endpoint-address'
  | 'endpoint-oss-hdfs'
  | 'endpoint-s3'
  | 'endpoint-with-bucket'
  | 'endpoint-region-unknown'
  | 'endpoint-not-oss';

/** What the operator permits beyond Alibaba Cloud's own hosts. Only this opens http, ports, addresses and other names. */
export interface PermittedEndpoints {
  /** Lower-case text as people may enter it → origin to connect to. */
  readonly byText: ReadonlyMap<string, string>;
}

const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const HOST_NAME = new RegExp(`^${LABEL}(?:\\.${LABEL})+$`);

/**
 * Reads the operator's list (`DATAMAP_ALLOWED_ENDPOINTS`): host names or origins with commas, such as
 * `http://127.0.0.1:7072, oss.example.com`. Throws RangeError naming the entry that is neither.
 */
export function permittedEndpoints(text: string | undefined): PermittedEndpoints {
  const byText = new Map<string, string>();
  for (const entry of (text ?? '').split(',')) {
    const given = entry.trim().toLowerCase();
    if (given === '') continue;
    const withScheme = /^https?:\/\//.test(given) ? given : `https://${given}`;
    if (!URL.canParse(withScheme)) throw new RangeError(`'${given}' is not a host name or an origin`);
    const { origin, host, pathname, search, hash, username, password } = new URL(withScheme);
    if (pathname !== '/' || search || hash || username || password)
      throw new RangeError(`'${given}' must be a host name or an origin, without path or user`);
    byText.set(origin, origin);
    // With its port a name can be entered without the scheme: the list says which scheme belongs to it.
    byText.set(host, origin);
  }
  return { byText };
}

export const NOTHING_PERMITTED: PermittedEndpoints = { byText: new Map() };

export function classifyEndpoint(text: string, permitted: PermittedEndpoints = NOTHING_PERMITTED): EndpointForm {
  const given = text.toLowerCase();
  const origin = permitted.byText.get(given.replace(/\/$/, ''));
  if (origin !== undefined) return { kind: 'permitted', host: new URL(origin).host, origin };
  if (!HOST_NAME.test(given) || given.length > 253) return refuseForm(text);
  if (/^[\d.]+$/.test(given) || /\.(?:0x[\da-f]*|\d+)$/.test(given))
    return refuse('endpoint-address', 'the endpoint is an address', 'Enter the host name of the OSS endpoint.');
  if (!/(?:^|\.)(?:aliyuncs\.com|aliyun-inc\.com|aliyun\.com)$/.test(given)) return { kind: 'custom', host: given };
  return classifyAlibabaHost(given);
}

function classifyAlibabaHost(host: string): EndpointForm {
  if (host.includes('oss-dls'))
    return refuse(
      'endpoint-oss-hdfs',
      'this is an OSS-HDFS (JindoFS) endpoint: such warehouses hold blocks, not files, and cannot be read',
      'Use a warehouse on plain OSS.',
    );
  if (host === 'oss-accelerate.aliyuncs.com' || host === 'oss-accelerate-overseas.aliyuncs.com')
    return { kind: 'accelerate', host };
  const s3 = /^(?:[a-z0-9-]+\.)?s3\.(oss-[a-z0-9-]+\.aliyuncs\.com)$/.exec(host);
  if (s3)
    return refuse('endpoint-s3', 'this is the S3-compatible endpoint, which does not speak the OSS protocol', `Enter ${s3[1]}.`);
  const forms: [RegExp, 'public' | 'internal' | 'vpc' | 'dual-stack'][] = [
    [/^oss-([a-z0-9-]+)-internal\.aliyuncs\.com$/, 'internal'],
    [/^vpc100-oss-([a-z0-9-]+)\.aliyuncs\.com$/, 'vpc'],
    [/^oss-([a-z0-9-]+)\.aliyuncs\.com$/, 'public'],
    [/^([a-z0-9-]+)\.oss\.aliyuncs\.com$/, 'dual-stack'],
  ];
  for (const [form, kind] of forms) {
    const region = form.exec(host)?.[1];
    if (region === undefined) continue;
    if (REGIONS.has(region)) return { kind, host, region };
    return refuse(
      'endpoint-region-unknown',
      `'${region}' is not a region that this version knows`,
      'Correct the region in the endpoint, for example oss-cn-hangzhou-internal.aliyuncs.com.',
    );
  }
  const withBucket = /^[a-z0-9-]+\.((?:oss-|vpc100-oss-)[a-z0-9-]+\.aliyuncs\.com)$/.exec(host);
  if (withBucket)
    return refuse(
      'endpoint-with-bucket',
      'the endpoint starts with a bucket',
      `Enter ${withBucket[1]}; the bucket stands in the warehouse.`,
    );
  return refuse('endpoint-not-oss', 'this host of Alibaba Cloud is not an OSS endpoint', 'Enter the OSS endpoint of the region.');
}

/** Says what about the spelling is wrong, without repeating foreign text. */
function refuseForm(text: string): EndpointForm {
  const remedy = 'Enter the host name alone, for example oss-cn-hangzhou-internal.aliyuncs.com.';
  const form = (message: string) => refuse('endpoint-form', message, remedy);
  if (text.trim() === '') return form('the endpoint is empty');
  if (text !== text.trim()) return form('there are blanks around the endpoint');
  if (/^https?:\/\//i.test(text)) return form('only the host name is entered, without http:// or https://');
  if (text.includes('@')) return form('an endpoint has no user name');
  if (/^\[?[\da-f:.%]*:[\da-f:.%]*\]?$/i.test(text) || /^[\d.]+$/.test(text))
    return refuse('endpoint-address', 'the endpoint is an address', 'Enter the host name of the OSS endpoint.');
  if (/[/\\?#]/.test(text)) return form('an endpoint has no path');
  if (/:\d*$/.test(text)) return form('an endpoint has no port');
  if (text.endsWith('.')) return form('the endpoint ends in a dot');
  if (!text.includes('.')) return form('the endpoint is not a complete host name');
  return form('the endpoint holds characters that no host name has');
}

function refuse(code: RefusedEndpoint, message: string, remedy: string): EndpointForm {
  return { kind: 'refused', code, message, remedy };
}
