// An answer before it is sent, which behaviours may spoil, and its way to the client in steps that back pressure and faults can stop.
import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as pause } from "node:timers/promises";

export interface Answer {
  status: number;
  headers: Record<string, string | string[]>;
  /** Whole; the range is cut out of it at the end. */
  content: Buffer;
  /** The request's `Range`, where it is to be honoured. */
  range: string | undefined;
  /** Awaited before the first byte. */
  before: Promise<unknown> | undefined;
  /** The connection is torn once this many bytes of the body are sent. */
  cutAt: number | undefined;
  /** Nothing more comes once this many bytes are sent; the connection stays. */
  stallAfter: number | undefined;
  /** Sent in steps of `bytes`, `ms` apart. */
  drip: { readonly bytes: number; readonly ms: number } | undefined;
  /** The connection is torn before a byte of the answer. */
  closes: boolean;
  /** Done to the headers last of all. */
  last: ((headers: Record<string, string | string[]>) => void) | undefined;
}

export const answerWith = (
  status: number,
  content: Buffer | string | object = "",
  headers: Record<string, string | string[]> = {},
): Answer => {
  const isPlain = Buffer.isBuffer(content) || typeof content === "string";
  return {
    status,
    headers: { "content-type": "application/json", ...headers },
    content: Buffer.from(isPlain ? content : JSON.stringify(content)),
    range: undefined,
    before: undefined,
    cutAt: undefined,
    stallAfter: undefined,
    drip: undefined,
    closes: false,
    last: undefined,
  };
};

export const refuse = (status: number, code: string, headers: Record<string, string | string[]> = {}): Answer =>
  answerWith(status, { errors: [{ code, message: code.toLowerCase() }] }, headers);

const STEP = 64 * 1024;

/** `sent` is told of each piece as it is given to the socket. */
export const deliver = async (
  answer: Answer,
  req: IncomingMessage,
  res: ServerResponse,
  sent: (bytes: number) => void,
): Promise<void> => {
  await answer.before;
  if (answer.closes) return void req.socket.destroy();
  const { status, headers, body } = cutOut(answer);
  answer.last?.(headers);
  res.writeHead(status, headers);
  res.flushHeaders();
  if (req.method === "HEAD" || status === 204) return void res.end();
  const { cutAt = Number.POSITIVE_INFINITY, stallAfter = Number.POSITIVE_INFINITY, drip } = answer;
  const end = Math.min(body.length, cutAt, stallAfter);
  for (let at = 0; at < end && !res.destroyed; ) {
    const piece = body.subarray(at, Math.min(end, at + (drip?.bytes ?? STEP)));
    at += piece.length;
    sent(piece.length);
    if (!res.write(piece)) await drained(res);
    if (drip !== undefined) await pause(drip.ms);
  }
  if (stallAfter <= body.length) return;
  // what was promised and does not come ends with the connection, gently, so that all that was written arrives
  if (cutAt < body.length || Number(headers["content-length"]) > body.length) res.socket?.destroySoon();
  else res.end();
};

const drained = (res: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    const done = () => {
      res.off("drain", done).off("close", done);
      resolve();
    };
    if (res.destroyed) return resolve();
    res.on("drain", done).on("close", done);
  });

interface Cut {
  readonly status: number;
  readonly headers: Record<string, string | string[]>;
  readonly body: Buffer;
}

const cutOut = ({ status, headers, content, range }: Answer): Cut => {
  const whole = { "content-length": String(content.length), ...headers };
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(range ?? "") ?? [];
  if (status !== 200 || first === undefined || last === undefined || first + last === "")
    return { status, headers: whole, body: content };
  const start = first === "" ? Math.max(0, content.length - Number(last)) : Number(first);
  const end = first === "" || last === "" ? content.length - 1 : Math.min(Number(last), content.length - 1);
  if (start > end) {
    const none = refuse(416, "RANGE_INVALID", { "content-range": `bytes */${content.length}` });
    return { status: 416, headers: { "content-length": String(none.content.length), ...none.headers }, body: none.content };
  }
  const body = content.subarray(start, end + 1);
  const part = { "content-length": String(body.length), "content-range": `bytes ${start}-${end}/${content.length}` };
  return { status: 206, headers: { ...part, ...headers }, body };
};
