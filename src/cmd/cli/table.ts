/**
 * Plain aligned columns: header, dashes as wide as the column, one space
 * between columns, no space at a line's end.
 */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, i) => Math.max(width(title), ...rows.map((row) => width(row[i] ?? ""))));
  const dashes = widths.map((each) => "-".repeat(each));
  return [header, dashes, ...rows].map((row) => line(row, widths)).join("");
}

/** Rows without a header: `Cluster  teleport.example.com`. */
export function headless(rows: readonly (readonly string[])[]): string {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, i) => Math.max(0, ...rows.map((row) => width(row[i] ?? ""))));
  return rows.map((row) => line(row, widths)).join("");
}

function line(cells: readonly string[], widths: readonly number[]): string {
  const padded = widths.map((each, i) => {
    const cell = printable(cells[i] ?? "");
    return cell + " ".repeat(Math.max(0, each - width(cell)));
  });
  return `${padded.join(" ").trimEnd()}\n`;
}

function width(text: string): number {
  return Array.from(printable(text)).length;
}

/** Names come from other people: control characters must not reach a terminal. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, "\u{fffd}");
}
