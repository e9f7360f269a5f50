import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { InvalidInput } from '../errors.ts';
import { Secret } from './secret.ts';

/**
 * Secrets at rest: AES-256-GCM with a data key of their own, which is wrapped by the key-encryption key. What a secret
 * belongs to is authenticated with it, so that a ciphertext moved to another row does not open.
 */

/** Where a secret belongs. `field` is the column, `accessKeySecret` unless said otherwise. */
export interface SecretPlace {
  workspaceId: number;
  dataSourceId: string;
  environmentId: string;
  field?: string;
}

/** As stored (JSON). `keyId` names the key-encryption key by its fingerprint; the rest is base64. */
export const SealedSecret = z.strictObject({
  v: z.literal(1),
  alg: z.literal('AES-256-GCM'),
  keyId: z.string().min(1).max(64),
  /** Nonce, ciphertext and tag of the data key. */
  wrappedKey: z.base64(),
  /** Nonce, ciphertext and tag of the secret. */
  sealed: z.base64(),
});
export type SealedSecret = z.infer<typeof SealedSecret>;

/** Key-encryption keys by id. New secrets take the first; older ones only open what they sealed. */
export interface KeyRing {
  currentId: string;
  keys: ReadonlyMap<string, Buffer>;
}

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** 32 random bytes have fewer different values than this once in 10^11 times; typed and sample keys nearly always do. */
const MIN_DIFFERENT_BYTES = 18;

/** An element of `DATAMAP_ENCRYPTION_KEY`: the key itself, or its ciphertext (base64) that the key service decrypts. */
export type KeyElement = { key: Buffer } | { ciphertext: string };

/** Longer than any ciphertext of 32 bytes. */
const MAX_CIPHERTEXT_CHARS = 6_000;

/**
 * Reads `DATAMAP_ENCRYPTION_KEY`: 32 random bytes in base64 or `kms:` with their ciphertext, or several with commas, newest
 * first, while old secrets are sealed again. Throws InvalidInput for anything else; the message never holds the key.
 */
export function parseKeyElements(text: string): KeyElement[] {
  return text.split(',').map((part, i) => {
    const element = part.trim();
    if (!element.startsWith('kms:')) return { key: requireKey(element, i) };
    const ciphertext = element.slice('kms:'.length);
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(ciphertext) || ciphertext.length > MAX_CIPHERTEXT_CHARS)
      throw refuse(`key ${i + 1} is not kms: and the CiphertextBlob of a data key in base64`);
    return { ciphertext };
  });
}

/** A ring of keys that are all at hand. Throws InvalidInput as `parseKeyElements` does, and for elements that need the key service. */
export function parseKeyRing(text: string): KeyRing {
  return keyRingOf(
    parseKeyElements(text).map((element, i) => {
      if ('ciphertext' in element) throw refuse(`key ${i + 1} needs the key service`);
      return element.key;
    }),
  );
}

export function keyRingOf(keys: readonly Buffer[]): KeyRing {
  const named = keys.map((key) => [fingerprint(key), key] as const);
  return { currentId: named[0]![0], keys: new Map(named) };
}

/** The 32 bytes of the key that stands at `index`. Throws InvalidInput for anything shorter, longer or plainly not random. */
export function requireKey(base64: string, index: number): Buffer {
  const key = Buffer.from(base64, 'base64');
  if (key.length !== KEY_BYTES || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64))
    throw refuse(`key ${index + 1} is not ${KEY_BYTES} bytes in base64; make one with: openssl rand -base64 ${KEY_BYTES}`);
  if (new Set(key).size < MIN_DIFFERENT_BYTES)
    throw refuse(`key ${index + 1} is not random; make one with: openssl rand -base64 ${KEY_BYTES}`);
  return key;
}

export function sealSecret(ring: KeyRing, secret: string, place: SecretPlace): SealedSecret {
  const dataKey = randomBytes(KEY_BYTES);
  const aad = authenticated(place, ring.currentId);
  const envelope: SealedSecret = {
    v: 1,
    alg: 'AES-256-GCM',
    keyId: ring.currentId,
    wrappedKey: encrypt(ring.keys.get(ring.currentId)!, dataKey, aad).toString('base64'),
    sealed: encrypt(dataKey, Buffer.from(secret, 'utf8'), aad).toString('base64'),
  };
  dataKey.fill(0);
  return envelope;
}

/** Throws InvalidInput when the form is not ours, the key is not in the ring, or the envelope was moved or changed. */
export function openSecret(ring: KeyRing, sealed: unknown, place: SecretPlace): Secret {
  const parsed = SealedSecret.safeParse(sealed);
  if (!parsed.success)
    throw InvalidInput.at('accessKeySecret', 'the stored secret does not have the expected form; enter it again');
  const { keyId, wrappedKey, sealed: body } = parsed.data;
  const key = ring.keys.get(keyId);
  if (!key)
    throw refuse(`the stored secret was sealed with key ${keyId}, which is not configured; add that key or enter it again`);
  const aad = authenticated(place, keyId);
  try {
    const dataKey = decrypt(key, Buffer.from(wrappedKey, 'base64'), aad);
    const secret = new Secret(decrypt(dataKey, Buffer.from(body, 'base64'), aad).toString('utf8'));
    dataKey.fill(0);
    return secret;
  } catch (cause) {
    throw InvalidInput.at('accessKeySecret', 'the stored secret does not open in this place; enter it again', { cause });
  }
}

/** Fields with their lengths, so that no two places give the same bytes. */
function authenticated(place: SecretPlace, keyId: string): Buffer {
  const { workspaceId, dataSourceId, environmentId, field = 'accessKeySecret' } = place;
  return Buffer.from(JSON.stringify(['datamap-secret-1', workspaceId, dataSourceId, environmentId, field, keyId]));
}

function encrypt(key: Buffer, plain: Buffer, aad: Buffer): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES }).setAAD(aad);
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

function decrypt(key: Buffer, sealed: Buffer, aad: Buffer): Buffer {
  const nonce = sealed.subarray(0, NONCE_BYTES);
  const tag = sealed.subarray(sealed.length - TAG_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES }).setAAD(aad).setAuthTag(tag);
  return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, sealed.length - TAG_BYTES)), decipher.final()]);
}

/** Names a key without telling it. */
function fingerprint(key: Buffer): string {
  return createHash('sha256').update('datamap key id').update(key).digest('hex').slice(0, 16);
}

function refuse(issue: string): InvalidInput {
  return InvalidInput.at('DATAMAP_ENCRYPTION_KEY', issue);
}
