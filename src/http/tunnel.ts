// Connections that are passed on untouched to the host that they are for. Who may be reached is `dial`'s to say; how many there are at once, how long
// they may be idle, and what is noted of them is ours: one line each, with bytes and times and nothing of what is in them.
import type { Socket } from "node:net";
import { Counters } from "../lib/counters.ts";
import { type Bounds, Headcount } from "../lib/headcount.ts";
import type { Logger } from "../lib/log.ts";
import { Seldom } from "../lib/seldom.ts";
import { isOciError, OciError } from "../oci/error.ts";
import { join } from "./join.ts";

/** A connection to the real host. Throws OciError; the signal ends the attempt. */
export type Dial = (host: string, port: number, signal: AbortSignal) => Promise<Socket>;

export interface Target {
  /** A name in plain form, or an address. */
  readonly host: string;
  readonly port: number;
}

export interface TunnelOptions {
  /** The way in, for the log. */
  readonly door: string;
  /** What the client has sent already, to go first. */
  readonly head?: Buffer;
  /** The host is there, and no byte has gone either way. */
  readonly opened?: () => void;
}

export interface Tunnels {
  /**
   * Joins the client, whose socket allows half-open, with the host; resolves when both are gone. Throws OciError where there is no connection, and
   * then leaves the client as it is: TOOMANYREQUESTS when there are too many, or as `dial` does.
   */
  through(client: Socket, target: Target, options: TunnelOptions): Promise<void>;
  readonly counts: Readonly<Record<"opened" | "failed" | "turnedAway", number>>;
  /** At present. */
  readonly open: number;
  /** Ends those that there are, and opens no more. */
  close(): void;
}

export interface TunnelsParts {
  readonly dial: Dial;
  /** For when no more will be dialled. */
  readonly release?: () => void;
  readonly log: Logger;
  readonly bounds?: Bounds;
  /** How long nothing may move. Milliseconds. */
  readonly idle?: number;
}

/** Each is two sockets and some 100 kB; one address may be a farm's. */
const BOUNDS: Bounds = { all: 2_048, each: 512 };
const IDLE = 10 * 60_000;

export const tunnels = ({ dial, release, log, bounds = BOUNDS, idle = IDLE }: TunnelsParts): Tunnels => {
  const there = new Headcount(bounds);
  const counters = new Counters(["opened", "failed", "turnedAway"]);
  const full = new Seldom();
  const over = new AbortController();

  const turnAway = (client: string): OciError => {
    counters.add("turnedAway");
    full.tell((times) =>
      log.warn({ client, times, open: there.all, ...bounds }, "too many tunnels: further ones are turned away"),
    );
    return new OciError("TOOMANYREQUESTS", "too many connections are being passed on already", { retryAfterMs: 1_000 });
  };

  const through: Tunnels["through"] = async (client, { host, port }, { door, head, opened }) => {
    const address = (client.remoteAddress ?? "").replace(/^::ffff:/, "");
    // whoever is told of a failure has a last word for the client, which may have gone
    client.on("error", ignore);
    const began = performance.now();
    const said = { door, host: host.slice(0, 255), port, client: address };
    const ms = () => Math.round(performance.now() - began);
    // what its end brings is not always heard by whoever is told of a failure, and unheard it would end the process
    client.on("error", ignore);
    const leave = there.enter(address);
    if (leave === undefined) throw turnAway(address);
    try {
      const far = await whileHere(client, over.signal, (signal) => dial(host, port, signal));
      counters.add("opened");
      const before = { up: far.bytesWritten, down: far.bytesRead };
      opened?.();
      if (head !== undefined && head.length > 0) far.write(head);
      const end = await join(client, far, { idle, signal: over.signal });
      const [up, down] = [far.bytesWritten - before.up, far.bytesRead - before.down];
      log.info({ ...said, end, up, down, ms: ms() }, "tunnel");
    } catch (error) {
      counters.add("failed");
      const reason = error instanceof Error ? error.message.slice(0, 300) : String(error);
      log.info({ ...said, ms: ms(), err: reason }, "no tunnel");
      throw isOciError(error) ? error : new OciError("UPSTREAM_UNREACHABLE", `${said.host} cannot be reached`, { cause: error });
    } finally {
      leave();
    }
  };

  return {
    through,
    get counts() {
      return counters.snapshot();
    },
    get open() {
      return there.all;
    },
    close() {
      over.abort(new OciError("UNAVAILABLE", "Layover is ending"));
      release?.();
    },
  };
};

const ignore = (): void => undefined;

/** A client that goes while the host is being looked for waits for nothing more. */
const whileHere = async (client: Socket, over: AbortSignal, dial: (signal: AbortSignal) => Promise<Socket>): Promise<Socket> => {
  const gone = new AbortController();
  const left = () => gone.abort(new Error("the client has gone"));
  client.once("close", left);
  try {
    if (client.destroyed) left();
    const signal = AbortSignal.any([gone.signal, over]);
    signal.throwIfAborted();
    const far = await dial(signal);
    if (signal.aborted) far.destroy();
    signal.throwIfAborted();
    return far;
  } finally {
    client.off("close", left);
  }
};
