// Two sockets made into one line: what the one sends the other gets, as it came and no faster than it takes it. An end passes as an end and the
// other way goes on; what breaks off breaks off there too.
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";

/** Why a line is over: both sides had said all, one of them broke off, nothing moved, or we had it ended. */
export type Ending = "done" | "client" | "host" | "idle" | "closed";

export interface JoinOptions {
  /** How long nothing may move in either direction. Milliseconds. */
  readonly idle: number;
  readonly signal: AbortSignal;
}

/** Resolves when both sockets are gone. Both must have been opened with `allowHalfOpen`. */
export const join = (client: Socket, host: Socket, { idle, signal }: JoinOptions): Promise<Ending> =>
  new Promise((resolve) => {
    let ending: Ending = "done";
    let open = 2;
    const tear = (why: Ending) => {
      if (ending === "done") ending = why;
      // what is torn here must not look like an end there
      breakOff(client);
      breakOff(host);
    };
    const close = () => tear("closed");
    const watch = (one: Socket, why: Ending) => {
      one.on("error", () => tear(why));
      one.once("close", () => {
        if (!one.readableEnded || !one.writableFinished) tear(why);
        open -= 1;
        if (open > 0) return;
        signal.removeEventListener("abort", close);
        resolve(ending);
      });
    };
    watch(client, "client");
    watch(host, "host");
    // whatever moves moves over this one
    host.setTimeout(idle, () => tear("idle"));
    client.setTimeout(0);
    if (client.destroyed || host.destroyed) tear(client.destroyed ? "client" : "host");
    else if (signal.aborted) close();
    else signal.addEventListener("abort", close, { once: true });
    client.pipe(host);
    host.pipe(client);
  });

/** Of TLS, which a tunnel through an HTTP proxy may lie in, an end without its closing alert is none (RFC 8446 6.1); a reset it does not have. */
const breakOff = (socket: Socket): void => void (socket instanceof TLSSocket ? socket.destroy() : socket.resetAndDestroy());
