import { identityOf, SLOT } from './manifest.ts';
import { type Cell, RawText } from './rows.ts';

/** Identities of files that DELETE entries took away. The whole identity is built only where the file's name fits one. */
export class Cancelled {
  readonly #identities = new Set<string>();
  readonly #names = new Set<number>();

  add(slots: readonly Cell[]): void {
    this.#identities.add(identityOf(slots));
    this.#names.add(hashOf(slots[SLOT.fileName] as string | RawText));
  }

  has(slots: readonly Cell[]): boolean {
    if (this.#identities.size === 0 || !this.#names.has(hashOf(slots[SLOT.fileName] as string | RawText))) return false;
    return this.#identities.has(identityOf(slots));
  }
}

/** Over UTF-8, so that a name has the same one in every container. */
function hashOf(name: string | RawText): number {
  if (name instanceof RawText) return hashBytes(name.bytes, name.start, name.end);
  const bytes = Buffer.from(name);
  return hashBytes(bytes, 0, bytes.length);
}

function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  return hash;
}
