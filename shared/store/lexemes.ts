/**
 * Lexemes of the search documents, made here and never by a text search configuration: the same words on every server,
 * whatever its locale, and Chinese without a dictionary. A document is a list of quoted words for a cast to tsvector.
 */

/** tsvector takes lexemes up to 2,046 bytes; longer words are of no use to anybody. */
const MAX_LEXEME_BYTES = 200;
/** A tsvector holds 1 MB; a table of 20,000 commented columns is cut rather than refused. */
const MAX_DOCUMENT_BYTES = 600_000;

export interface SearchFacts {
  database: string;
  table: string;
  comment?: string;
  owner?: string;
  mergeEngine?: string;
  columns: ReadonlyArray<{ name: string; description?: string }>;
}

/** Both documents of a table: what its page is called and says, and the same plus its columns. */
export function searchDocuments(facts: SearchFacts): { document: string; columnDocument: string } {
  const words = new Set<string>([
    ...wordsOf(facts.table),
    `=${fold(facts.table)}`,
    ...wordsOf(facts.database),
    `#db=${fold(facts.database)}`,
  ]);
  addAll(words, wordsOf(facts.comment ?? ''));
  if (facts.owner) words.add(`#owner=${fold(facts.owner)}`);
  if (facts.mergeEngine) words.add(`#me=${fold(facts.mergeEngine)}`);
  const withColumns = new Set(words);
  for (const column of facts.columns) {
    withColumns.add(fold(column.name));
    addAll(withColumns, wordsOf(column.name));
    addAll(withColumns, wordsOf(column.description ?? ''));
  }
  return { document: toTsvectorText(words), columnDocument: toTsvectorText(withColumns) };
}

/** Words as they are indexed: lower case, split at everything but letters and digits; of CJK runs each character and each pair. */
export function wordsOf(text: string): string[] {
  const words: string[] = [];
  for (const run of fold(text).match(/[\p{L}\p{N}\p{M}]+/gu) ?? []) {
    for (const part of run.match(
      /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]+|[^\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]+/gu,
    ) ?? []) {
      if (!isCjk(part)) {
        words.push(part);
        continue;
      }
      const characters = [...part];
      words.push(...characters);
      for (let i = 0; i + 1 < characters.length; i++) words.push(characters[i]! + characters[i + 1]!);
    }
  }
  return words;
}

/** Words of a query: of CJK runs of two characters or more only the pairs, which already demand the characters. */
export function queryWordsOf(text: string): string[] {
  const words = wordsOf(text);
  const pairs = words.filter((word) => isCjk(word) && [...word].length === 2);
  return words.filter((word) => !(isCjk(word) && [...word].length === 1 && pairs.some((pair) => pair.includes(word))));
}

/** One lexeme quoted for a tsvector or tsquery text. */
export function quoteLexeme(word: string): string {
  return `'${word.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

function toTsvectorText(words: ReadonlySet<string>): string {
  const quoted: string[] = [];
  let bytes = 0;
  for (const word of words) {
    const size = Buffer.byteLength(word);
    if (word === '' || size > MAX_LEXEME_BYTES) continue;
    bytes += size + 4;
    if (bytes > MAX_DOCUMENT_BYTES) break;
    quoted.push(quoteLexeme(word));
  }
  // Sorted, so that equal sets are equal texts.
  return quoted.sort().join(' ');
}

function isCjk(text: string): boolean {
  return /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u.test(text);
}

function fold(text: string): string {
  return text.normalize('NFC').toLowerCase();
}

function addAll(words: Set<string>, more: readonly string[]): void {
  for (const word of more) words.add(word);
}
