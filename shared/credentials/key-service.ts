import { AccessDenied, Unreachable } from '../errors.ts';
import { clientConfig, loadOpenApi, parseServiceEndpoint, type SdkError, translateSdkError } from './api-client.ts';
import { type KeyElement, type KeyRing, keyRingOf, requireKey } from './envelope.ts';
import type { AccessKeys } from './secret.ts';

/** Key-encryption keys that lie in the configuration only as ciphertext of KMS. */

export interface KeyService {
  /** Host name, or URL without a path; `http://` for loopback addresses only. */
  endpoint: string;
  /** Of the identity that may decrypt: this function's. Temporary ones may change from call to call. */
  callerKeys: AccessKeys | undefined;
  timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 5_000;

/** Decrypted keys of this function instance, by endpoint and ciphertext; the configuration holds one or two. */
const decrypted = new Map<string, Promise<Buffer>>();

/**
 * The ring of the configured keys. One request for each ciphertext in the life of a function instance; a failure is not
 * remembered. Throws AccessDenied with why, Unreachable when the key service gave no usable answer in time, and
 * InvalidInput for a ciphertext that is none of its own or does not hold a key.
 */
export async function openKeyRing(elements: readonly KeyElement[], service: KeyService): Promise<KeyRing> {
  return keyRingOf(
    await Promise.all(
      elements.map((element, i) => ('key' in element ? element.key : decryptOnce(element.ciphertext, i, service))),
    ),
  );
}

async function decryptOnce(ciphertext: string, index: number, service: KeyService): Promise<Buffer> {
  const name = `${service.endpoint} ${ciphertext}`;
  let key = decrypted.get(name);
  if (!key) {
    key = decrypt(ciphertext, service).then((base64) => requireKey(base64, index));
    decrypted.set(name, key);
  }
  try {
    return await key;
  } catch (error) {
    if (decrypted.get(name) === key) decrypted.delete(name);
    throw error;
  }
}

/** KMS `Decrypt` of API version 2016-01-20: the data key as base64. */
async function decrypt(ciphertext: string, service: KeyService): Promise<string> {
  const endpoint = parseServiceEndpoint(service.endpoint, 'DATAMAP_KMS_ENDPOINT');
  const { host } = endpoint;
  const { callerKeys, timeoutMs = DEFAULT_TIMEOUT_MS } = service;
  const refusal = { what: 'the encryption key', permission: 'kms:Decrypt', host, field: 'DATAMAP_ENCRYPTION_KEY' };
  // Without an identity of its own a function may decrypt nothing.
  if (!callerKeys) throw new AccessDenied(refusal.what, 'kms', { permission: refusal.permission });
  const { default: Client, $OpenApiUtil } = await loadOpenApi();
  const client = new Client(new $OpenApiUtil.Config(clientConfig(endpoint, callerKeys, timeoutMs)));
  const call = new $OpenApiUtil.Params({
    action: 'Decrypt',
    version: '2016-01-20',
    protocol: 'HTTPS',
    pathname: '/',
    method: 'POST',
    authType: 'AK',
    style: 'RPC',
    reqBodyType: 'formData',
    bodyType: 'json',
  });
  // In the body, not in the query: proxies keep queries in their logs.
  const request = new $OpenApiUtil.OpenApiRequest({ body: { CiphertextBlob: ciphertext } });
  let answer: { body?: { Plaintext?: unknown } };
  try {
    answer = await within(timeoutMs, host, (runtime) => client.callApi(call, request, runtime));
  } catch (error) {
    if (error instanceof Unreachable) throw error;
    throw translateSdkError(error as SdkError, { ...refusal, ownReason });
  }
  const plaintext = answer.body?.Plaintext;
  if (typeof plaintext !== 'string') throw new Unreachable(host, 'bad-answer');
  return plaintext;
}

function ownReason(code: string) {
  return /^(Forbidden|NoPermission|AuthenticationFail\.NoPermission)/.test(code) ? 'kms' : undefined;
}

/** The client's own limits are for silence; a trickle of bytes could go on for ever. */
async function within<Answer>(
  timeoutMs: number,
  host: string,
  // biome-ignore lint/suspicious/noExplicitAny: the runtime options' class is not exported by the client's package
  ask: (runtime: any) => Promise<Answer>,
): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Unreachable(host, 'timeout')), timeoutMs);
  });
  try {
    return await Promise.race([ask({}), late]);
  } finally {
    clearTimeout(timer);
  }
}
