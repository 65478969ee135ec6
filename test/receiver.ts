// An HTTP server that hears what it is told, and behaves as a test tells it to.
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

export interface Heard {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}
export type Behave = (req: IncomingMessage, res: ServerResponse, nth: number) => void;

const ok: Behave = (_req, res) => void res.writeHead(204).end();

/** Hears everything, and then does as it is told. */
export const receiver = async (behave: Behave = ok, tls?: { cert: string; key: string }) => {
  const heard: Heard[] = [];
  const handle = (req: IncomingMessage, res: ServerResponse) => {
    const chunks: Buffer[] = [];
    req.on("data", (chunk: Buffer) => chunks.push(chunk));
    req.on("error", () => undefined);
    req.on("end", () => {
      heard.push({ method: req.method!, path: req.url!, headers: req.headers, body: Buffer.concat(chunks).toString() });
      behave(req, res, heard.length - 1);
    });
  };
  const server = (tls === undefined ? createServer(handle) : createTlsServer(tls, handle)).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  });
  const { port } = server.address() as AddressInfo;
  return { heard, port, url: (path = "/hook") => new URL(`http://127.0.0.1:${port}${path}`) };
};
