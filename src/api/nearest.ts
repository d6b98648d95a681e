import { MAX_SHOWN_LEN } from "./limits.ts";

/**
 * The known word closest to `word`, if it is close enough to be a slip:
 * at most a third of its letters wrong; two that changed places are one. Case
 * does not count.
 */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    if (Math.abs(candidate.length - word.length) >= bestDistance) continue;
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Levenshtein's distance with neighbours that changed places (optimal string alignment), one row at a time. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const transposition = swapped ? before[j - 2]! + 1 : Number.POSITIVE_INFINITY;
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, substitution, transposition));
    }
    [before, row] = [row, next];
  }
  return row[b.length]!;
}

/** `unknown key "sufix"; did you mean "suffix"?` */
export function unknownWord(what: string, word: string, known: Iterable<string>): string {
  const long = word.length > MAX_SHOWN_LEN;
  const shown = JSON.stringify(long ? `${word.slice(0, MAX_SHOWN_LEN)}…` : word);
  const guess = long ? undefined : nearest(word, known);
  return `unknown ${what} ${shown}${guess === undefined ? "" : `; did you mean ${JSON.stringify(guess)}?`}`;
}
