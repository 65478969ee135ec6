// The set-up kit as this server gives it: what a client needs depends on how it has reached us. Loaded by whoever asks first.
import { isIP } from "node:net";
import type { Config } from "./config/config.ts";
import type { Exchange } from "./http/exchange.ts";
import { answerFor } from "./lib/answers.ts";
import { formatAddress } from "./lib/listen.ts";
import type { SetupPage } from "./setup/page.ts";

export interface OwnCa {
  /** PEM. */
  readonly bundle: string;
  readonly fingerprints: readonly string[];
}

/** As the client reached us: `http://10.0.0.5`. */
export const originOf = ({ req, host, door }: Pick<Exchange, "req" | "host" | "door">): string => {
  const secure = door === "https";
  const port = req.socket.localPort ?? (secure ? 443 : 80);
  const origin = `${secure ? "https" : "http"}://${formatAddress({ host: host === "" ? localAddress(req) : host, port })}`;
  return origin.replace(secure ? /:443$/ : /:80$/, "");
};

/** `undefined` for what there is no page of. */
export const setupKit =
  (config: Config, ca: OwnCa) =>
  async (exchange: Exchange): Promise<SetupPage | undefined> => {
    const [{ setupPage }, { setupOf }] = await Promise.all([import("./setup/page.ts"), import("./setup/installation.ts")]);
    // the address that the client knows us by, which behind a container's published ports is none of ours
    const address = isIP(exchange.host) === 0 ? localAddress(exchange.req) : exchange.host;
    const told = answerFor(config)(exchange.req.socket.remoteAddress ?? "");
    const answer = told === "auto" ? [address] : told;
    const setup = setupOf(config, {
      address: answer[0] ?? address,
      answer,
      ca: ca.bundle,
      fingerprints: ca.fingerprints,
      url: originOf(exchange),
    });
    return setupPage(exchange.path, exchange.query.get("door"), setup);
  };

const localAddress = (req: Exchange["req"]): string => (req.socket.localAddress ?? "").replace(/^::ffff:/, "");
