/**
 * How benches tell their figures. A figure means something only beside a
 * reference measured in the same run on the same machine: the ratio is what
 * one compares over time.
 */
export interface Figure {
  bench: string;
  case: string;
  value: number;
  unit: string;
  /** The same work done by the thing compared with, in the same unit. */
  reference?: number;
}

/** Prints one figure: a JSON line with `--json`, else a line to read. */
export function report(figure: Figure): void {
  const ratio = figure.reference === undefined ? null : round(figure.value / figure.reference);
  const reference = figure.reference === undefined ? null : round(figure.reference);
  const value = round(figure.value);
  if (process.argv.includes("--json")) {
    console.log(JSON.stringify({ bench: figure.bench, case: figure.case, value, unit: figure.unit, reference, ratio }));
    return;
  }
  const compared = reference === null ? "" : `   (reference ${reference}, ratio ${ratio})`;
  console.log(`${figure.bench}  ${figure.case.padEnd(40)} ${String(value).padStart(12)} ${figure.unit}${compared}`);
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}
