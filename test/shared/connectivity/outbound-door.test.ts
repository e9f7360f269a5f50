import dns from 'node:dns';
import dnsPromises from 'node:dns/promises';
import net from 'node:net';
import tls from 'node:tls';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { realmOf } from '../../../shared/connectivity/addresses.ts';
import {
  checkedLookup,
  ForbiddenAddress,
  isRefused,
  type OutboundTarget,
  openDoor,
  pinnedLookup,
  resolveTarget,
} from '../../../shared/connectivity/outbound-door.ts';
import { listAccountBuckets, openBrowseStore } from '../../../shared/credentials/environment-store.ts';
import { Secret } from '../../../shared/credentials/secret.ts';
import { permittedEndpoints } from '../../../shared/data-source-rules/endpoint.ts';
import { InvalidInput } from '../../../shared/errors.ts';

const PERMITTED = permittedEndpoints('http://127.0.0.1:7072, https://oss.example.com');

/** Ways to write a loopback, private, metadata or foreign host that some parser somewhere takes for it. */
const hosts = [
  '127.0.0.1',
  '127.1',
  '127.0.1',
  '0',
  '0.0.0.0',
  '00.0.0.0',
  '2130706433',
  '0x7f000001',
  '0x7f.1',
  '0x7f.0x0.0x0.0x1',
  '017700000001',
  '0177.0.0.1',
  '0177.1',
  '127.0.0.1.',
  '127.000.000.001',
  '①②⑦.⓪.⓪.①',
  '１２７.０.０.１',
  '127。0。0。1',
  '127．0．0．1',
  '127｡0｡0｡1',
  '[::1]',
  '::1',
  '[::]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '::ffff:127.0.0.1',
  '[0:0:0:0:0:ffff:127.0.0.1]',
  '[::127.0.0.1]',
  '[64:ff9b::7f00:1]',
  '[2002:7f00:1::]',
  '[fe80::1%25eth0]',
  '[fd00::1]',
  'localhost',
  'LOCALHOST',
  'localhost.',
  'localhost.localdomain',
  'ip6-localhost',
  'lake.localhost',
  '169.254.169.254',
  '169.254.43518',
  '0xa9fea9fe',
  '2852039166',
  '100.100.100.200',
  '0x646464c8',
  '1684300744',
  '100.100.25800',
  '10.0.0.1',
  '10.1',
  '172.16.0.1',
  '192.168.1.1',
  '192.168.257',
  '8.8.8.8',
  'metadata',
  'metadata.google.internal',
  'metadata.tencentyun.com',
  'kubernetes.default.svc',
  'example.com',
  'aliyuncs.com',
  'oss.aliyuncs.com.evil.com',
  'oss-cn-hangzhou.aliyuncs.com.evil.com',
  'evil-oss-cn-hangzhou.aliyuncs.com.evil.com',
  'oss-cn-hangzhou.aliyuncs.com.127.0.0.1.nip.io',
  'oss-cn-hangzhou-aliyuncs.com',
  'oss-cn-hangzhou.aliyuncs.co',
  'oss-cn-hangzhou.aliyuncs.comm',
  'oss-cn-hangzhoualiyuncs.com',
  'xoss-cn-hangzhou.aliyuncs.com',
  'oss-cn-nowhere.aliyuncs.com',
  'oss-cn-hangzhou-internal-internal.aliyuncs.com',
  'oss--internal.aliyuncs.com',
  'oss-.aliyuncs.com',
  'ecs.aliyuncs.com',
  'sts.cn-hangzhou.aliyuncs.com',
  '100-100-100-200.aliyuncs.com',
  'cn-hangzhou.oss-dls.aliyuncs.com',
  'oss-cn-hangzhou.oss-dls.aliyuncs.com',
  's3.oss-cn-hangzhou.aliyuncs.com',
  'lake.oss-cn-hangzhou.aliyuncs.com',
  'a.b.oss-cn-hangzhou.aliyuncs.com',
  'oss-cn-hangzhou。aliyuncs。com',
  'oss-cn-hangzhou.aliyuncs.com。',
  'оss-cn-hangzhou.aliyuncs.com',
  'oss-сn-hangzhou.aliyuncs.com',
  'xn--ss-kmc-cn-hangzhou.aliyuncs.com',
  'oss-cn-hangzhou.аliyuncs.com',
  'oss-cn-hangzhou.xn--liyuncs-8mg.com',
  'oss‐cn-hangzhou.aliyuncs.com',
  'oss-cn-hangzhou\u200b.aliyuncs.com',
  'ＯＳＳ-cn-hangzhou.aliyuncs.com',
  'oss-cn-hangzhou.aliyuncs.com\u0000',
  'oss-cn-hangzhou.aliyuncs.com\u0000.evil.com',
  'oss-cn-hangzhou.aliyuncs.com\r\nHost: evil.com',
  'oss-cn-hangzhou.aliyuncs.com\n',
  '\toss-cn-hangzhou.aliyuncs.com',
  ' oss-cn-hangzhou.aliyuncs.com',
  'oss-cn-hangzhou.aliyuncs.com ',
  'oss-cn-hangzhou.aliyuncs.com.',
  'oss-cn-hangzhou..aliyuncs.com',
  '.oss-cn-hangzhou.aliyuncs.com',
  '',
  '.',
  '..',
  '-',
  '*',
  '*.aliyuncs.com',
  '%6c%6f%63%61%6c%68%6f%73%74',
  '127.0.0.1%2f',
];
/** What people and attackers put around a host. */
const dressings: ((host: string) => string)[] = [
  (host) => host,
  (host) => `http://${host}`,
  (host) => `https://oss-cn-hangzhou.aliyuncs.com@${host}`,
  (host) => `oss-cn-hangzhou.aliyuncs.com@${host}`,
  (host) => `${host}#oss-cn-hangzhou.aliyuncs.com`,
  (host) => `${host}?.oss-cn-hangzhou.aliyuncs.com`,
  (host) => `${host}/.oss-cn-hangzhou.aliyuncs.com`,
  (host) => `${host}\\.oss-cn-hangzhou.aliyuncs.com`,
  (host) => `${host}:80`,
  (host) => `//${host}`,
];
const good = 'oss-cn-hangzhou.aliyuncs.com';
const dressedGood = [
  `https://${good}`,
  `http://${good}`,
  `HTTPS://${good}`,
  `oss://${good}`,
  `file://${good}`,
  `gopher://${good}`,
  `//${good}`,
  `${good}/`,
  `${good}/lake`,
  `${good}:443`,
  `${good}:80`,
  `${good}:7072`,
  `${good}?x`,
  `${good}#x`,
  `user@${good}`,
  `user:pass@${good}`,
  `${good}%00`,
  `${good}%2f`,
  `${good},127.0.0.1`,
  `${good};127.0.0.1`,
  `${good} 127.0.0.1`,
  `${good}|127.0.0.1`,
  `127.0.0.1 ${good}`,
  'http://127.0.0.1:7073',
  'http://127.0.0.1:70720',
  'http://127.0.0.1:07072',
  'http://127.1:7072',
  'http://0x7f.1:7072',
  'http://localhost:7072',
  'http://[::1]:7072',
  'https://127.0.0.1:7072',
  'http://127.0.0.1:7072/lake',
  'http://127.0.0.1:7072?x',
  'http://127.0.0.1:7072#x',
  'http://user@127.0.0.1:7072',
  'http://127.0.0.1:7072@evil.com',
  'http://127.0.0.1:7072.evil.com',
  'http://127.0.0.1:7072\\@evil.com',
  'http:/127.0.0.1:7072',
  'http:127.0.0.1:7072',
  'oss.example.com.',
  'http://oss.example.com',
  'oss.example.com:443x',
  'a.oss.example.com',
  'oss.example.com@evil.com',
];
const spellings = [...new Set([...hosts.flatMap((host) => dressings.map((dress) => dress(host))), ...dressedGood])].filter(
  // The one that is right when nothing is around it.
  (text) => text !== good,
);

