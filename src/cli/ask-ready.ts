// One question to a front end's `/readyz`, answered whole or not at all within its time, whatever is at the other end.
import { get as overHttp } from "node:http";
import { get as overTls } from "node:https";
import { type Readiness, readinessOf } from "../admin/readiness.ts";
import { type Address, formatAddress } from "../lib/listen.ts";

export interface ReadyPlace extends Address {
  /** By TLS, under this name; `undefined`: by plain HTTP. */
  readonly serverName: string | undefined;
}

/** A few notes. Bytes. */
const MOST = 64 * 1024;

export const placeOf = (place: ReadyPlace): string =>
  `${place.serverName === undefined ? "http" : "https"}://${formatAddress(place)}/readyz`;

/** Rejects when nothing whole has come within `ms`. */
export const askReady = (place: ReadyPlace, ms: number): Promise<Readiness> =>
  new Promise((resolve, reject) => {
    const { host, port, serverName } = place;
    // plain HTTP would do as well: whose certificate is shown does not matter, but that it can be shown does
    const tls = { servername: serverName, headers: { host: serverName }, rejectUnauthorized: false };
    const options = { host, port, path: "/readyz", agent: false, ...(serverName !== undefined && tls) };
    const question = (serverName === undefined ? overHttp : overTls)(options, (answer) => {
      let body = "";
      answer.setEncoding("utf8").on("data", (text: string) => {
        body += text;
        if (body.length > MOST) question.destroy(new Error("its answer has no end"));
      });
      answer.on("error", fail);
      answer.on("close", () => {
        clearTimeout(timer);
        if (answer.complete) resolve(readinessOf(answer.statusCode ?? 0, body));
        else fail(new Error("its answer broke off"));
      });
    });
    const timer = setTimeout(() => question.destroy(new Error(`no answer within ${ms} ms`)), ms);
    const fail = (error: Error): void => {
      clearTimeout(timer);
      reject(error);
    };
    question.on("error", fail);
  });
