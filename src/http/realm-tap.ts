// Listens in where a client gets a token at a realm under a name that we stand in for: whose credential was given for which token, and for
// what. Nothing of the exchange is delayed or altered, and what is not understood to the last is not noted.
import type { IncomingMessage } from "node:http";
import { brotliDecompressSync, gunzipSync, inflateSync } from "node:zlib";
import type { Clock } from "../lib/clock.ts";
import { basicCredential } from "../oci/basic.ts";
import { parseObject } from "../oci/json.ts";
import type { Challenges } from "../registry/challenges.ts";
import type { Exchanges } from "../registry/exchanged.ts";
import { expiryOf, pullsShown, subjectOf } from "../registry/subject.ts";
import type { Site } from "../sites.ts";
import type { Exchange } from "./exchange.ts";
import type { Tap } from "./passthrough.ts";

export interface RealmTapParts {
  readonly sites: () => readonly Site[];
  readonly challenges: Pick<Challenges, "of">;
  readonly exchanges: Pick<Exchanges, "note">;
  /** The secret under which subjects are hashed. */
  readonly secret: Uint8Array;
  readonly clock: Clock;
}

const MAX_BODY = 64 * 1024;
/** What a token lives when its server does not say (Docker token specification). Seconds. */
const DEFAULT_LIFE = 60;
const MAX_LIFE = 86_400;
const MAX_NAME = 255;

export type RealmTap = (exchange: Exchange) => Promise<Tap | undefined>;

/** `undefined`: no site that is asked as its clients are has its realm there. */
export const realmTap = (parts: RealmTapParts): RealmTap => {
  const clientSites = () => parts.sites().filter(({ access, offline }) => access === "client" && !offline);
  return async ({ req, method, host, path, query }) => {
    if (method !== "GET" && method !== "POST") return undefined;
    const tapped: Tapped[] = [];
    for (const site of clientSites()) {
      const challenge = await parts.challenges.of(site.host);
      if (challenge !== undefined && isAt(challenge.realm, host, path)) tapped.push({ site, service: challenge.service ?? "" });
    }
    return tapped.length === 0 ? undefined : tapOf(parts, tapped, method, req.headers.authorization, query);
  };
};

interface Tapped {
  readonly site: Site;
  readonly service: string;
}

const isAt = ({ protocol, hostname, port, pathname }: URL, host: string, path: string): boolean =>
  protocol === "https:" && port === "" && hostname === host && pathname === path;

const tapOf = (
  parts: RealmTapParts,
  tapped: readonly Tapped[],
  method: "GET" | "POST",
  authorization: string | undefined,
  query: URLSearchParams,
): Tap => {
  let asked = method === "GET" ? askedByGet(authorization, query) : undefined;
  return {
    request(req) {
      const isForm = /^application\/x-www-form-urlencoded\b/i.test(req.headers["content-type"] ?? "");
      const isPlain = req.headers["content-encoding"] === undefined && authorization === undefined && query.size === 0;
      if (method !== "POST" || !isForm || !isPlain) return;
      copyOf(req, (body) => {
        asked = askedByForm(new URLSearchParams(body.toString()));
      });
    },
    answer(answer) {
      if (answer.statusCode !== 200) return;
      copyOf(answer, (body) => {
        const given = givenIn(body, answer.headers["content-encoding"]);
        if (asked === undefined || given === undefined) return;
        for (const { site, service } of tapped) if (asked.service === service) note(parts, site, asked, given);
      });
    },
  };
};

/** `done` gets all of it, if it comes to its end and is not too long. */
const copyOf = (stream: IncomingMessage, done: (body: Buffer) => void): void => {
  let chunks: Buffer[] = [];
  let size = 0;
  stream.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size <= MAX_BODY) chunks.push(chunk);
    else chunks = [];
  });
  stream.once("end", () => {
    if (stream.complete && size <= MAX_BODY) done(Buffer.concat(chunks));
  });
};

interface Asked {
  /** As an `Authorization` value would have it. */
  readonly credential: string;
  readonly service: string;
  readonly pulls: readonly string[];
}