describe('spellings of hosts that must not be reached', () => {
  let sockets = 0;
  let lookups = 0;
  beforeEach(() => {
    sockets = 0;
    lookups = 0;
    const count = () => {
      sockets++;
      throw new Error('a socket was opened');
    };
    vi.spyOn(net.Socket.prototype, 'connect').mockImplementation(count as never);
    vi.spyOn(tls, 'connect').mockImplementation(count as never);
    const countLookup = () => {
      lookups++;
      throw new Error('a name was resolved');
    };
    vi.spyOn(dns, 'lookup').mockImplementation(countLookup as never);
    vi.spyOn(dnsPromises, 'lookup').mockImplementation(countLookup as never);
  });
  afterEach(() => vi.restoreAllMocks());

  test('there are at least 300 of them', () => {
    expect(spellings.length).toBeGreaterThanOrEqual(300);
  });

  test('every one is refused with a cause, and none opens a socket or asks a name', async () => {
    const identity = { accessMode: 'accessKey' as const, accessKeyId: 'LTAIreader', accessKeySecret: new Secret('x') };
    const access = {
      settings: {
        keyRing: async () => ({ currentId: '', keys: new Map() }),
        permitted: PERMITTED,
        stsEndpoint: 'sts.invalid',
        ownRegion: '',
      },
    };
    const letThrough: string[] = [];
    for (const endpoint of spellings) {
      const target = openDoor(endpoint, { bucket: 'lake', permitted: PERMITTED });
      if (!isRefused(target)) letThrough.push(endpoint);
      else expect(target.message.length, endpoint).toBeGreaterThan(5);
      const place = { region: 'cn-hangzhou', endpoint, identity };
      const tries = [
        async () => openBrowseStore(place, 'lake', access).list({ prefix: '' }),
        async () => listAccountBuckets(place, {}, access),
      ];
      for (const attempt of tries) await expect(attempt(), endpoint).rejects.toThrow(InvalidInput);
    }
    expect(letThrough).toEqual([]);
    expect(sockets).toBe(0);
    expect(lookups).toBe(0);
  });

  test.each([
    'lake.evil.com/',
    'lake@evil',
    'lake#',
    'LAKE',
    'l',
    '-lake',
    'lake-',
    'la_ke',
    'lake.x',
    '',
    '127.0.0.1',
    'a'.repeat(64),
  ])("the bucket '%s' does not become a label", (bucket) => {
    expect(openDoor(good, { bucket, permitted: PERMITTED })).toMatchObject({ code: 'bucket-form' });
  });
});

