// An HTTP proxy towards a made-up internet in which every name is 127.0.0.1: tunnels by CONNECT, and remembers who wanted them with what.
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { onTestFinished } from "vitest";

export interface FaultProxyOptions {
  /** `user:password` that it wants. */
  readonly login?: string;
  readonly tls?: { readonly cert: string; readonly key: string };
}

export class FaultProxy {
  readonly url: URL;
  readonly #login: string | undefined;
  readonly #open = new Set<Duplex>();
  /** `host:port`, in the order in which they were asked for. */
  readonly targets: string[] = [];
  /** All that it was sent in clear: heads of CONNECT requests, and requests that are none. */
  readonly heads: IncomingMessage["headers"][] = [];
  /** In place of a tunnel, this, verbatim; nothing at all where it is empty. */
  instead: string | undefined;

  constructor(url: URL, login: string | undefined) {
    this.url = url;
    this.#login = login;
  }

  tunnel(req: IncomingMessage, client: Duplex): void {
    this.keep(client);
    this.targets.push(req.url ?? "");
    this.heads.push(req.headers);
    if (this.instead !== undefined) return void (this.instead !== "" && client.write(this.instead));
    const expected = `Basic ${Buffer.from(this.#login ?? "").toString("base64")}`;
    if (this.#login !== undefined && req.headers["proxy-authorization"] !== expected)
      return void client.end(
        "HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n",
      );
    const server = connect(Number(/:(\d+)$/.exec(req.url ?? "")?.[1]), "127.0.0.1");
    this.keep(server);
    server.once("connect", () => {
      client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      client.pipe(server).pipe(client);
    });
    server.once("error", () => client.end("HTTP/1.1 502 Bad Gateway\r\n\r\n"));
  }

  keep(socket: Duplex): void {
    this.#open.add(socket);
    socket.on("error", () => undefined).once("close", () => this.#open.delete(socket));
  }

  /** Every tunnel is torn. */
  tear(): void {
    for (const socket of this.#open) socket.destroy();
  }
}

export const faultProxy = async ({ login, tls }: FaultProxyOptions = {}): Promise<FaultProxy> => {
  const server = tls === undefined ? createServer() : createTlsServer(tls);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const proxy = new FaultProxy(
    new URL(`${tls === undefined ? "http" : "https"}://${login ?? "x"}@proxy.corp.test:${port}`),
    login,
  );
  if (login === undefined) Object.assign(proxy.url, { username: "" });
  server.on("connection", (socket: Socket) => proxy.keep(socket));
  server.on("connect", (req: IncomingMessage, socket: Duplex) => proxy.tunnel(req, socket));
  server.on("request", (req, res) => {
    proxy.heads.push(req.headers);
    res.writeHead(400).end();
  });
  onTestFinished(async () => {
    proxy.tear();
    server.close();
    await once(server, "close");
  });
  return proxy;
};