/** Docker token specification: Basic, `service`, and any number of `scope`. */
const askedByGet = (authorization: string | undefined, query: URLSearchParams): Asked | undefined => {
  const [, encoded] = /^basic +([a-z0-9+/]+=*) *$/i.exec(authorization ?? "") ?? [];
  return encoded === undefined ? undefined : askedFor(`Basic ${encoded}`, query);
};

/** Its OAuth2 form: a password, or what was given in place of one at a login. */
const askedByForm = (form: URLSearchParams): Asked | undefined => {
  const { grant_type: type, username, password, refresh_token: refresh } = Object.fromEntries(form);
  // of two values nobody knows which one the server takes
  if (["grant_type", "username", "password", "refresh_token"].some((name) => form.getAll(name).length > 1)) return undefined;
  if (type === "refresh_token" && refresh) return askedFor(`Refresh ${refresh}`, form);
  if (type !== "password" || !username || !password || username.includes(":")) return undefined;
  return askedFor(basicCredential(username, password), form);
};

const askedFor = (credential: string, query: URLSearchParams): Asked | undefined => {
  const services = query.getAll("service");
  const pulls = query.getAll("scope").flatMap((scope) => scope.split(" ").flatMap(pulledBy));
  return services.length > 1 || pulls.length === 0 ? undefined : { credential, service: services[0] ?? "", pulls };
};

/** `repository:<name>:<actions>`, in which only the name may have further colons. */
const pulledBy = (scope: string): string[] => {
  const [, name = "", actions = ""] = /^repository:(.+):([a-z*,]+)$/.exec(scope) ?? [];
  const isPull = actions.split(",").some((action) => action === "pull" || action === "*");
  return isPull && name.length <= MAX_NAME ? [name] : [];
};

interface Given {
  readonly token: string;
  /** Seconds. */
  readonly life: number;
  /** What the server says that it is for, where it says so. */
  readonly pulls: readonly string[] | undefined;
}

const givenIn = (body: Buffer, encoding: string | undefined): Given | undefined => {
  const plain = decoded(body, encoding);
  const answer = plain && parseObject(plain);
  if (answer === undefined) return undefined;
  const { token: first, access_token: second, expires_in: life, scope } = answer;
  const token = first || second;
  // of two, clients take either
  if (typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token) || (first && second && first !== second)) return undefined;
  return {
    token,
    life: typeof life === "number" && life > 0 ? Math.min(life, MAX_LIFE) : DEFAULT_LIFE,
    pulls: typeof scope === "string" && scope !== "" ? scope.split(" ").flatMap(pulledBy) : undefined,
  };
};

/** At once: the client may show its token as soon as it has it. `undefined`: it cannot be read, or becomes too long. */
const decoded = (body: Buffer, encoding = "identity"): Buffer | undefined => {
  const options = { maxOutputLength: MAX_BODY };
  try {
    if (encoding === "identity") return body;
    if (encoding === "gzip" || encoding === "x-gzip") return gunzipSync(body, options);
    if (encoding === "deflate") return inflateSync(body, options);
    return encoding === "br" ? brotliDecompressSync(body, options) : undefined;
  } catch {
    return undefined;
  }
};

/** What the server says, and what a token says of itself, is unproven, and can only take away from what was asked for. */
const note = ({ exchanges, secret, clock }: RealmTapParts, site: Site, asked: Asked, { token, life, pulls }: Given): void => {
  const credential = `Bearer ${token}`;
  const shown = [pulls, pullsShown(credential)].filter((names) => names !== undefined);
  const named = new Set(asked.pulls.filter((name) => shown.every((names) => names.includes(name))));
  if (named.size === 0) return;
  const since = clock();
  exchanges.note(site.host, subjectOf(credential, secret), {
    subject: subjectOf(asked.credential, secret),
    pulls: named,
    since,
    until: Math.min(since + life * 1_000, expiryOf(credential) ?? Number.POSITIVE_INFINITY),
  });
};
