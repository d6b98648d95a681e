import type { RpcClient } from "../../rpc/mod.ts";

/** What takes longer than this is said, on a terminal. */
const SHOW_AFTER_MS = 1_000;
/** … and how long it has taken, this often. */
const UPDATE_MS = 1_000;

/** Where progress is shown; standard error, of which `isTTY` says whether a person looks at it. */
export interface ProgressTerminal {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/**
 * Carries out what may take long: on a terminal, after a second, one line says
 * what is waited for and since when, and is wiped out at the end. Elsewhere
 * nothing is shown, so that a file or a pipe holds what was said and no more.
 */
export async function withProgress<T>(
  what: string,
  done: Promise<T>,
  terminal: ProgressTerminal = process.stderr,
): Promise<T> {
  if (terminal.isTTY !== true) return done;
  const started = performance.now();
  let shown = false;
  const show = () => {
    shown = true;
    terminal.write(`\r\x1b[K${what} … ${Math.round((performance.now() - started) / 1000)} s`);
  };
  let timer: NodeJS.Timeout = setTimeout(() => {
    show();
    timer = setInterval(show, UPDATE_MS);
  }, SHOW_AFTER_MS);
  try {
    return await done;
  } finally {
    clearInterval(timer);
    if (shown) terminal.write("\r\x1b[K");
  }
}

/** Says so when the cluster takes its time to answer a call. */
export function showSlowCalls(rpc: RpcClient, where: string): void {
  rpc.observe((done) => {
    withProgress(`waiting for ${where}`, done).catch(() => {}); // The caller is told of the failure.
  });
}
