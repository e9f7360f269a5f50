import { createHmac } from 'node:crypto';
import { equal } from './acs3.ts';
import { compareText, percentEncode } from './encoding.ts';

/**
 * The older signature of Alibaba Cloud's RPC APIs: a `Signature` parameter over all others, HMAC-SHA1.
 * Source: help page "RPC signature mechanism (V1)".
 */
export function signRpcV1(method: string, parameters: ReadonlyMap<string, string>, secret: string): string {
  const query = [...parameters]
    .filter(([name]) => name !== 'Signature')
    .sort(([a], [b]) => compareText(a, b))
    .map(([name, value]) => `${percentEncode(name)}=${percentEncode(value)}`)
    .join('&');
  return createHmac('sha1', `${secret}&`)
    .update(`${method}&%2F&${percentEncode(query)}`)
    .digest('base64');
}

export function verifyRpcV1(method: string, parameters: ReadonlyMap<string, string>, secret: string): boolean {
  return equal(signRpcV1(method, parameters, secret), parameters.get('Signature') ?? '');
}
