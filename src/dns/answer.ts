// One message in, one message out, whatever comes: what the UDP and the TCP server have in common.
import { performance } from "node:perf_hooks";
import type { Logger } from "../lib/log.ts";
import { prescreen, type Query } from "./prescreen.ts";
import type { Relay } from "./relay.ts";
import { emptyReply, headerReply } from "./reply.ts";
import { RCODE, rcodeName, rcodeOf, typeName } from "./wire.ts";
import type { Zone } from "./zone.ts";

export interface Answered {
  /** Of any size. */
  readonly reply: Buffer;
  /** Undefined when the question could not be read; the reply is a bare header then. */
  readonly query: Query | undefined;
}

/** Never rejects. Undefined: nothing is to be answered. `client` is an address, with a zone if link-local. */
export type Answer = (message: Buffer, client: string) => Promise<Answered | undefined>;

export interface AnswerParts {
  readonly zone: Zone;
  readonly relay: Pick<Relay, "forward">;
  readonly log: Logger;
}

/** Queries under way in both servers; what comes beyond is left unanswered. */
const MAX_PENDING = 4_096;

export const createAnswer = ({ zone, relay, log }: AnswerParts): Answer => {
  let pending = 0;

  const decide = async (query: Query, client: string): Promise<Buffer> => {
    const started = performance.now();
    const own = await zone.answer(query, client);
    const reply = own ?? (await relay.forward(query));
    const ms = Math.round(performance.now() - started);
    log.debug({ ...fields(query, client), verdict: own ? "hijack" : "relay", rcode: rcodeName(rcodeOf(reply)), ms }, "dns query");
    return reply;
  };

  const settle = async (query: Query, client: string): Promise<Buffer> => {
    pending += 1;
    try {
      return await decide(query, client);
    } catch (error) {
      log.error({ ...fields(query, client), err: error }, "dns query failed");
      return emptyReply(query, RCODE.SERVFAIL);
    } finally {
      pending -= 1;
    }
  };

  return async (message, client) => {
    const screened = prescreen(message);
    if (screened.verdict === "drop") {
      log.debug({ client, verdict: "drop", octets: message.length }, "dns query");
      return undefined;
    }
    if (screened.verdict === "query") {
      if (pending >= MAX_PENDING) return undefined;
      return { reply: await settle(screened.query, client), query: screened.query };
    }
    const { query, rcode } = screened;
    log.debug({ ...(query ? fields(query, client) : { client }), verdict: rcodeName(rcode) }, "dns query");
    return { reply: query ? emptyReply(query, rcode) : headerReply(message, rcode), query };
  };
};

const fields = ({ qname, qtype }: Query, client: string) => ({ qname, qtype: typeName(qtype), client });
