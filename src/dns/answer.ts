// One message in, one message out, whatever comes: what the UDP and the TCP server have in common.
import { performance } from "node:perf_hooks";
import type { Logger } from "../lib/log.ts";
import { prescreen, type Query } from "./prescreen.ts";
import { emptyReply, headerReply } from "./reply.ts";
import { RCODE, rcodeName, rcodeOf, typeName } from "./wire.ts";
import type { Zone } from "./zone.ts";

export interface Answered {
  /** Of any size. */
  readonly reply: Buffer;
  /** Undefined when the question could not be read; the reply is a bare header then. */
  readonly query: Query | undefined;
}

/**
 * At once where the zone can, else a promise, which costs. Never throws or rejects. Undefined: nothing is to be answered.
 * `client` is an address, with a zone if link-local.
 */
export type Answer = (message: Buffer, client: string) => Promise<Answered | undefined> | Answered | undefined;

/** What is not ours, answered by others. */
export interface Forwarder {
  /**
   * A whole message under the query's id, of any size, at once where it is known. Never throws or rejects: no resolver answering is SERVFAIL.
   * `client`: for whom, by address; ourselves unless told.
   */
  forward(query: Query, client?: string): Promise<Buffer> | Buffer;
}

export interface AnswerParts {
  readonly zone: Zone;
  readonly relay: Forwarder;
  readonly log: Logger;
}

/** Queries whose client's way to us is being found out; what comes beyond is left unanswered. The relay has a bound of its own. */
const MAX_PENDING = 4_096;

export const createAnswer = ({ zone, relay, log }: AnswerParts): Answer => {
  let pending = 0;
  const isTold = (): boolean => log.isLevelEnabled("debug");

  const failed = (query: Query, client: string, error: unknown): Answered => {
    log.error({ ...fields(query, client), err: error }, "dns query failed");
    return { reply: emptyReply(query, RCODE.SERVFAIL), query };
  };

  const answered = (query: Query, client: string, verdict: string, reply: Buffer, started: number): Answered => {
    if (isTold()) {
      const ms = Math.round(performance.now() - started);
      log.debug({ ...fields(query, client), verdict, rcode: rcodeName(rcodeOf(reply)), ms }, "dns query");
    }
    return { reply, query };
  };

  /** What the zone leaves. */
  const pass = (query: Query, client: string, started: number): Promise<Answered> | Answered => {
    const reply = relay.forward(query, client);
    if (Buffer.isBuffer(reply)) return answered(query, client, "cache", reply, started);
    return reply.then(
      (late) => answered(query, client, "relay", late, started),
      (error: unknown) => failed(query, client, error),
    );
  };

  /** What the zone has to find out first. */
  const settle = async (query: Query, client: string, found: Promise<Buffer | undefined>, started: number) => {
    pending += 1;
    try {
      const own = await found;
      return own ? answered(query, client, "hijack", own, started) : await pass(query, client, started);
    } catch (error) {
      return failed(query, client, error);
    } finally {
      pending -= 1;
    }
  };

  const decide = (query: Query, client: string): Promise<Answered> | Answered | undefined => {
    const started = isTold() ? performance.now() : 0;
    try {
      const own = zone.answer(query, client);
      if (Buffer.isBuffer(own)) return answered(query, client, "hijack", own, started);
      if (own === undefined) return pass(query, client, started);
      return pending < MAX_PENDING ? settle(query, client, own, started) : undefined;
    } catch (error) {
      return failed(query, client, error);
    }
  };

  return (message, client) => {
    const screened = prescreen(message);
    if (screened.verdict === "query") return decide(screened.query, client);
    if (screened.verdict === "drop") {
      if (isTold()) log.debug({ client, verdict: "drop", octets: message.length }, "dns query");
      return undefined;
    }
    const { query, rcode } = screened;
    if (isTold()) log.debug({ ...(query ? fields(query, client) : { client }), verdict: rcodeName(rcode) }, "dns query");
    return { reply: query ? emptyReply(query, rcode) : headerReply(message, rcode), query };
  };
};

const fields = ({ qname, qtype }: Query, client: string) => ({ qname, qtype: typeName(qtype), client });
