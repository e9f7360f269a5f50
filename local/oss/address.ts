import { decode } from '../signatures/encoding.ts';

/** A request's storage bucket and key, and the resource path that its signature is over. */
export interface Address {
  bucket: string;
  key: string;
  resource: string;
}

/** `bucket.oss-cn-hangzhou.aliyuncs.com`, `bucket.oss-cn-hangzhou-internal.aliyuncs.com`, `bucket.localhost`. */
const VIRTUAL_HOST =
  /^([a-z0-9][a-z0-9-]{1,61}[a-z0-9]|undefined)\.(?:oss-([a-z0-9-]+?)(?:-internal)?\.aliyuncs\.com|localhost)$/;
const SERVICE_HOST = /^oss-([a-z0-9-]+?)(?:-internal)?\.aliyuncs\.com$/;

export function hostName(host: string): string {
  return host.replace(/:\d+$/, '').toLowerCase();
}

/** Guards against pages in a browser that reach this port under a name of their own. */
export function isAllowedHost(host: string, more: readonly string[]): boolean {
  const name = hostName(host);
  return (
    ['127.0.0.1', 'localhost', '[::1]', ...more].includes(name) ||
    name.endsWith('.localhost') ||
    VIRTUAL_HOST.test(name) ||
    SERVICE_HOST.test(name)
  );
}

/** The region that a request's host name says, if it says one. */
export function regionOfHost(host: string): string | undefined {
  const name = hostName(host);
  return VIRTUAL_HOST.exec(name)?.[2] ?? SERVICE_HOST.exec(name)?.[1];
}

/**
 * What the request may mean, most likely first: clients force a bucket's host name upon IP endpoints and then put the
 * bucket into the path as well, or not. The signature tells which one was meant.
 */
export function possibleAddresses(host: string, rawPath: string): Address[] {
  const inHost = VIRTUAL_HOST.exec(hostName(host))?.[1];
  const path = rawPath.replace(/^\//, '');
  const at = path.indexOf('/');
  const first = decode(at < 0 ? path : path.slice(0, at));
  const rest = at < 0 ? '' : decode(path.slice(at + 1));
  const byPath: Address =
    first === '' ? { bucket: '', key: '', resource: '/' } : { bucket: first, key: rest, resource: `/${first}/${rest}` };
  // ali-oss without a bucket asks `undefined.oss-…`.
  if (inHost === undefined || inHost === 'undefined') return [byPath];
  const key = decode(path);
  const byHost: Address = { bucket: inHost, key, resource: `/${inHost}/${key}` };
  return first === inHost ? [byHost, byPath] : [byHost];
}
