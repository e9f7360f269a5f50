import { BlockList, isIP, isIPv4 } from 'node:net';

/** Which addresses a connection may go to. `internal`: Alibaba Cloud's own service network; `private`: the operator's. */
export type AddressRealm = 'public' | 'internal' | 'private' | 'loopback';

/** IPv4 that is no public unicast, from IANA's special-purpose registry (2025); 100.64.0.0/10 and RFC 1918 stand apart. */
const special4 = subnets('ipv4', [
  ['0.0.0.0', 8],
  ['169.254.0.0', 16],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.31.196.0', 24],
  ['192.52.193.0', 24],
  ['192.88.99.0', 24],
  ['192.175.48.0', 24],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
]);
const private4 = subnets('ipv4', [
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
]);
const service4 = subnets('ipv4', [['100.64.0.0', 10]]);
const loopback4 = subnets('ipv4', [['127.0.0.0', 8]]);
const global6 = subnets('ipv6', [['2000::', 3]]);
/** Parts of 2000::/3 that are documentation, tunnels or protocol assignments: they could lead to an IPv4 address of their choice. */
const special6 = subnets('ipv6', [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['2620:4f:8000::', 48],
  ['3fff::', 20],
  ['5f00::', 16],
]);
const private6 = subnets('ipv6', [['fc00::', 7]]);

/** Instance metadata of Alibaba Cloud: hands out the machine's role keys. In the middle of the service network. */
const METADATA = '100.100.100.200';

/** The realm an address lies in; undefined when nothing of ours may ever connect to it. */
export function realmOf(address: string): AddressRealm | undefined {
  if (isIPv4(address)) {
    if (address === METADATA) return undefined;
    if (loopback4.check(address, 'ipv4')) return 'loopback';
    if (special4.check(address, 'ipv4')) return undefined;
    if (service4.check(address, 'ipv4')) return 'internal';
    if (private4.check(address, 'ipv4')) return 'private';
    return 'public';
  }
  if (isIP(address) !== 6 || address.includes('%')) return undefined;
  if (address === '::1') return 'loopback';
  if (private6.check(address, 'ipv6')) return 'private';
  return global6.check(address, 'ipv6') && !special6.check(address, 'ipv6') ? 'public' : undefined;
}

function subnets(family: 'ipv4' | 'ipv6', nets: [string, number][]): BlockList {
  const list = new BlockList();
  for (const [net, bits] of nets) list.addSubnet(net, bits, family);
  return list;
}
