// Who may use a hosted site: the users of an htpasswd file, which is read again when it changes. Hashing a password is meant to be slow,
// so what was right is remembered for minutes and what was wrong for seconds, by a keyed hash; a user that does not exist takes as long.
import { stat } from "node:fs/promises";
import { LRUCache } from "lru-cache";
import { type Bcrypt, BcryptBusy } from "../lib/bcrypt.ts";
import type { Clock } from "../lib/clock.ts";
import { parseHtpasswd, type Users } from "../lib/htpasswd.ts";
import type { Logger } from "../lib/log.ts";
import { upTo } from "../lib/lru.ts";
import { readTextFile } from "../lib/text-file.ts";
import { OciError } from "../oci/error.ts";
import type { Context } from "../oci/registry.ts";
import { subjectOf } from "./subject.ts";

/** Resolves for a client that may use the site. Throws UNAUTHORIZED with a challenge, or TOOMANYREQUESTS. */
export type Admit = (ctx: Context) => Promise<void>;

export interface UsersParts {
  readonly host: string;
  readonly file: string;
  /** The secret under which credentials are hashed. */
  readonly subjectKey: Uint8Array;
  readonly bcrypt: Pick<Bcrypt, "compare">;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Milliseconds. */
const RIGHT_FOR = 5 * 60_000;
const WRONG_FOR = 10_000;
const LOOK_EVERY = 1_000;
const MAX_FILE = 4 * 2 ** 20;
const REMEMBERED = 10_000;

interface Known {
  readonly verdict: Promise<boolean>;
  readonly until: number;
}

export const admitUsers = (parts: UsersParts): Admit => {
  const known = new LRUCache<string, Known>(upTo(REMEMBERED));
  const users = following(parts, () => known.clear());

  const check = async (name: string, password: string, key: string, client: string): Promise<boolean> => {
    const all = await users();
    const isRight = await isPasswordOf(parts, all, name, password, client);
    const until = parts.clock() + (isRight ? RIGHT_FOR : WRONG_FOR);
    // the file may have changed meanwhile: what was found out of the old one is not remembered
    if ((await users()) === all) known.set(key, { verdict: Promise.resolve(isRight), until });
    return isRight;
  };

  return async ({ credential, client }) => {
    const login = loginOf(credential);
    if (login === undefined) throw challenge(parts.host, "log in to use this registry");
    await users();
    const key = subjectOf(credential, parts.subjectKey);
    const remembered = known.get(key);
    const isKnown = remembered !== undefined && remembered.until > parts.clock();
    const verdict = isKnown ? remembered.verdict : check(login.name, login.password, key, client);
    // whoever brings the same while it is being checked waits for the same answer
    if (!isKnown) known.set(key, { verdict, until: Number.POSITIVE_INFINITY });
    try {
      if (await verdict) return;
    } catch (error) {
      if (known.get(key)?.verdict === verdict) known.delete(key);
      if (error instanceof BcryptBusy) throw new OciError("TOOMANYREQUESTS", error.message, { retryAfterMs: 2_000 });
      throw error;
    }
    throw challenge(parts.host, "wrong user or password");
  };
};

const challenge = (host: string, message: string): OciError =>
  new OciError("UNAUTHORIZED", message, { challenge: `Basic realm="${host}"` });

const isPasswordOf = async ({ bcrypt }: UsersParts, users: Users, name: string, password: string, client: string) => {
  const own = users.get(name);
  const [anyone] = users.values();
  const isRight = await bcrypt.compare(password, own ?? anyone!, client);
  return isRight && own !== undefined;
};

/** `undefined`: no Basic credential, or an empty one, which some clients send after a logout. */
const loginOf = (credential: string | undefined): { readonly name: string; readonly password: string } | undefined => {
  const match = /^basic +([A-Za-z0-9+/_-]{1,8192}={0,2})\s*$/i.exec(credential ?? "");
  const text = match === null ? "" : Buffer.from(match[1]!, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon < 1 ? undefined : { name: text.slice(0, colon), password: text.slice(colon + 1) };
};

/** The users of now: looked at once a second at most. A file that cannot be used changes nothing but the log. */
const following = ({ file, host, clock, log }: UsersParts, changed: () => void): (() => Promise<Users>) => {
  let users: Users | undefined;
  let seen: string | undefined;
  let complaint: string | undefined;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let looking: Promise<void> | undefined;

  const look = async (): Promise<void> => {
    const { mtimeMs, ctimeMs, size, ino } = await stat(file);
    const mark = `${mtimeMs} ${ctimeMs} ${size} ${ino}`;
    if (mark === seen) return;
    const text = await readTextFile(file, MAX_FILE);
    seen = mark;
    users = parseHtpasswd(text);
    complaint = undefined;
    changed();
  };

  return async () => {
    if (Math.abs(clock() - lookedAt) >= LOOK_EVERY || users === undefined) {
      looking ??= look()
        .catch((error: unknown) => {
          const why = error instanceof Error ? error.message : String(error);
          if (complaint !== why)
            log.error({ site: host, file, err: why }, "the users file cannot be used: the users stay as they were");
          complaint = why;
        })
        .finally(() => {
          lookedAt = clock();
          looking = undefined;
        });
      await looking;
    }
    if (users === undefined) throw new OciError("UNAVAILABLE", "who may use this registry cannot be told just now");
    return users;
  };
};
