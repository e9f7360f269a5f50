import { MAX_DEPTH } from './limits.ts';

/** JSON as Paimon writes it. Integers that a double cannot hold come as bigint; every other value as JSON.parse gives it. */
export type Json = null | boolean | number | bigint | string | Json[] | { [name: string]: Json };

/** Thrown by `parseJson`; the caller knows the file. */
export class JsonError extends Error {
  constructor(
    readonly offset: number,
    readonly expected: string,
    readonly found: string,
  ) {
    super(`expected ${expected}, found ${found} at character ${offset}`);
  }
}

/** No number of up to 15 digits loses anything in a double. */
const LONG_NUMBER = /\d{16}/;

/**
 * Parses without losing int64: batch commits carry 9223372036854775807, which JSON.parse rounds. Throws JsonError.
 * Names such as `__proto__` become plain own properties.
 */
export function parseJson(text: string): Json {
  if (text.charCodeAt(0) === 0xfeff) text = text.slice(1);
  if (!LONG_NUMBER.test(text)) {
    try {
      const value = JSON.parse(text) as Json;
      checkDepth(value, 0);
      return value;
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      // Parsed once more below, for an error that says where.
    }
  }
  const parser = new Parser(text);
  const value = parser.value(0);
  parser.end();
  return value;
}

function checkDepth(value: Json, depth: number): void {
  if (value === null || typeof value !== 'object') return;
  if (depth > MAX_DEPTH) throw new JsonError(0, `at most ${MAX_DEPTH} levels`, 'more');
  for (const item of Object.values(value)) checkDepth(item as Json, depth + 1);
}

class Parser {
  #at = 0;
  readonly #text: string;
  constructor(text: string) {
    this.#text = text;
  }

  value(depth: number): Json {
    if (depth > MAX_DEPTH) this.#fail(`at most ${MAX_DEPTH} levels`);
    this.#space();
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object(depth);
      case '[':
        return this.#array(depth);
      case '"':
        return this.#string();
      case 't':
        return this.#word('true', true);
      case 'f':
        return this.#word('false', false);
      case 'n':
        return this.#word('null', null);
      default:
        return this.#number();
    }
  }

  end(): void {
    this.#space();
    if (this.#at < this.#text.length) this.#fail('the end');
  }

  #object(depth: number): Json {
    const object: { [name: string]: Json } = {};
    this.#at++;
    this.#space();
    if (this.#text[this.#at] === '}') {
      this.#at++;
      return object;
    }
    for (;;) {
      this.#space();
      if (this.#text[this.#at] !== '"') this.#fail('a name in quotes');
      const name = this.#string();
      this.#space();
      if (this.#text[this.#at++] !== ':') this.#fail("':'", -1);
      const value = this.value(depth + 1);
      // Assignment would set the prototype instead.
      if (name === '__proto__')
        Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
      else object[name] = value;
      this.#space();
      const next = this.#text[this.#at++];
      if (next === '}') return object;
      if (next !== ',') this.#fail("',' or '}'", -1);
    }
  }

  #array(depth: number): Json {
    const items: Json[] = [];
    this.#at++;
    this.#space();
    if (this.#text[this.#at] === ']') {
      this.#at++;
      return items;
    }
    for (;;) {
      items.push(this.value(depth + 1));
      this.#space();
      const next = this.#text[this.#at++];
      if (next === ']') return items;
      if (next !== ',') this.#fail("',' or ']'", -1);
    }
  }

  #string(): string {
    const start = this.#at++;
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (Number.isNaN(code)) this.#fail('the end of a string');
      if (code === 0x22) break;
      this.#at += code === 0x5c ? 2 : 1;
    }
    this.#at++;
    const quoted = this.#text.slice(start, this.#at);
    try {
      return JSON.parse(quoted) as string;
    } catch {
      throw new JsonError(start, 'a string', 'a bad escape or control character');
    }
  }

  #number(): number | bigint {
    const number = /^-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/.exec(this.#text.slice(this.#at, this.#at + 400));
    if (number === null) return this.#fail('a value');
    this.#at += number[0].length;
    if (number[1] === undefined && number[2] === undefined) {
      const value = Number(number[0]);
      return Number.isSafeInteger(value) ? value : BigInt(number[0]);
    }
    return Number(number[0]);
  }

  #word<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) this.#fail('a value');
    this.#at += word.length;
    return value;
  }

  #space(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at++;
    }
  }

  #fail(expected: string, back = 0): never {
    const at = this.#at + back;
    const found = at >= this.#text.length ? 'the end' : JSON.stringify(this.#text[at]);
    throw new JsonError(at, expected, found);
  }
}

/** A JSON object, told from arrays and scalars. */
export function isObject(value: Json | undefined): value is { [name: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An integer, or text of one as Table Store 0.2 wrote it; undefined for null, absent and anything else. */
export function asLong(value: Json | undefined): bigint | undefined {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : undefined;
  if (typeof value === 'string' && /^-?\d{1,19}$/.test(value)) return BigInt(value);
  return undefined;
}

export function asInt(value: Json | undefined): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= 0x7fffffff ? value : undefined;
}

export function asText(value: Json | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
