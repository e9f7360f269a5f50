/**
 * What decoders throw on bytes that are not what they should be. Plain decoders do not know the object's key; `table.ts`
 * adds it when it makes a problem of this. Never leaves `shared/paimon`.
 */
export class Damage extends Error {
  constructor(
    readonly expected: string,
    readonly found: string,
    readonly offset?: number,
  ) {
    super(`expected ${expected}, found ${found}${offset === undefined ? '' : ` at byte ${offset}`}`);
  }
}

/** A well-formed thing that cannot be read here, such as a codec. */
export class NotReadable extends Error {
  constructor(readonly feature: string) {
    super(`${feature} is not supported`);
  }
}

/** Something is larger, deeper or more than `limits.ts` allows. */
export class OverLimit extends Error {
  constructor(what: string, limit: number) {
    super(`${what} is over the limit of ${limit}`);
  }
}
