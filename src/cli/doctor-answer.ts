// Doctor's check of `answer`: the addresses that hijacked names resolve to must be ways to the TLS door.
import { connect } from "node:net";
import { formatAddress } from "../lib/listen.ts";
import { plainAddress } from "../lib/prefixes.ts";
import { type Finding, ok, reasonOf, warn } from "./doctor-finding.ts";

export interface AnswerCheck {
  readonly answer: "auto" | readonly string[];
  /** Of this machine. */
  readonly interfaces: readonly string[];
  readonly timeout: number;
  /** 443 but in tests: clients know no other. */
  readonly port?: number;
}

/** From here only so much can be seen: an address that a router leads here may be closed to us and open to clients. */
export const checkAnswer = async ({ answer, interfaces, timeout, port = 443 }: AnswerCheck): Promise<Finding[]> => {
  if (answer === "auto") return [];
  return Promise.all(
    answer.map(async (host) => {
      const at = formatAddress({ host, port });
      const isHere = interfaces.map(plainAddress).includes(plainAddress(host));
      const closed = await reach(host, port, timeout).then(() => undefined, reasonOf);
      if (closed === undefined) return ok("answer", `${at} is open`);
      const text = isHere
        ? `names are answered with ${host}, and ${at} is not open: ${closed}`
        : `names are answered with ${host}, which is no address of this machine and is not open from here: ${closed}`;
      return warn("answer", text, "set `answer` (LAYOVER_ANSWER), or see from a client: `layover doctor --from client`");
    }),
  );
};

const reach = (host: string, port: number, timeout: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host, port, timeout });
    socket.once("connect", () => {
      socket.destroy();
      resolve();
    });
    socket.once("timeout", () => socket.destroy(new Error(`no answer within ${timeout / 1_000} s`)));
    socket.once("error", reject);
  });
