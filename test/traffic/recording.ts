// What the files in this folder hold: for each client its sessions, for each session every request in the order it was sent.
import { readdirSync, readFileSync } from "node:fs";

/** Names and values as they were on the wire: order, case and repetitions kept. */
export type Headers = readonly (readonly [name: string, value: string])[];

export interface Body {
  /** Digest of a whole blob or manifest: one of content.ts, or of the recording's own `bodies`. */
  readonly of: string;
  /** The part of it that this request carried. */
  readonly from: number;
  readonly length: number;
}

export interface Asked {
  /** Requests of one wave were under way together; each wave began when all before it were answered. */
  readonly wave: number;
  /** The connection, numbered within the session. */
  readonly on: number;
  /** Method and target. `PUT @3?digest=…` goes where the answer to request 3 of the session led, with these parameters added. */
  readonly ask: string;
  /** Which of the recording's `headers`. */
  readonly headers: string;
  readonly body?: Body;
  /** 0 where there was no answer. */
  readonly status: number;
  /** Of the answer's body, as far as it was passed on; whole MiB only where the client left. */
  readonly bytes: number;
  /** The recorder tore the connection here, that many bytes into the body. */
  readonly torn?: true;
  /** The client closed before it had the whole answer. */
  readonly left?: true;
}

export interface Session {
  readonly scenario: string;
  readonly command: string;
  /** Whether the client was content in the end. */
  readonly succeeded: boolean;
  /** None where the client had no need to ask. */
  readonly requests: readonly Asked[];
}

export interface Recording {
  readonly client: string;
  readonly version: string;
  /** Each list once, by the first digits of its own hash, so that one that changes is the only one to change. */
  readonly headers: Readonly<Record<string, Headers>>;
  /** Small bodies that the client made itself, in base64, by digest. */
  readonly bodies: Readonly<Record<string, string>>;
  readonly sessions: readonly Session[];
}

const text = (value: unknown): string => JSON.stringify(value);
const block = (open: string, lines: readonly string[], close: string, indent: string): string =>
  lines.length === 0 ? open + close : `${open}\n${indent}  ${lines.join(`,\n${indent}  `)}\n${indent}${close}`;
const table = (record: object): string =>
  block(
    "{",
    Object.entries(record).map((pair) => pair.map(text).join(": ")),
    "}",
    "  ",
  );
const session = ({ requests, ...rest }: Session): string =>
  `${text(rest).slice(0, -1)},"requests":${block("[", requests.map(text), "]", "    ")}}`;

/** One request a line, so that a new recording shows what has changed. */
export const format = ({ client, version, headers, bodies, sessions }: Recording): string => {
  const fields = { client: text(client), version: text(version), headers: table(headers), bodies: table(bodies) };
  const lines = Object.entries({ ...fields, sessions: block("[", sessions.map(session), "]", "  ") });
  return `${block(
    "{",
    lines.map(([name, value]) => `"${name}": ${value}`),
    "}",
    "",
  )}\n`;
};

const isRecording = (name: string) => name.endsWith(".json");

export const recordings = (): readonly Recording[] =>
  readdirSync(import.meta.dirname)
    .filter(isRecording)
    .map((name) => JSON.parse(readFileSync(`${import.meta.dirname}/${name}`, "utf8")) as Recording);
