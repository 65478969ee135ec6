// What the scripted upstream was asked, and how tests pick from it.
import type { IncomingMessage } from "node:http";
import { TLSSocket } from "node:tls";

export interface Logged {
  readonly origin: "registry" | "store";
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly hasAuthorization: boolean;
  readonly range: string | undefined;
  readonly headers: Readonly<IncomingMessage["headers"]>;
  /** The common name of the certificate that it came with. */
  readonly certificate: string | undefined;
  /** The client's port: equal for requests on one connection. */
  readonly connection: number | undefined;
  /** Which request of its connection it is, from 1 on. */
  readonly nth: number;
  /** 0 until there is an answer. */
  status: number;
  /** Of the body, as given to the socket in steps of 64 KiB under back pressure: what a client that leaves did not take is not in it. */
  bytes: number;
  /** The answer was given whole, or its connection is gone. */
  isOver: boolean;
}

export type Match = RegExp | ((request: Logged) => boolean);

/** A RegExp is held against the path with its query. */
export const matcher = (match: Match) => (match instanceof RegExp ? ({ path }: Logged) => match.test(path) : match);

const asked = new WeakMap<object, number>();

const nthOf = (connection: object): number => {
  const nth = (asked.get(connection) ?? 0) + 1;
  asked.set(connection, nth);
  return nth;
};

export const loggedOf = (origin: Logged["origin"], req: IncomingMessage): Logged => ({
  origin,
  method: req.method ?? "",
  path: req.url ?? "",
  hasAuthorization: req.headers.authorization !== undefined,
  range: req.headers.range,
  headers: req.headers,
  certificate: req.socket instanceof TLSSocket ? req.socket.getPeerCertificate().subject?.CN?.toString() : undefined,
  connection: req.socket.remotePort,
  nth: nthOf(req.socket),
  status: 0,
  bytes: 0,
  isOver: false,
});
