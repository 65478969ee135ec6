// What can go wrong between a registry and who asks it, one function each; several may apply to one answer.
import type { Answer } from "./answer.ts";
import { answerWith, refuse } from "./answer.ts";
import type { Logged } from "./log.ts";

export interface Spoiling {
  readonly answer: Answer;
  readonly request: Logged;
  /** Keeps an answer at the second origin and gives its signed URL, which is good for so many requests. */
  readonly store: (answer: Answer, uses?: number) => string;
}

export type Behaviour = (spoiling: Spoiling) => void;

const change =
  (changes: Partial<Answer>): Behaviour =>
  ({ answer }) =>
    void Object.assign(answer, changes);

/** The connection is torn after `bytes` of the body. */
export const cutAt = (bytes: number): Behaviour => change({ cutAt: bytes });

/** Headers and `after` bytes of the body, then silence on an open connection. */
export const stall = (after = 0): Behaviour => change({ stallAfter: after });

export const drip = (bytes: number, ms: number): Behaviour => change({ drip: { bytes, ms } });

/** No byte of the answer before this is settled. */
export const hold = (until: Promise<unknown>): Behaviour => change({ before: until.catch(() => undefined) });

export const ignoreRange: Behaviour = change({ range: undefined });

/** `Content-Length` is off by this much; where it promises too much the connection ends after what there is. */
export const wrongLength = (by = 10): Behaviour =>
  lastly((headers) => {
    headers["content-length"] = String(Number(headers["content-length"]) + by);
  });

/** The same length with other content; JSON stays JSON. */
export const wrongBytes: Behaviour = ({ answer }) => {
  const text = answer.content.toString("latin1");
  const at = Math.max(0, text.search(/[0-9a-f]{64}/));
  answer.content = Buffer.from(answer.content);
  answer.content[at] = text[at] === "0" ? 0x31 : 0x30;
};

export const wrongContentRange = (value = "bytes 1-2/3"): Behaviour => header("content-range", value);

/** `undefined` takes it away. */
export const header = (name: string, value: string | string[] | undefined): Behaviour =>
  lastly((headers) => {
    if (value === undefined) delete headers[name];
    else headers[name] = value;
  });

export const noDigestHeader: Behaviour = header("docker-content-digest", undefined);

/** A captive portal, or a proxy on the way. */
export const html: Behaviour = ({ answer }) =>
  void Object.assign(answer, answerWith(200, "<!doctype html><title>Sign in</title>", { "content-type": "text/html" }));

export const status = (code: number, headers: Record<string, string | string[]> = {}, body?: string): Behaviour => {
  const error = refuse(code, `STATUS_${code}`, headers);
  return ({ answer }) => void Object.assign(answer, body === undefined ? error : answerWith(code, body, headers));
};

/** To a signed URL at another origin, which refuses whoever brings `Authorization`. Refusals stay where they are. */
export const redirect =
  (code = 307, uses?: number): Behaviour =>
  ({ answer, store }) => {
    if (answer.status !== 200) return;
    const location = store({ ...answer, headers: { "content-type": "application/octet-stream" } }, uses);
    Object.assign(answer, answerWith(code, "", { location }));
  };

/** To a signed URL that has expired once it has been used so often. */
export const redirectExpiring = (uses = 1, code = 307): Behaviour => redirect(code, uses);

/** The connection is torn before any answer to its second request, and to each further one. */
export const closeOnSecond: Behaviour = ({ answer, request }) => {
  if (request.nth > 1) answer.closes = true;
};

/** Yes, then no, then yes again: a replica that does not know of the token. */
export const flip401 = (): Behaviour => {
  let asked = 0;
  const refused = status(401, { "www-authenticate": 'Basic realm="fault.example"' });
  return (spoiling) => {
    asked += 1;
    if (asked % 2 === 0) refused(spoiling);
  };
};

/** To anywhere. */
export const redirectTo = (location: string, code = 307): Behaviour => status(code, { location }, "");

/** "No such thing" said of what one may not see. */
export const hide404: Behaviour = ({ answer }) => {
  if (answer.status === 401 || answer.status === 403) Object.assign(answer, refuse(404, "NAME_UNKNOWN"));
};

function lastly(act: (headers: Record<string, string | string[]>) => void): Behaviour {
  return ({ answer }) => {
    const { last } = answer;
    answer.last = (headers) => {
      last?.(headers);
      act(headers);
    };
  };
}
