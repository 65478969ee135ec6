// Requests to the admin listener as anybody might send them: well-formed by node:http, or bytes on a bare socket.
import { readFileSync } from "node:fs";
import { type OutgoingHttpHeaders, request } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import type { Front } from "../front.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly text: string;
  /** False: it broke off. */
  readonly whole: boolean;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string;
}

export const tokenOf = (front: Front): string => readFileSync(join(front.folder, "data/admin.token"), "utf8").trim();

export const bearer = (front: Front): OutgoingHttpHeaders => ({ authorization: `Bearer ${tokenOf(front)}` });

const portOf = (front: Front): number => Number(front.running.identity.admin!.split(":").at(-1));

export const urlOf = (front: Front): string => `http://127.0.0.1:${portOf(front)}`;

export const ask = (front: Front, path: string, { method = "GET", headers = {}, body }: Ask = {}): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port: portOf(front), path, method, headers, agent: false };
    const sent = request(options, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (piece: string) => (text += piece));
      answer.on("error", () => undefined);
      answer.on("close", () =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text, whole: answer.complete }),
      );
    });
    sent.on("error", reject);
    sent.end(body);
  });

/** What comes back for these bytes until the other side closes, or `ms` have gone by. */
export const raw = (front: Front, bytes: string | Buffer, ms = 2_000): Promise<string> =>
  new Promise((resolve) => {
    const socket = connect(portOf(front), "127.0.0.1");
    let text = "";
    const timer = setTimeout(() => socket.destroy(), ms);
    socket.on("data", (piece) => (text += piece.toString("latin1")));
    socket.on("error", () => undefined);
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(text);
    });
    socket.write(bytes);
  });
