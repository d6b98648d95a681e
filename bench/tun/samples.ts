import { report } from "../report.ts";

/** The figures of all rounds. */
export class Samples {
  readonly #values = new Map<string, number[]>();

  add(key: string, value: number): void {
    const values = this.#values.get(key);
    if (values === undefined) this.#values.set(key, [value]);
    else values.push(value);
  }

  clear(): void {
    this.#values.clear();
  }

  get(key: string): number[] {
    return this.#values.get(key) ?? [];
  }
}

/** Ours beside something else, measured in the same round. */
export interface Comparison {
  case: string;
  unit: string;
  ours: string;
  reference?: { name: string; key: string };
  /** What the ratio must reach, or not exceed. */
  atLeast?: number;
  atMost?: number;
}

export function print(samples: Samples, comparisons: Comparison[], bench = "tun"): void {
  const measured = (key: string | undefined) => key === undefined || samples.get(key).length > 0;
  const present = comparisons.filter(({ ours, reference }) => measured(ours) && measured(reference?.key));
  if (process.argv.includes("--markdown")) {
    console.log(
      "| case | unit | VNet: median (least to most) | compared with | its median (least to most) | ratio, same round | wanted |",
    );
    console.log("| --- | --- | --- | --- | --- | --- | --- |");
    for (const comparison of present) console.log(row(samples, comparison));
    return;
  }
  for (const { case: name, unit, ours, reference } of present) {
    const theirs = reference === undefined ? [] : samples.get(reference.key);
    const label = reference === undefined || theirs.length === 0 ? name : `${name} / ${reference.name}`;
    const figure = { bench, case: label, value: median(samples.get(ours)), unit };
    report(theirs.length === 0 ? figure : { ...figure, reference: median(theirs) });
  }
}

function row(samples: Samples, { case: name, unit, ours, reference, atLeast, atMost }: Comparison): string {
  const values = samples.get(ours);
  const theirs = reference === undefined ? [] : samples.get(reference.key);
  if (theirs.length === 0) return `| ${name} | ${unit} | ${span(values)} | | | | |`;
  const ratio = median(values.slice(0, theirs.length).map((value, round) => value / theirs[round]!));
  const wanted = atLeast !== undefined ? `≥ ${atLeast}` : atMost !== undefined ? `≤ ${atMost}` : "";
  const missed = (atLeast !== undefined && ratio < atLeast) || (atMost !== undefined && ratio > atMost);
  const told = missed ? `**${ratio.toFixed(2)}**` : ratio.toFixed(2);
  return `| ${name} | ${unit} | ${span(values)} | ${reference!.name} | ${span(theirs)} | ${told} | ${wanted} |`;
}

function span(values: number[]): string {
  const short = (value: number) => String(Number(value.toPrecision(3)));
  if (values.length === 1) return short(values[0]!);
  return `${short(median(values))} (${short(Math.min(...values))} to ${short(Math.max(...values))})`;
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
