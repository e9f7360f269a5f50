import { lookup as systemLookup } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import {
  classifyEndpoint,
  type EndpointForm,
  NOTHING_PERMITTED,
  type PermittedEndpoints,
} from '../data-source-rules/endpoint.ts';
import { BUCKET_NAME } from '../data-source-rules/warehouse.ts';
import { Unreachable } from '../errors.ts';
import { type AddressRealm, realmOf } from './addresses.ts';

/**
 * The one door through which an address that a person entered becomes a connection. A host is taken only in a form that
 * we know or that the operator permits; its name is resolved here, every address that comes back is checked, and the
 * connection goes to a checked one. Redirects and proxy variables are followed nowhere.
 */

/** A host that may be connected to. */
export interface OutboundTarget {
  /** What to hand to the OSS adapter: an origin. */
  origin: string;
  protocol: 'http:' | 'https:';
  /** The name that is resolved and connected to: the bucket's own host where there is one. */
  hostname: string;
  port: number;
  /** `/bucket/key` instead of `bucket.host/key`. */
  pathStyle: boolean;
  form: Exclude<EndpointForm['kind'], 'refused' | 'custom'>;
  /** Region that the endpoint itself names. */
  region?: string;
  realms: readonly AddressRealm[];
}

export interface RefusedTarget {
  code: string;
  message: string;
  remedy: string;
}

export type Resolve = (hostname: string) => Promise<string[]>;

/** No I/O. `bucket` becomes a label of the host name; leave it out for requests to the account. */
export function openDoor(
  endpoint: string,
  options: { bucket?: string; permitted?: PermittedEndpoints },
): OutboundTarget | RefusedTarget {
  const { bucket, permitted = NOTHING_PERMITTED } = options;
  if (bucket !== undefined && !BUCKET_NAME.test(bucket))
    return { code: 'bucket-form', message: 'the bucket name is not valid', remedy: 'Correct the bucket in the warehouse.' };
  const form = classifyEndpoint(endpoint, permitted);
  if (form.kind === 'refused') return { code: form.code, message: form.message, remedy: form.remedy };
  if (form.kind === 'custom')
    return {
      code: 'endpoint-not-permitted',
      message: 'the endpoint is not a host of Alibaba Cloud OSS and the operator does not permit it',
      remedy: 'Enter the OSS endpoint of the region, or ask the operator to add this host to DATAMAP_ALLOWED_ENDPOINTS.',
    };
  if (form.kind === 'permitted') return permittedTarget(form.origin);
  return {
    origin: `https://${form.host}`,
    protocol: 'https:',
    hostname: bucket === undefined ? form.host : `${bucket}.${form.host}`,
    port: 443,
    pathStyle: false,
    form: form.kind,
    ...('region' in form && { region: form.region }),
    realms: form.kind === 'internal' || form.kind === 'vpc' ? ['public', 'internal'] : ['public'],
  };
}

export function isRefused(target: OutboundTarget | RefusedTarget): target is RefusedTarget {
  return 'code' in target;
}

function permittedTarget(origin: string): OutboundTarget {
  const { protocol, hostname, port } = new URL(origin);
  const bare = hostname.replace(/^\[|\]$/g, '');
  const isLocal = bare === 'localhost' || realmOf(bare) === 'loopback';
  return {
    origin,
    protocol: protocol === 'http:' ? 'http:' : 'https:',
    hostname: bare,
    port: Number(port || (protocol === 'http:' ? 80 : 443)),
    // A name of the operator's own is bound to one bucket; an address cannot carry the bucket in front.
    pathStyle: isLocal || isIP(bare) !== 0,
    form: 'permitted',
    realms: isLocal ? ['loopback'] : ['public', 'private', 'internal'],
  };
}

/** The name leads to an address that this target may not have. */
export class ForbiddenAddress extends Error {
  override readonly name = 'ForbiddenAddress';
  constructor(
    readonly hostname: string,
    readonly realm: AddressRealm | 'special',
  ) {
    super(`${hostname} resolves to a ${realm} address, which is not allowed for it`);
  }
}

/**
 * Every address of the target, all checked: one that is not allowed refuses them all. Throws Unreachable (`dns`) when the
 * name has none, ForbiddenAddress otherwise.
 */
export async function resolveTarget(target: OutboundTarget, resolve: Resolve = resolveBySystem): Promise<string[]> {
  let addresses: string[];
  try {
    addresses = isIP(target.hostname) ? [target.hostname] : await resolve(target.hostname);
  } catch (cause) {
    throw new Unreachable(target.hostname, 'dns', { evidence: { status: 0, ...dnsCode(cause) } }, { cause });
  }
  if (addresses.length === 0) throw new Unreachable(target.hostname, 'dns');
  for (const address of addresses) {
    const realm = realmOf(address);
    if (realm === undefined || !target.realms.includes(realm)) throw new ForbiddenAddress(target.hostname, realm ?? 'special');
  }
  return addresses;
}

/** For `http.request`: whatever the name, the connection goes to these addresses, which were checked before. */
export function pinnedLookup(addresses: readonly string[]): LookupFunction {
  return (_hostname, options, callback) => answer(addresses, options.all === true, callback);
}

/** For `http.request`: resolves for each new connection, and checks what it is about to connect to. */
export function checkedLookup(target: OutboundTarget, resolve?: Resolve): LookupFunction {
  return (hostname, options, callback) => {
    // Another name than the target's is a mistake of the caller; nothing is resolved for it.
    if (hostname !== target.hostname) {
      process.nextTick(() => callback(new ForbiddenAddress(hostname, 'special'), '', 0));
      return;
    }
    resolveTarget(target, resolve).then(
      (addresses) => answer(addresses, options.all === true, callback),
      (error: Error) => callback(error, '', 0),
    );
  };
}

function answer(addresses: readonly string[], all: boolean, callback: Parameters<LookupFunction>[2]): void {
  const found = addresses.map((address) => ({ address, family: isIP(address) }));
  if (all) callback(null, found);
  else callback(null, found[0]!.address, found[0]!.family);
}

async function resolveBySystem(hostname: string): Promise<string[]> {
  return (await systemLookup(hostname, { all: true, verbatim: true })).map(({ address }) => address);
}

function dnsCode(cause: unknown): { code?: string } {
  const code = (cause as { code?: unknown }).code;
  return typeof code === 'string' && /^[A-Z_]+$/.test(code) ? { code } : {};
}
