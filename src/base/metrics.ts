/** Named counters of one component: `{"tcp.truncated": 3}`. Unknown names begin at 0. */
export class Counters {
  readonly #counts = new Map<string, { value: number }>();

  count(name: string, by = 1): void {
    const known = this.#counts.get(name);
    if (known === undefined) this.#counts.set(name, { value: by });
    else known.value += by;
  }

  get(name: string): number {
    return this.#counts.get(name)?.value ?? 0;
  }

  snapshot(): Record<string, number> {
    return Object.fromEntries([...this.#counts].map(([name, { value }]) => [name, value]));
  }
}
