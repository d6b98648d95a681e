import { Writable } from "node:stream";
import { pino } from "pino";

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/** Fields first, then a sentence. Secrets never go in. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /** The same log with `fields` on each line. */
  child(fields: object): Logger;
}

export interface LogOptions {
  level: LogLevel;
  format: "text" | "json";
  /** Where lines go; standard error by default. */
  write?: (line: string) => void;
}

export function createLogger(options: LogOptions): Logger {
  const write = options.write ?? ((line: string) => void process.stderr.write(line));
  const render = options.format === "json" ? (line: string) => line : textLine;
  const sink = new Writable({
    decodeStrings: false,
    write(line: string, _encoding, done) {
      write(render(line));
      done();
    },
  });
  return pino({ level: options.level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, sink);
}

export const silentLogger: Logger = createLogger({ level: "silent", format: "json" });

const LEVEL_NAMES: Record<number, string> = { 20: "DEBUG", 30: "INFO", 40: "WARN", 50: "ERROR", 60: "FATAL" };

function textLine(json: string): string {
  const { level, time, msg, ...fields } = JSON.parse(json) as { level: number; time: string; msg?: string };
  const rest = Object.entries(fields).map(
    ([key, value]) => `${key}=${typeof value === "string" ? JSON.stringify(value) : JSON.stringify(value)}`,
  );
  return [time, LEVEL_NAMES[level] ?? level, msg ?? "", ...rest].join(" ").concat("\n");
}
