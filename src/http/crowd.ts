// How many connections all doors have together. Whoever finds no room is told so in the language of the door and cut, and the log says it once a minute;
// one client alone cannot take the room of all.
import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { type Bounds, Headcount } from "../lib/headcount.ts";
import type { Logger } from "../lib/log.ts";
import { Seldom } from "../lib/seldom.ts";
import { INTERNAL_ERROR } from "../lib/tls-alert.ts";

/** What a process may have open leaves as much again for upstreams and files. Each connection over TLS is some 50 kB. */
const MOST = 8_192;
/** A builder has tens; behind one address may be a farm. */
const SHARE = 1 / 4;

const FULL = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
/** Who is turned away may read why for so long, if there are not too many of them. Milliseconds. */
const LINGER = 500;
const MOST_LINGERING = 100;

export class Crowd {
  readonly #there: Headcount;
  readonly #log: Logger;
  readonly #full = new Seldom();
  #lingering = 0;

  constructor(log: Logger, bounds: Bounds = boundsOf(openFiles())) {
    this.#log = log;
    this.#there = new Headcount(bounds);
  }

  get size(): number {
    return this.#there.all;
  }

  /** Counted until it closes; false: there is no room, and the connection is seen to. */
  enter(socket: Socket, speaksTls: boolean): boolean {
    const client = (socket.remoteAddress ?? "").replace(/^::ffff:/, "");
    const leave = this.#there.enter(client);
    if (leave !== undefined) {
      socket.once("close", leave);
      return true;
    }
    this.#full.tell((times) => {
      const { all, each } = this.#there.bounds;
      this.#log.warn({ client, times, open: this.#there.all, all, each }, "too many connections: further ones are turned away");
    });
    this.#turnAway(socket, speaksTls ? INTERNAL_ERROR : FULL);
    return false;
  }

  #turnAway(socket: Socket, word: string | Buffer): void {
    socket.on("error", () => undefined);
    if (this.#lingering === MOST_LINGERING) return void socket.destroy();
    this.#lingering += 1;
    const close = setTimeout(() => socket.destroy(), LINGER);
    socket.once("close", () => {
      clearTimeout(close);
      this.#lingering -= 1;
    });
    // with bytes unread a close would take the word back
    socket.resume().end(word);
  }
}

const boundsOf = (files: number): Bounds => {
  const all = Math.max(16, Math.min(MOST, Math.floor(files / 2)));
  return { all, each: Math.max(8, Math.floor(all * SHARE)) };
};

/** How many files this process may have open, which Node has raised as far as it goes; where nobody can tell, what is usual. */
const openFiles = (): number => {
  try {
    return Number(/^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? MOST);
  } catch {
    return 1_024;
  }
};
