import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { openSecret, parseKeyRing, type SealedSecret, sealSecret } from '../../../shared/credentials/envelope.ts';
import { InvalidInput } from '../../../shared/errors.ts';

const key = () => randomBytes(32).toString('base64');
const place = { workspaceId: 1, dataSourceId: 'a', environmentId: 'b' };

describe('sealed secrets', () => {
  test('open in their place, and hold nothing readable', () => {
    const ring = parseKeyRing(key());
    const sealed = sealSecret(ring, 'marker-öäü-秘密', place);
    expect(JSON.stringify(sealed)).not.toContain('marker');
    const opened = openSecret(ring, JSON.parse(JSON.stringify(sealed)), place);
    expect(opened.reveal()).toBe('marker-öäü-秘密');
    expect(`${opened} ${JSON.stringify({ opened })} ${inspect(opened)}`).not.toContain('marker');
  });

  test('are different each time', () => {
    const ring = parseKeyRing(key());
    const [a, b] = [sealSecret(ring, 'x', place), sealSecret(ring, 'x', place)];
    expect(a.sealed).not.toBe(b.sealed);
    expect(a.wrappedKey).not.toBe(b.wrappedKey);
  });

  test.each([
    ['another workspace', { ...place, workspaceId: 2 }],
    ['another data source', { ...place, dataSourceId: 'c' }],
    ['another environment', { ...place, environmentId: 'c' }],
    ['another field', { ...place, field: 'token' }],
    ['ids that run together', { ...place, dataSourceId: 'ab', environmentId: '' }],
  ])('do not open in %s', (_what, elsewhere) => {
    const ring = parseKeyRing(key());
    expect(() => openSecret(ring, sealSecret(ring, 'x', place), elsewhere)).toThrow(/does not open in this place/);
  });

  test('do not open when any byte was changed', () => {
    const ring = parseKeyRing(key());
    const sealed = sealSecret(ring, 'x', place);
    for (const field of ['wrappedKey', 'sealed'] as const) {
      const bytes = Buffer.from(sealed[field], 'base64');
      for (let i = 0; i < bytes.length; i++) {
        const changed = Buffer.from(bytes);
        changed[i]! ^= 1;
        expect(() => openSecret(ring, { ...sealed, [field]: changed.toString('base64') }, place)).toThrow(InvalidInput);
      }
    }
  });

  test('of an earlier key open while that key is in the ring', () => {
    const [older, newer] = [key(), key()];
    const sealed = sealSecret(parseKeyRing(older), 'x', place);
    expect(openSecret(parseKeyRing(`${newer},${older}`), sealed, place).reveal()).toBe('x');
    expect(() => openSecret(parseKeyRing(newer), sealed, place)).toThrow(/which is not configured/);
    expect(sealSecret(parseKeyRing(`${newer}, ${older}`), 'x', place).keyId).toBe(parseKeyRing(newer).currentId);
  });

  test.each<[string, unknown]>([
    ['nothing', null],
    ['text', 'x'],
    ['another version', { v: 2 }],
    ['an empty body', { v: 1, alg: 'AES-256-GCM', keyId: 'x', wrappedKey: '', sealed: '' } satisfies SealedSecret],
  ])('of another form are refused: %s', (_what, stored) => {
    expect(() => openSecret(parseKeyRing(key()), stored, place)).toThrow(InvalidInput);
  });
});

describe('encryption keys', () => {
  test.each([
    ['empty', ''],
    ['short', randomBytes(31).toString('base64')],
    ['long', randomBytes(33).toString('base64')],
    ['not base64', `${'é'.repeat(43)}=`],
    ['all zero', Buffer.alloc(32).toString('base64')],
    ['typed', Buffer.from('0123456789abcdef0123456789abcdef').toString('base64')],
    ['a sample', Buffer.from('changemechangemechangemechangeme').toString('base64')],
  ])('that are %s are refused, without showing them', (_what, text) => {
    expect(() => parseKeyRing(text)).toThrow(InvalidInput);
    try {
      parseKeyRing(text);
    } catch (error) {
      if (text) expect((error as Error).message).not.toContain(text);
    }
  });
});
