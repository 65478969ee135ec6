// Questions and answers for the tests, made by hand or by dns-packet, never by the code under test.
import { encode } from "dns-packet";
import { prescreen, type Query } from "../../src/dns/prescreen.ts";
import { TYPE } from "../../src/dns/wire.ts";

export interface QuestionOptions {
  readonly id?: number;
  readonly class?: number;
  readonly flags?: number;
  readonly edns?: { readonly size?: number; readonly do?: boolean; readonly version?: number; readonly options?: Buffer };
}

const RD = 0x0100;

export const word = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);

export const wireName = (name: string): Buffer =>
  Buffer.concat([
    ...name
      .split(".")
      .filter((label) => label !== "")
      .map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, "latin1")])),
    Buffer.from([0]),
  ]);

export const header = (id: number, flags: number, counts: readonly [number, number, number, number]): Buffer =>
  Buffer.concat([id, flags, ...counts].map(word));

export const opt = ({
  size = 1232,
  do: dnssec = false,
  version = 0,
  options = Buffer.alloc(0),
}: NonNullable<QuestionOptions["edns"]>) =>
  Buffer.concat([
    Buffer.from([0, 0, TYPE.OPT]),
    word(size),
    Buffer.from([0, version, dnssec ? 0x80 : 0, 0]),
    word(options.length),
    options,
  ]);

export const question = (name: string, type: number = TYPE.A, options: QuestionOptions = {}): Buffer => {
  const { id = 0x1234, flags = RD, edns } = options;
  const extra = edns === undefined ? [] : [opt(edns)];
  const counts = [1, 0, 0, extra.length] as const;
  return Buffer.concat([header(id, flags, counts), wireName(name), word(type), word(options.class ?? 1), ...extra]);
};

/** The parsed form; throws when the message does not pass. */
export const query = (...args: Parameters<typeof question>): Query => {
  const screened = prescreen(question(...args));
  if (screened.verdict !== "query") throw new Error(`expected a query, found ${JSON.stringify(screened)}`);
  return screened.query;
};

/** A resolver's reply with A records, to the very question that came. */
export const replyTo = (message: Buffer, addresses: readonly string[], flags = 0x8180): Buffer => {
  const end = questionEnd(message);
  const records = addresses.map((address) =>
    Buffer.concat([word(0xc00c), word(TYPE.A), word(1), word(0), word(60), word(4), Buffer.from(address.split(".").map(Number))]),
  );
  const counts = [1, records.length, 0, 0] as const;
  return Buffer.concat([header(message.readUInt16BE(0), flags, counts), message.subarray(12, end), ...records]);
};

export const questionEnd = (message: Buffer): number => {
  let at = 12;
  while (message[at] !== 0) at += 1 + message[at]!;
  return at + 5;
};

export const byOracle = (fields: object): Buffer => encode({ type: "query", id: 7, flags: RD, ...fields });
