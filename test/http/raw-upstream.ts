// A registry that is nothing but a socket: what comes is kept byte by byte, and a test says what goes back, and when.
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { onTestFinished, vi } from "vitest";

const until = (isSo: () => boolean): Promise<boolean> => vi.waitUntil(isSo, { timeout: 15_000, interval: 5 });

export class RawUpstream {
  /** In the order in which they came. */
  readonly connections: RawConnection[] = [];
  #port = 0;
  readonly #server = createServer((socket) => void this.connections.push(new RawConnection(socket)));

  async start(): Promise<void> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = (this.#server.address() as AddressInfo).port;
    onTestFinished(() => {
      this.#server.close();
      for (const { socket } of this.connections) socket.destroy();
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** The nth connection, once it is there. */
  async connection(nth = 0): Promise<RawConnection> {
    await until(() => this.connections.length > nth);
    return this.connections[nth]!;
  }
}

export class RawConnection {
  readonly socket: Socket;
  isClosed = false;
  #text = "";
  #length = 0;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.isClosed = true;
    });
    socket.on("data", (bytes: Buffer) => {
      this.#length += bytes.length;
      if (this.#text.length < 1_000_000) this.#text += bytes.toString("latin1");
    });
  }

  /** All that has come, as far as it is not more than a megabyte. */
  get text(): string {
    return this.#text;
  }

  get length(): number {
    return this.#length;
  }

  /** Waits until this has come. */
  async came(part: string | RegExp): Promise<void> {
    await until(() => (typeof part === "string" ? this.#text.includes(part) : part.test(this.#text)));
  }

  say(lines: readonly string[], body = ""): void {
    this.socket.write(`${lines.join("\r\n")}\r\n\r\n${body}`);
  }
}

export const rawUpstream = async (): Promise<RawUpstream> => {
  const upstream = new RawUpstream();
  await upstream.start();
  return upstream;
};
