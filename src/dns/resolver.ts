// One resolver that questions can be put to, however it is reached.
import { performance } from "node:perf_hooks";
import { formatResolver, type PlainResolver } from "../lib/resolver-address.ts";
import { askTcp, askUdp, type Patience, type Question } from "./exchange.ts";
import { FLAG, flagsOf } from "./wire.ts";

export interface Resolver {
  /** For logs. */
  readonly name: string;
  /** The reply under the message's id, with TC only where nothing whole can be had. Rejects with NoAnswer. */
  ask(question: Question, patience: Patience): Promise<Buffer>;
  close(): void;
}

export const plainResolver = (address: PlainResolver): Resolver => ({
  name: formatResolver(address),
  ask: async (question, { ms, signal }) => {
    const started = performance.now();
    const reply = await askUdp(address, question, { ms, signal });
    if ((flagsOf(reply) & FLAG.TC) === 0) return reply;
    const left = ms - (performance.now() - started);
    return askTcp(address, question, { ms: left, signal }).catch(() => reply);
  },
  close: () => undefined,
});
