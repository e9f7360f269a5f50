import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { OssProblem } from './problem.ts';

/** Children of an element; `undefined` leaves a child out, a list repeats it. */
export interface XmlChildren {
  [name: string]: string | number | XmlChildren | (string | XmlChildren)[] | undefined;
}

export function writeXml(root: string, children: XmlChildren): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${root}>${writeChildren(children)}</${root}>`;
}

function writeChildren(children: XmlChildren): string {
  let text = '';
  for (const [name, value] of Object.entries(children)) {
    if (value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value])
      text += `<${name}>${typeof one === 'object' ? writeChildren(one) : escapeText(String(one))}</${name}>`;
  }
  return text;
}

/** `2026-01-15T08:30:00.000Z`: OSS never writes milliseconds, and a client refuses them. */
export function isoTime(time: Date): string {
  return new Date(Math.floor(time.getTime() / 1000) * 1000).toISOString();
}

/** XML 1.0 has no form for most control characters; clients that need them ask for `encoding-type=url`. */
function escapeText(text: string): string {
  return (
    text
      .replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c] as string)
      .replace(/\r/g, '&#13;')
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that must go
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, '')
  );
}

const parser = new XMLParser({
  ignoreAttributes: true,
  parseTagValue: false,
  trimValues: false,
  ignoreDeclaration: true,
  htmlEntities: true,
});

export type XmlRecord = { [name: string]: unknown };

/** The root element's children; text stays text. Throws MalformedXML. */
export function parseXml(bytes: Uint8Array, root: string): XmlRecord {
  const text = Buffer.from(bytes).toString('utf8');
  const malformed = () => new OssProblem('MalformedXML', `The XML you provided is not a well-formed <${root}> document.`);
  if (/<!DOCTYPE/i.test(text) || XMLValidator.validate(text) !== true) throw malformed();
  const value = (parser.parse(text) as XmlRecord)[root];
  if (value === null || typeof value !== 'object') throw malformed();
  return value as XmlRecord;
}

export function childrenOf(record: XmlRecord, name: string): XmlRecord[] {
  const value = record[name];
  const list = value === undefined ? [] : Array.isArray(value) ? value : [value];
  return list.filter((one): one is XmlRecord => one !== null && typeof one === 'object');
}

export function textOf(record: XmlRecord, name: string): string | undefined {
  const value = record[name];
  return typeof value === 'string' ? value : undefined;
}