describe('hosts that may be reached', () => {
  test.each<[string, Partial<OutboundTarget>]>([
    [
      good,
      {
        origin: `https://${good}`,
        hostname: `lake.${good}`,
        port: 443,
        form: 'public',
        region: 'cn-hangzhou',
        realms: ['public'],
      },
    ],
    ['OSS-cn-Hangzhou.aliyuncs.com', { origin: `https://${good}`, form: 'public' }],
    ['oss-ap-southeast-1-internal.aliyuncs.com', { form: 'internal', region: 'ap-southeast-1', realms: ['public', 'internal'] }],
    ['vpc100-oss-cn-beijing.aliyuncs.com', { form: 'vpc', region: 'cn-beijing' }],
    ['cn-shanghai.oss.aliyuncs.com', { form: 'dual-stack', region: 'cn-shanghai', realms: ['public'] }],
    ['oss-accelerate.aliyuncs.com', { form: 'accelerate', hostname: 'lake.oss-accelerate.aliyuncs.com' }],
    [
      'http://127.0.0.1:7072',
      { origin: 'http://127.0.0.1:7072', port: 7072, pathStyle: true, form: 'permitted', realms: ['loopback'] },
    ],
    ['127.0.0.1:7072', { origin: 'http://127.0.0.1:7072', form: 'permitted' }],
    ['oss.example.com', { origin: 'https://oss.example.com', pathStyle: false, realms: ['public', 'private', 'internal'] }],
  ])('%s', (endpoint, expected) => {
    expect(openDoor(endpoint, { bucket: 'lake', permitted: PERMITTED })).toMatchObject(expected);
  });

  test('only the list of the operator opens loopback', () => {
    expect(openDoor('http://127.0.0.1:7072', { bucket: 'lake' })).toMatchObject({ code: 'endpoint-form' });
  });

  test.each(['http://x/path', 'http://user@x', 'http://x?y', 'not a host'])("the operator's list refuses '%s'", (text) => {
    expect(() => permittedEndpoints(text)).toThrow(RangeError);
  });
});

