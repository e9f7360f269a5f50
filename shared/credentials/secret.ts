import { inspect } from 'node:util';

/** A value that never prints: string, JSON and inspect forms are `***`. Only the signing adapters call `reveal`. */
export class Secret {
  readonly #value: string;
  constructor(value: string) {
    this.#value = value;
  }
  reveal(): string {
    return this.#value;
  }
  toString(): string {
    return '***';
  }
  toJSON(): string {
    return '***';
  }
  [inspect.custom](): string {
    return '***';
  }
}

/** Keys that sign requests. `securityToken` is there for temporary keys only. */
export interface AccessKeys {
  accessKeyId: string;
  accessKeySecret: Secret;
  securityToken?: Secret;
  /** When temporary keys end. */
  expiresAt?: Date;
}
