// Connections to the hosts themselves on a client's behalf, for what is passed on untouched. A client gets no further by them than it could go if it had
// a way out of its own: never to ourselves, to this machine, or into the network that we stand in, unless the user has named the host.
import { connect, isIP, type LookupFunction, type Socket } from "node:net";
import { TimedOut, within } from "../lib/abort.ts";
import { reachOf } from "../lib/address-reach.ts";
import { plainAddress } from "../lib/prefixes.ts";
import { OciError } from "../oci/error.ts";
import type { UpstreamResolver } from "./resolver.ts";
import { type HttpProxy, openTunnel } from "./tunnel.ts";

export interface RealHostOptions {
  readonly resolver: Pick<UpstreamResolver, "resolve" | "refuseOurs">;
  /** Whether the user has named the host: then it may be in a private network, or beside us. */
  readonly isNamed: (host: string) => boolean;
  /** Whether an address is one of this machine, whatever its port. */
  readonly isHere: (address: string) => boolean;
  /** Then it looks the names up, so nobody can tell beforehand where they lead: only hosts that are named are reached through it. */
  readonly proxy?: HttpProxy | undefined;
  /** For look-up and connection together. Milliseconds; 8 s unless told. */
  readonly within?: number;
}

const WITHIN = 8_000;
/** Before the next of a name's addresses is tried. */
const EACH = 1_000;

/** `host` is a name or an address. Throws DENIED, LOOP_DETECTED or UPSTREAM_UNREACHABLE. What it gives may be half open. */
export const realHosts =
  ({ resolver, isNamed, isHere, proxy, within: limit = WITHIN }: RealHostOptions) =>
  async (asked: string, port: number, signal: AbortSignal): Promise<Socket> => {
    const host = isIP(asked) === 0 ? asked : plainAddress(asked);
    if (proxy !== undefined) {
      if (!isNamed(host)) throw denied(`${host} is in no list of hosts that are reached through the HTTP proxy`);
      resolver.refuseOurs(proxy.url);
      return halfOpen(await unlessLeft(openTunnel(proxy, host, port), signal));
    }
    const patience = AbortSignal.any([signal, AbortSignal.timeout(limit)]);
    const found = await within(resolver.resolve(host, port), limit).catch((error: unknown) => {
      throw error instanceof TimedOut ? unreached(host, "no resolver answers in time", error) : error;
    });
    const isFit = ({ address }: { readonly address: string }) => {
      const reach = reachOf(address);
      return isNamed(host) ? reach !== "never" : reach === "public" && !isHere(address);
    };
    const fit = found.filter(isFit);
    if (fit.length === 0) throw denied(`${host} is in a network that nothing is passed on to`);
    return connected(host, port, fit, patience, signal);
  };

const connected = (
  host: string,
  port: number,
  addresses: readonly { readonly address: string; readonly family: 4 | 6 }[],
  patience: AbortSignal,
  left: AbortSignal,
): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const lookup: LookupFunction = (_host, options, done) => {
      if (options.all === true) done(null, [...addresses]);
      else done(null, addresses[0]!.address, addresses[0]!.family);
    };
    const socket = connect({
      ...{ host, port, lookup, allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 },
      ...{ autoSelectFamily: true, autoSelectFamilyAttemptTimeout: EACH },
    });
    const give = () => socket.destroy(unreached(host, left.aborted ? "nobody waits for it" : "it does not answer in time"));
    if (patience.aborted) give();
    else patience.addEventListener("abort", give, { once: true });
    const failed = (error: NodeJS.ErrnoException) => {
      patience.removeEventListener("abort", give);
      reject(error instanceof OciError ? error : unreached(host, error.code ?? error.message, error));
    };
    socket.once("error", failed);
    socket.once("connect", () => {
      patience.removeEventListener("abort", give);
      socket.off("error", failed);
      resolve(socket);
    });
  });

const unlessLeft = async (opening: Promise<Socket>, signal: AbortSignal): Promise<Socket> => {
  const socket = await opening;
  if (!signal.aborted) return socket;
  socket.destroy();
  throw signal.reason;
};

const halfOpen = (socket: Socket): Socket => {
  socket.allowHalfOpen = true;
  return socket;
};

const denied = (why: string): OciError => new OciError("DENIED", why);

const unreached = (host: string, why: string, cause?: unknown): OciError =>
  new OciError("UPSTREAM_UNREACHABLE", `${host} cannot be reached: ${why}`, { cause });