describe('addresses', () => {
  test.each([
    ['47.110.23.1', 'public'],
    ['2408:4000::1', 'public'],
    ['100.64.0.1', 'internal'],
    ['100.127.255.255', 'internal'],
    ['100.128.0.1', 'public'],
    ['100.63.255.255', 'public'],
    ['100.100.100.200', undefined],
    ['10.0.0.1', 'private'],
    ['172.16.0.1', 'private'],
    ['172.31.255.255', 'private'],
    ['172.32.0.1', 'public'],
    ['192.168.0.1', 'private'],
    ['127.0.0.1', 'loopback'],
    ['127.255.255.255', 'loopback'],
    ['::1', 'loopback'],
    ['0.0.0.0', undefined],
    ['0.1.2.3', undefined],
    ['169.254.169.254', undefined],
    ['192.0.0.1', undefined],
    ['192.0.2.1', undefined],
    ['198.18.0.1', undefined],
    ['198.51.100.1', undefined],
    ['203.0.113.1', undefined],
    ['224.0.0.1', undefined],
    ['239.255.255.255', undefined],
    ['240.0.0.1', undefined],
    ['255.255.255.255', undefined],
    ['::', undefined],
    ['::ffff:127.0.0.1', undefined],
    ['::ffff:47.110.23.1', undefined],
    ['::127.0.0.1', undefined],
    ['64:ff9b::7f00:1', undefined],
    ['2001::1', undefined],
    ['2001:db8::1', undefined],
    ['2002:7f00:1::', undefined],
    ['3fff::1', undefined],
    ['fe80::1', undefined],
    ['fec0::1', undefined],
    ['ff02::1', undefined],
    ['fd00::1', 'private'],
    ['2408:4000::1%eth0', undefined],
    ['127.1', undefined],
    ['0x7f000001', undefined],
    ['localhost', undefined],
    ['', undefined],
  ])('%s is %s', (address, realm) => {
    expect(realmOf(address)).toBe(realm);
  });

  const publicTarget = openDoor(good, { bucket: 'lake' }) as OutboundTarget;
  const internalTarget = openDoor('oss-cn-hangzhou-internal.aliyuncs.com', { bucket: 'lake' }) as OutboundTarget;

  test('one bad address among good ones refuses them all', async () => {
    await expect(resolveTarget(publicTarget, async () => ['47.110.23.1', '10.0.0.1'])).rejects.toThrow(ForbiddenAddress);
  });

  test('the service network is for internal endpoints only', async () => {
    await expect(resolveTarget(publicTarget, async () => ['100.118.28.45'])).rejects.toThrow(ForbiddenAddress);
    expect(await resolveTarget(internalTarget, async () => ['100.118.28.45'])).toEqual(['100.118.28.45']);
    await expect(resolveTarget(internalTarget, async () => ['100.100.100.200'])).rejects.toThrow(ForbiddenAddress);
  });

  test('a name that changes its mind: the second connection is checked again', async () => {
    const answers = [['47.110.23.1'], ['127.0.0.1']];
    const lookup = checkedLookup(publicTarget, async () => answers.shift()!);
    const ask = () =>
      new Promise((resolve) => lookup(publicTarget.hostname, { all: true }, (error, found) => resolve(error ?? found)));
    expect(await ask()).toEqual([{ address: '47.110.23.1', family: 4 }]);
    expect(await ask()).toBeInstanceOf(ForbiddenAddress);
  });

  test('a checked lookup resolves its own name only', async () => {
    const lookup = checkedLookup(publicTarget, () => Promise.reject(new Error('was asked')));
    const found = await new Promise((resolve) => lookup('evil.com', {}, (error) => resolve(error)));
    expect(found).toBeInstanceOf(ForbiddenAddress);
  });

  test('a pinned lookup never asks again', async () => {
    const lookup = pinnedLookup(['47.110.23.1', '2408:4000::1']);
    const found = await new Promise((resolve) => lookup('anything', {}, (_error, address, family) => resolve([address, family])));
    expect(found).toEqual(['47.110.23.1', 4]);
  });
});
