/** Runs `work` over all items, at most `width` at once; results in the items' order. The first error wins, no new work starts. */
export async function mapConcurrently<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  let failed = false;
  const worker = async (): Promise<void> => {
    while (!failed && next < items.length) {
      const index = next++;
      try {
        results[index] = await work(items[index]!, index);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
  return results;
}

/** Lets work of a total weight through; a single piece heavier than that goes alone. */
export class WeightGate {
  #free: number;
  readonly #capacity: number;
  readonly #waiting: { weight: number; enter: () => void }[] = [];
  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#free = capacity;
  }

  async run<T>(weight: number, work: () => Promise<T>): Promise<T> {
    const taken = Math.min(Math.max(weight, 1), this.#capacity);
    if (this.#waiting.length > 0 || this.#free < taken) {
      await new Promise<void>((enter) => this.#waiting.push({ weight: taken, enter }));
    } else this.#free -= taken;
    try {
      return await work();
    } finally {
      this.#free += taken;
      while (this.#waiting[0] !== undefined && this.#waiting[0].weight <= this.#free) {
        const { weight: next, enter } = this.#waiting.shift()!;
        this.#free -= next;
        enter();
      }
    }
  }
}
