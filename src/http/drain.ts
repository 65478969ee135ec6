// How a door is closed: what is idle goes at once, what is under way when it has ended, and the rest when there is no more time.
import type { Server } from "node:http";
import type { Socket } from "node:net";

/**
 * Connections that have not brought a whole request yet: opened ahead (Go's clients do), or still shaking hands. Node counts none of
 * them as idle, and does not see the latter at all. Known by the other end, which is the same below TLS as above it.
 */
export class Silent {
  readonly #sockets = new Map<string, Socket>();

  add(socket: Socket): void {
    const end = endOf(socket);
    this.#sockets.set(end, socket);
    socket.once("close", () => {
      if (this.#sockets.get(end) === socket) this.#sockets.delete(end);
    });
  }

  spoke(socket: Socket): void {
    this.#sockets.delete(endOf(socket));
  }

  close(): void {
    for (const socket of this.#sockets.values()) socket.destroy();
  }
}

const endOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`;

/** A connection that was in use when the draining began is closed as soon as it is idle. Milliseconds. */
const LOOK_EVERY = 100;

/** No new connections; what is under way may end until `signal` fires. `behind` has what has come by CONNECT. */
export const drain = (
  server: Server,
  behind: Server | undefined,
  silent: Silent,
  open: ReadonlySet<Socket>,
  signal: AbortSignal,
): Promise<void> =>
  new Promise((resolve) => {
    const cut = () => {
      server.closeAllConnections();
      for (const socket of open) socket.destroy();
    };
    const look = setInterval(() => {
      server.closeIdleConnections();
      behind?.closeIdleConnections();
      silent.close();
    }, LOOK_EVERY);
    server.close(() => {
      behind?.close();
      clearInterval(look);
      signal.removeEventListener("abort", cut);
      resolve();
    });
    if (signal.aborted) cut();
    else signal.addEventListener("abort", cut, { once: true });
  });
