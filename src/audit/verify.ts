import { open } from "node:fs/promises";
import { join } from "node:path";
import { GENESIS, type Head, hashOf, isGenuine, type Notary, readLine } from "./chain.ts";
import { logFiles, REMOVED_FILE, removedLine } from "./files.ts";
import { MAX_AUDIT_PROBLEMS } from "./limits.ts";

export interface VerifyReport {
  readonly records: number;
  readonly checkpoints: number;
  /** Events written before the log was a chain. */
  readonly unchained: number;
  readonly files: number;
  readonly head: Head;
  /** Empty: nothing was changed, removed or cut, up to the head that was saved last. */
  readonly problems: readonly string[];
}

/**
 * Reads the whole log and follows its chain. `heads`: what is known from
 * elsewhere of where the log must have been; the log must pass through each.
 */
export async function verifyLog(o: {
  dir: string;
  notary: Pick<Notary, "verify">;
  heads: readonly Head[];
}): Promise<VerifyReport> {
  const walk = new Walk(o.notary, o.heads);
  const removed = await removedLine(o.dir);
  if (removed !== undefined) walk.begin(removed);
  const files = await logFiles(o.dir);
  for (const [i, name] of files.entries()) {
    await using handle = await open(join(o.dir, name), "r");
    let number = 0;
    for await (const line of handle.readLines({ autoClose: false })) walk.line(line, `${name}:${++number}`);
    if (i < files.length - 1) walk.endOfFile(name);
  }
  return walk.end(files.length);
}

class Walk {
  readonly #notary: Pick<Notary, "verify">;
  readonly #expected: Map<number, string>;
  readonly #problems: string[] = [];
  #head: Head = GENESIS;
  #records = 0;
  #checkpoints = 0;
  #unchained = 0;
  #sealed = true;

  constructor(notary: Pick<Notary, "verify">, heads: readonly Head[]) {
    this.#notary = notary;
    this.#expected = new Map(heads.filter(({ seq }) => seq > 0).map(({ seq, hash }) => [seq, hash]));
  }

  /** The chain begins behind what retention removed, if Auth signed for that. */
  begin(line: string): void {
    const read = readLine(line);
    if (read.kind !== "checkpoint" || !isGenuine(read.checkpoint, read.signature, this.#notary)) {
      this.#problem(`${REMOVED_FILE}: not signed by this cluster's Auth Service`);
      return;
    }
    const { seq, hash } = read.checkpoint;
    this.#head = { seq, hash };
  }

  line(text: string, place: string): void {
    const line = readLine(text);
    switch (line.kind) {
      case "record":
        this.#record(line.head, line.event, place);
        return;
      case "checkpoint": {
        this.#checkpoints++;
        this.#sealed = true;
        const { seq, hash } = line.checkpoint;
        if (!isGenuine(line.checkpoint, line.signature, this.#notary)) this.#problem(`${place}: a forged checkpoint`);
        else if (seq !== this.#head.seq || hash !== this.#head.hash) {
          this.#problem(`${place}: the checkpoint is of record ${seq}, which is not what precedes it`);
        }
        return;
      }
      case "other":
        if (this.#head.seq === 0 && this.#records === 0) this.#unchained++;
        else this.#problem(`${place}: not a record of the chain`);
    }
  }

  endOfFile(name: string): void {
    if (!this.#sealed) this.#problem(`${name}: does not end with a checkpoint`);
  }

  end(files: number): VerifyReport {
    for (const [seq, hash] of this.#expected) {
      if (seq === this.#head.seq && hash === this.#head.hash) continue;
      if (seq > this.#head.seq)
        this.#problem(`the end is cut off: records ${this.#head.seq + 1} to ${seq} are missing`);
    }
    const { records, checkpoints, unchained } = {
      records: this.#records,
      checkpoints: this.#checkpoints,
      unchained: this.#unchained,
    };
    return { records, checkpoints, unchained, files, head: this.#head, problems: this.#problems };
  }

  #record(head: Head, event: string, place: string): void {
    const next = this.#head.seq + 1;
    this.#records++;
    this.#sealed = false;
    if (head.seq > next) this.#problem(`${place}: records ${next} to ${head.seq - 1} before it are missing`);
    else if (head.seq < next) this.#problem(`${place}: record ${head.seq} stands where ${next} was expected`);
    else if (hashOf(event, { seq: next, hash: this.#head.hash }) !== head.hash) {
      this.#problem(`${place}: record ${head.seq} was changed, or what precedes it`);
    }
    const known = this.#expected.get(head.seq);
    if (known !== undefined && known !== head.hash) {
      this.#problem(`${place}: record ${head.seq} is not the one that was saved in storage`);
    }
    this.#head = head; // Go on from what it says, to tell what else is wrong.
  }

  #problem(text: string): void {
    if (this.#problems.length < MAX_AUDIT_PROBLEMS) this.#problems.push(text);
  }
}
