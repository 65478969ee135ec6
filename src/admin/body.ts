// The JSON body of a request: bounded in bytes and in time.
import type { IncomingMessage } from "node:http";
import { AdminError } from "./error.ts";

const MAX_BODY = 256 * 1024;
/** For the whole of it. Milliseconds. */
const BODY_WITHIN = 10_000;

/** No body is `{}`. Throws TOO_LARGE, TOO_SLOW, UNSUPPORTED_TYPE, INVALID. */
export const readJson = async (req: IncomingMessage, limitMs = BODY_WITHIN): Promise<unknown> => {
  if (Number(req.headers["content-length"] ?? 0) > MAX_BODY) throw tooLarge();
  const text = (await collected(req, limitMs)).toString("utf8");
  if (text === "") return {};
  if (!/^application\/json(?:\s*;|$)/i.test(req.headers["content-type"] ?? ""))
    throw new AdminError("UNSUPPORTED_TYPE", "the body has to be application/json");
  try {
    return JSON.parse(text);
  } catch {
    throw new AdminError("INVALID", "the body is not JSON");
  }
};

const tooLarge = () => new AdminError("TOO_LARGE", `the body is longer than ${MAX_BODY} bytes`);

const collected = async (req: IncomingMessage, limitMs: number): Promise<Buffer> => {
  // one that announced no body tells nobody so: it has ended already
  if (req.readableEnded) return Buffer.alloc(0);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const timer = setTimeout(() => end(new AdminError("TOO_SLOW", `the body was not there within ${limitMs} ms`)), limitMs);
    const end = (error?: Error) => {
      clearTimeout(timer);
      req.off("data", take);
      if (error === undefined) resolve(Buffer.concat(chunks));
      else reject(error);
    };
    const take = (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size > MAX_BODY) end(tooLarge());
    };
    req.on("data", take);
    req.once("end", () => end());
    req.once("close", () => end(new AdminError("INVALID", "the body broke off")));
  });
};
