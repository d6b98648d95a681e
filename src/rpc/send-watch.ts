import { constants, type ServerHttp2Stream } from "node:http2";
import type { Kind } from "../api/mod.ts";
import { raced } from "../base/mod.ts";
import type { WatchEventOf } from "./contract.ts";
import { WatchOverflowError } from "./errors.ts";
import { HEARTBEAT_MS, SILENCE_MS } from "./limits.ts";

/** The text of each resource that is told, as long as somebody holds it: a change is the same for all watchers. */
export type LineTexts = WeakMap<object, string>;

/**
 * Writes a watch as JSON lines. The next event is pulled only when the last
 * one was taken, so what a slow watcher leaves unread waits in the source's
 * bounded queue, which ends the watch when it overflows. A watcher that reads
 * nothing at all for 15 s is cut off here.
 */
export async function sendWatch(
  stream: ServerHttp2Stream,
  events: AsyncIterable<WatchEventOf<Kind>>,
  signal: AbortSignal,
  texts: LineTexts,
): Promise<void> {
  const source = events[Symbol.asyncIterator]();
  let heartbeat: NodeJS.Timeout | undefined;
  try {
    // A watch that is refused at once is refused by its status, as any call is.
    let next = await raced(source.next(), signal);
    stream.respond({ [constants.HTTP2_HEADER_STATUS]: 200, "content-type": "application/x-ndjson" });
    heartbeat = setInterval(() => {
      if (!stream.writableNeedDrain && !stream.writableEnded) writeLine(stream, ALIVE);
    }, HEARTBEAT_MS);
    heartbeat.unref();
    while (!next.done) {
      if (!writeLine(stream, lineOf(next.value, texts))) await drained(stream, signal);
      next = await raced(source.next(), signal);
    }
    stream.end();
  } finally {
    clearInterval(heartbeat);
    // Not awaited: a source that waits inside `next` ends by the signal, not by `return`.
    void Promise.resolve(source.return?.()).catch(() => {});
  }
}

const ALIVE = '{"type":"alive"}';

function lineOf(event: WatchEventOf<Kind>, texts: LineTexts): string {
  if (event.type !== "put") return JSON.stringify(event);
  const text = texts.get(event.resource) ?? JSON.stringify(event.resource);
  texts.set(event.resource, text);
  return `{"type":"put","resource":${text}}`;
}

function writeLine(stream: ServerHttp2Stream, line: string): boolean {
  return stream.destroyed || stream.write(`${line}\n`);
}

function drained(stream: ServerHttp2Stream, signal: AbortSignal): Promise<void> {
  const wait = Promise.withResolvers<void>();
  stream.once("drain", wait.resolve);
  const timer = setTimeout(() => {
    stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    wait.reject(new WatchOverflowError("the watcher has read nothing for too long: list again"));
  }, SILENCE_MS);
  timer.unref();
  return raced(wait.promise, signal).finally(() => {
    clearTimeout(timer);
    stream.removeListener("drain", wait.resolve);
  });
}
