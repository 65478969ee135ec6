// For resolvers from before EDNS, and those behind firewalls that are: one that refuses a question with an OPT is asked once more without
// (RFC 6891 7), so that its clients need not know.
import { randomInt } from "node:crypto";
import { performance } from "node:perf_hooks";
import { NoAnswer, type Patience, type Question } from "./exchange.ts";
import type { Query } from "./prescreen.ts";
import { readRecords } from "./records.ts";
import { optRecord } from "./reply.ts";
import type { Resolver } from "./resolver.ts";
import { RCODE, rcodeOf } from "./wire.ts";

export const withoutEdnsIfNeedBe = (resolver: Resolver): Resolver => ({
  ...resolver,
  ask: async (question, patience) => {
    if (question.query.edns === undefined) return resolver.ask(question, patience);
    const started = performance.now();
    const refusal = await resolver.ask(question, patience).catch((error: unknown) => {
      if (error instanceof NoAnswer && isRefusal(error.rcode)) return error;
      throw error;
    });
    if (Buffer.isBuffer(refusal) && !isRefusal(rcodeWith(refusal, question.query))) return refusal;
    const left = { ms: patience.ms - (performance.now() - started), signal: patience.signal };
    return askPlainly(resolver, question, left).catch((error: unknown) => {
      if (Buffer.isBuffer(refusal)) return refusal;
      throw error;
    });
  },
});

const isRefusal = (rcode: number | undefined): boolean =>
  rcode === RCODE.FORMERR || rcode === RCODE.NOTIMP || rcode === RCODE.BADVERS;

/** With the eight bits of it that are in the OPT, which makes BADVERS of what looks like an empty answer. */
const rcodeWith = (reply: Buffer, { questionEnd, qtype }: Query): number => {
  const lengthAt = readRecords(reply, questionEnd, qtype)?.lastOpt;
  return rcodeOf(reply) | (lengthAt === undefined ? 0 : reply[lengthAt - 4]! << 4);
};

/** The reply with an OPT of ours, for the client has sent one (RFC 6891 6.1.1), and under the id of the question with one. */
const askPlainly = async (resolver: Resolver, { query, message }: Question, patience: Patience): Promise<Buffer> => {
  const bare = Buffer.from(message.subarray(0, query.questionEnd));
  bare.writeUInt16BE(randomInt(0x1_0000), 0);
  bare.writeUInt16BE(0, 10);
  const reply = await resolver.ask({ query: { ...query, message: bare, edns: undefined }, message: bare }, patience);
  const whole = Buffer.concat([reply, optRecord(false, 0)]);
  whole.writeUInt16BE(message.readUInt16BE(0), 0);
  whole.writeUInt16BE(whole.readUInt16BE(10) + 1, 10);
  return whole;
};
