import { Unreachable } from '../errors.ts';
import { compareBytes } from '../object-store/byte-order.ts';
import type { ListPage, ObjectInfo, ObjectStore } from '../object-store/object-store.ts';
import { MAX_PAGES } from './limits.ts';

/**
 * Names of which it is certain that there are no others: made only when every page was read, the last one said that it is the
 * last, no token came twice and keys grew strictly over all pages. Only such a list may lead to the removal of anything.
 */
export class CompleteListing<T> {
  readonly items: readonly T[];
  readonly pages: number;
  private constructor(items: readonly T[], pages: number) {
    this.items = items;
    this.pages = pages;
  }

  /** All objects and folded prefixes below `prefix`. Throws Unreachable (`bad-answer`) when the pages contradict each other. */
  static async read(
    store: ObjectStore,
    request: { prefix: string; delimiter?: '/'; signal?: AbortSignal | undefined; firstPage?: ListPage },
  ): Promise<CompleteListing<ListedName>> {
    const { prefix, delimiter, signal } = request;
    const items: ListedName[] = [];
    const tokens = new Set<string>();
    let page: ListPage | undefined = request.firstPage;
    let token: string | undefined;
    let last: string | undefined;
    for (let pages = 1; ; pages++) {
      if (pages > MAX_PAGES) throw inconsistent(prefix, `no end after ${MAX_PAGES} pages`);
      page ??= await store.list({
        prefix,
        ...(delimiter ? { delimiter } : {}),
        ...(token === undefined ? {} : { token }),
        ...(signal ? { signal } : {}),
      });
      const names: ListedName[] = [
        ...page.objects.map((object) => ({ key: object.key, object })),
        ...page.prefixes.map((key) => ({ key })),
      ].sort((a, b) => compareBytes(a.key, b.key));
      for (const name of names) {
        if (!name.key.startsWith(prefix))
          throw inconsistent(prefix, `the key ${JSON.stringify(name.key.slice(0, 200))} outside of it`);
        if (last !== undefined && compareBytes(last, name.key) >= 0)
          throw inconsistent(prefix, 'keys that do not grow from page to page');
        last = name.key;
        items.push(name);
      }
      if (page.nextToken === undefined) return new CompleteListing(items, pages);
      if (tokens.has(page.nextToken)) throw inconsistent(prefix, 'the same page token twice');
      tokens.add(page.nextToken);
      token = page.nextToken;
      page = undefined;
    }
  }

  /** The same certainty about what `pick` makes of the items; undefined leaves one out. */
  map<R>(pick: (item: T) => R | undefined): CompleteListing<R> {
    const picked: R[] = [];
    for (const item of this.items) {
      const value = pick(item);
      if (value !== undefined) picked.push(value);
    }
    return new CompleteListing(picked, this.pages);
  }
}

/** `object` is absent for a folded prefix, whose key ends in `/`. */
export interface ListedName {
  key: string;
  object?: ObjectInfo;
}

function inconsistent(prefix: string, found: string): Unreachable {
  return new Unreachable(
    'the object store',
    'bad-answer',
    {},
    { cause: new Error(`listing-inconsistent: listing ${prefix} gave ${found}`) },
  );
}
