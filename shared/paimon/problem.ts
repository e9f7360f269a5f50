import { FormatError } from '../errors.ts';
import { Damage, NotReadable, OverLimit } from './damage.ts';
import { JsonError } from './int64-json.ts';
import { MAX_PROBLEMS } from './limits.ts';

/**
 * Something wrong with a table's metadata. `code` is stable: the kind of object, then what is wrong with it. `object` is the key.
 * A warning leaves the table ok; `degraded`: a part is unknown or contradictory; `broken`: no current state can be given.
 */
export interface Problem {
  code: string;
  severity: Severity;
  object: string;
  message: string;
}

export type Severity = 'warning' | 'degraded' | 'broken';
export type TableStatus = 'ok' | 'degraded' | 'broken';

/** Kinds of objects that problems are about. */
export type ObjectKind =
  | 'table'
  | 'schema'
  | 'snapshot'
  | 'manifest-list'
  | 'manifest'
  | 'index-manifest'
  | 'statistics'
  | 'tag'
  | 'consumer'
  | 'branch'
  | 'hint'
  | 'partition';

/** Collects problems of one table, bounded. */
export class Problems {
  readonly list: Problem[] = [];
  #left = 0;
  #worst: TableStatus = 'ok';

  add(code: string, severity: Severity, object: string, message: string): void {
    if (severity === 'broken' || (severity === 'degraded' && this.#worst === 'ok')) this.#worst = severity;
    if (this.list.length < MAX_PROBLEMS) this.list.push({ code, severity, object, message });
    else this.#left++;
  }

  /** Records what a decoder threw about an object. Rethrows what is not about its content. */
  addThrown(kind: ObjectKind, severity: Severity, object: string, error: unknown): void {
    this.add(`${kind}-${codeOf(error)}`, severity, object, (error as Error).message);
  }

  get status(): TableStatus {
    return this.#worst;
  }

  /**
   * Worst first, then by object: objects are read side by side, and two reads of the same state must say the same. A last
   * line says how many were left out.
   */
  finish(): Problem[] {
    const order = { broken: 0, degraded: 1, warning: 2 };
    const sorted = this.list.toSorted(
      (a, b) =>
        order[a.severity] - order[b.severity] ||
        compareText(a.object, b.object) ||
        compareText(a.code, b.code) ||
        compareText(a.message, b.message),
    );
    if (this.#left > 0)
      sorted.push({
        code: 'more-problems',
        severity: 'warning',
        object: '',
        message: `${this.#left} more problems are not listed`,
      });
    return sorted;
  }
}

function codeOf(error: unknown): string {
  if (error instanceof NotReadable) return 'unsupported';
  if (error instanceof OverLimit) return 'over-limit';
  // RangeError: a read beyond the end that a decoder left to DataView.
  if (error instanceof Damage || error instanceof JsonError || error instanceof FormatError || error instanceof RangeError)
    return 'unreadable';
  throw error;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
