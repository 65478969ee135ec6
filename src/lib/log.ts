// The one place that makes a logger: JSON lines, or lines that a person can read. Fields are allow-listed by their callers:
// no header object, query or credential ever comes here.
import { fstatSync } from "node:fs";
import { type Logger, pino } from "pino";
import { about } from "./units.ts";

export type { Logger };

export interface LogOptions {
  readonly level: "debug" | "info" | "warn" | "error" | "silent";
  /** `auto`: readable on a terminal, JSON otherwise. */
  readonly format: "auto" | "json" | "text";
}

export const silent: Logger = pino({ level: "silent" });

export const isReadable = ({ format }: LogOptions): boolean =>
  format === "text" || (format === "auto" && process.stdout.isTTY === true);

export const logger = (options: LogOptions): Logger => {
  const settings = { level: options.level, base: null, timestamp };
  if (!isReadable(options)) return pino(settings, inBatches());
  return pino(settings, { write: (line: string) => void process.stdout.write(`${readable(JSON.parse(line) as Line)}\n`) });
};

/** Lines of the same millisecond have the same time: writing it out costs as much as the rest of a line. */
const timestamp = (): string => {
  const now = Date.now();
  if (now !== stamped.at) stamped = { at: now, text: `,"time":"${new Date(now).toISOString()}"` };
  return stamped.text;
};
let stamped = { at: 0, text: "" };

/** What a pipe takes in one piece, whoever else writes to it (PIPE_BUF): both halves of the appliance have the same one. Bytes. */
const ONE_PIECE = 4_096;
/** A file takes any length in one piece. */
const FILE_PIECE = 32 * 1024;
/** What one UTF-16 unit of a text takes at the most. Bytes. */
const WIDEST = 3;

/** The lines of one turn of the event loop in as few writes as there can be: one costs as much as a line does. Nothing waits for longer. */
const inBatches = (): { write(line: string): void } => {
  // its type knows of texts only
  const out = pino.destination({ dest: 1, sync: true, contentMode: "buffer" }) as unknown as { write(bytes: Buffer): boolean };
  const waiting = Buffer.allocUnsafeSlow(fstatSync(1).isFile() ? FILE_PIECE : ONE_PIECE);
  let size = 0;
  let isEnding = false;
  const flush = () => {
    const length = size;
    size = 0;
    if (length > 0) out.write(waiting.subarray(0, length));
  };
  process.on("exit", () => {
    isEnding = true;
    flush();
  });
  return {
    write(line) {
      const room = line.length * WIDEST;
      if (size + room > waiting.length) flush();
      if (room > waiting.length) {
        out.write(Buffer.from(line));
        return;
      }
      if (size === 0) setImmediate(flush);
      size += waiting.write(line, size);
      if (isEnding) flush();
    },
  };
};

interface Line {
  readonly level: number;
  readonly time: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

const readable = (line: Line): string => {
  const time = line.time.slice(11, 19);
  return line.msg === "request" ? `${time} ${requestLine(line)}` : `${time} ${levelOf(line.level)}${line.msg}${rest(line)}`;
};

const requestLine = (line: Line): string => {
  const field = (name: string) => text(line[name]);
  const thing = line["repo"] === undefined ? field("path") : `${field("repo")}${referenceOf(line["ref"])}`;
  const cells = [
    (field("verdict") || "-").padEnd(11),
    field("status"),
    field("method").padEnd(4),
    `${field("site")} ${thing}`,
    `${about(Number(line["upstreamBytes"] ?? 0))} from upstream`,
    `${field("ms")} ms`,
    field("client"),
  ];
  if (line["whole"] === false) cells.push("(cut)");
  if (line["err"] !== undefined) cells.push(field("err"));
  return cells.join("  ");
};

const text = (value: unknown): string => {
  if (value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
};

const referenceOf = (reference: unknown): string => {
  if (typeof reference !== "string") return "";
  return reference.includes(":") ? `@${reference.slice(0, 19)}` : `:${reference}`;
};

const levelOf = (level: number): string => {
  if (level >= 50) return "error: ";
  return level >= 40 ? "warning: " : "";
};

const HEAD = new Set(["level", "time", "msg"]);

const rest = (line: Line): string => {
  const fields = Object.entries(line).filter(([name]) => !HEAD.has(name));
  return fields.map(([name, value]) => `  ${name}=${text(value)}`).join("");
};
