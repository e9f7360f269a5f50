/** RFC 3986: everything but letters, digits and `-_.~` becomes %XX. */
export function percentEncode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** A raw query in order of appearance; a parameter without `=` has the value `undefined`. Forms write a blank as `+`. */
export function parseRawQuery(rawQuery: string): [name: string, value: string | undefined][] {
  if (rawQuery === '') return [];
  return rawQuery
    .replace(/\+/g, '%20')
    .split('&')
    .map((pair) => {
      const at = pair.indexOf('=');
      return at < 0 ? [decode(pair), undefined] : [decode(pair.slice(0, at)), decode(pair.slice(at + 1))];
    });
}

/** Malformed escapes stay as they are: the signature check then refuses them. */
export function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
