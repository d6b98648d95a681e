import { type ByteStream, type Cidr, cidrsOverlap, formatCidr, isMalformed, parseCidr } from "../base/mod.ts";
import type { TakenRange } from "../oscfg/mod.ts";
import { parseRange } from "./addresses.ts";
import type { AppView, ClusterView, Directory } from "./directory.ts";
import { RangeTakenError } from "./errors.ts";
import { MAX_IPV4_PREFIX_LEN } from "./limits.ts";

/** The largest CIDR within `range` that overlaps none of `taken`, the lowest of these; `undefined` when none is left. */
export function freePart(range: string, taken: readonly TakenRange[]): string | undefined {
  const wanted = parseRange(range);
  if (wanted === undefined) return undefined;
  let level: Part[] = [{ cidr: wanted, others: taken.flatMap(({ range: text }) => cidrOf(text)) }].map(narrowed);
  // All parts of one size, then of half that size; each knows only what overlaps it, so a level is no longer than `taken`.
  while (level.length > 0) {
    const free = level.find((part) => part.others.length === 0);
    if (free !== undefined) return formatCidr(free.cidr);
    level = level.flatMap(halves);
  }
  return undefined;
}

interface Part {
  readonly cidr: Cidr;
  readonly others: readonly Cidr[];
}

function narrowed({ cidr, others }: Part): Part {
  return { cidr, others: others.filter((other) => cidrsOverlap(cidr, other)) };
}

/** None of a part that is taken as a whole. */
function halves({ cidr, others }: Part): Part[] {
  const { base, prefixLen } = cidr;
  if (prefixLen >= MAX_IPV4_PREFIX_LEN || others.some((other) => other.prefixLen <= prefixLen)) return [];
  const upper = base.slice();
  upper[prefixLen >> 3]! |= 0x80 >> (prefixLen & 7);
  return [base, upper].map((start) => narrowed({ cidr: { base: start, prefixLen: prefixLen + 1 }, others }));
}

function cidrOf(text: string): Cidr[] {
  const cidr = parseCidr(text);
  return isMalformed(cidr) ? [] : [cidr];
}

/** Those of `taken` that overlap `range`. */
export function conflicts(range: string, taken: readonly TakenRange[]): TakenRange[] {
  const [wanted] = cidrOf(range);
  if (wanted === undefined) return [];
  return taken.filter(({ range: text }) => cidrOf(text).some((other) => cidrsOverlap(wanted, other)));
}

export interface FreeRangesOptions {
  taken(): readonly TakenRange[];
  /** For all clusters, instead of their own ranges. */
  readonly range?: string;
  /** Tells the person, once for each range, what part of it is used and why. */
  tell(line: string): void;
}

/**
 * A directory whose clusters keep to what this host has free. A range of which
 * nothing is free stays as it is, and what uses it is told: at the start that is
 * an error (`check`), later the names of one cluster are not worth the others'.
 */
export class FreeRanges implements Directory {
  readonly #directory: Directory;
  readonly #options: FreeRangesOptions;
  readonly #told = new Set<string>();

  constructor(directory: Directory, options: FreeRangesOptions) {
    this.#directory = directory;
    this.#options = options;
  }

  /** @throws {RangeTakenError} */
  check(): void {
    for (const cluster of this.#directory.clusters()) {
      const wanted = this.#wanted(cluster);
      const found = conflicts(wanted, this.#options.taken());
      if (found.length > 0 && freePart(wanted, found) === undefined)
        throw new RangeTakenError(inUse(wanted, found, undefined));
    }
  }

  clusters(): readonly ClusterView[] {
    return this.#directory.clusters().map((cluster) => ({ ...cluster, ipv4Cidr: this.#rangeOf(cluster) }));
  }

  onChange(listener: () => void): () => void {
    return this.#directory.onChange(listener);
  }

  dial(cluster: ClusterView, app: AppView, port: number, signal: AbortSignal): Promise<ByteStream> {
    return this.#directory.dial(cluster, app, port, signal);
  }

  needsLogin(cluster: ClusterView): void {
    this.#directory.needsLogin?.(cluster);
  }

  #wanted({ ipv4Cidr }: ClusterView): string {
    return this.#options.range ?? ipv4Cidr;
  }

  #rangeOf(cluster: ClusterView): string {
    const wanted = this.#wanted(cluster);
    const found = conflicts(wanted, this.#options.taken());
    if (found.length === 0) return wanted;
    const free = freePart(wanted, found);
    this.#tell(inUse(wanted, found, free));
    return free ?? wanted;
  }

  #tell(line: string): void {
    if (this.#told.has(line)) return;
    this.#told.add(line);
    this.#options.tell(line);
  }
}

function inUse(range: string, found: readonly TakenRange[], free: string | undefined): string {
  const others = found.length > 1 ? ` and ${found.length - 1} more` : "";
  const who = `${range} is in use on this host (${found[0]!.range} by ${found[0]!.by}${others})`;
  return free === undefined ? `${who}, all of it: choose another range with --ipv4-cidr` : `${who}: VNet uses ${free}`;
}
