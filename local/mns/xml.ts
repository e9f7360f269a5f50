import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { MnsError } from './error.ts';

const NAMESPACE = 'http://mns.aliyuncs.com/doc/v1/';

/** An element's children; text elements are strings, repeated ones arrays. */
export type XmlRecord = { [name: string]: XmlValue };
export type XmlValue = string | XmlRecord | XmlValue[];

// Everything stays text: a body of digits is not a number. Entities of a document type are never expanded.
const parser = new XMLParser({ ignoreAttributes: true, parseTagValue: false, trimValues: false, ignoreDeclaration: true });

/** The children of the root element, which must have this name. Throws MalformedXML. */
export function parseXml(text: string, root: string): XmlRecord {
  if (/<!DOCTYPE/i.test(text) || XMLValidator.validate(text) !== true)
    throw new MnsError('MalformedXML', 'The XML you provided was not well-formed.');
  const document = parser.parse(text) as XmlRecord;
  const value = document[root];
  if (value === undefined || Array.isArray(value))
    throw new MnsError('MalformedXML', `The request must be one <${root}> element.`);
  return typeof value === 'string' ? {} : value;
}

/** The text of a child, or undefined when it is not there. */
export function textOf(record: XmlRecord, name: string): string | undefined {
  const value = record[name];
  return typeof value === 'string' ? value : undefined;
}

/** All children of this name; none, one or many. */
export function childrenOf(record: XmlRecord, name: string): XmlValue[] {
  const value = record[name];
  return value === undefined ? [] : Array.isArray(value) ? value : [value];
}

export function writeXml(root: string, children: XmlRecord): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${root} xmlns="${NAMESPACE}">${writeChildren(children)}</${root}>`;
}

function writeChildren(record: XmlRecord): string {
  return Object.entries(record)
    .map(([name, value]) => (Array.isArray(value) ? value : [value]).map((one) => `<${name}>${write(one)}</${name}>`).join(''))
    .join('');
}

function write(value: XmlValue): string {
  if (typeof value === 'string') return escapeText(value);
  return writeChildren(value as XmlRecord);
}

function escapeText(text: string): string {
  return text.replace(/[&<>"']/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' })[c]!);
}
