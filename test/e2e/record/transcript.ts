// What was heard → what is kept: secrets and one-time names replaced, requests that raced in one order, each header list once.

import { BODIES } from "../../traffic/content.ts";
import type { Asked, Body, Headers, Recording, Session } from "../../traffic/recording.ts";
import { sha256 } from "../image.ts";
import type { Heard } from "./recorder.ts";

/** What clients make themselves is kept up to this size, bytes. */
const SMALL = 4096;
/** How much had come to a client that left is chance, but for its order. */
const MIB = 1024 * 1024;
const UPLOAD = /\/blobs\/uploads\/[^?]/;
/** Headers that differ each time, or say what machine this is. */
const CHANGING: Readonly<Record<string, string>> = { traceparent: "<trace>", cookie: "<cookie>" };

export class Transcript {
  readonly #client: string;
  readonly #version: string;
  readonly #headers = new Map<string, Headers>();
  readonly #own = new Map<string, Buffer>();
  readonly #sessions: Session[] = [];

  constructor(client: string, version: string) {
    this.#client = client;
    this.#version = version;
  }

  get recording(): Recording {
    return {
      client: this.#client,
      version: this.#version,
      headers: Object.fromEntries(byName(this.#headers)),
      bodies: Object.fromEntries(byName(this.#own).map(([digest, bytes]) => [digest, bytes.toString("base64")])),
      sessions: this.#sessions,
    };
  }

  add(scenario: string, command: string, succeeded: boolean, heard: readonly Heard[]): void {
    const ordered = settle(heard);
    for (const { body, torn } of ordered) if (!torn) this.#learn(body);
    for (const { body, torn } of ordered) if (torn && !this.#startsOne(body)) this.#learn(body);
    const requests = ordered.map((each, n) => this.#keep(each, n, ordered));
    this.#sessions.push({ scenario, command, succeeded, requests });
  }

  #keep(heard: Placed, n: number, ordered: readonly Placed[]): Asked {
    return {
      wave: heard.wave,
      on: heard.on,
      ask: `${heard.method} ${targetOf(heard, ordered, n)}`,
      headers: this.#list(headersOf(heard)),
      ...(heard.body.length > 0 && { body: this.#find(heard.body) }),
      status: heard.status,
      bytes: heard.left ? heard.bytes - (heard.bytes % MIB) : heard.bytes,
      ...(heard.torn && { torn: true as const }),
      ...(heard.left && { left: true as const }),
    };
  }

  #list(headers: Headers): string {
    const name = sha256(Buffer.from(JSON.stringify(headers))).slice(7, 13);
    this.#headers.set(name, headers);
    return name;
  }

  #learn(body: Buffer): void {
    const digest = sha256(body);
    if (body.length > 0 && body.length <= SMALL && !BODIES.has(digest)) this.#own.set(digest, body);
  }

  #startsOne(body: Buffer): boolean {
    return [...this.#own.values(), ...BODIES.values()].some((bytes) => bytes.subarray(0, body.length).equals(body));
  }

  #find(body: Buffer): Body {
    const whole = sha256(body);
    if (BODIES.has(whole) || this.#own.has(whole)) return { of: whole, from: 0, length: body.length };
    const within = [...this.#own, ...BODIES].map(([of, bytes]) => ({ of, from: bytes.indexOf(body), length: body.length }));
    const found = within.filter(({ from }) => from !== -1).toSorted((one, other) => one.from - other.from);
    if (found[0] !== undefined) return found[0];
    throw new Error(`a body of ${body.length} bytes that cannot be made again: ${body.subarray(0, 200).toString("latin1")}`);
  }
}

const byName = <T>(map: ReadonlyMap<string, T>): [string, T][] => [...map].toSorted(([one], [other]) => (one < other ? -1 : 1));

type Waved = Heard & { readonly wave: number };
type Placed = Waved & { readonly on: number };

/** Which of several connections is first is chance; what was asked on each of them, and after what, is not. */
const settle = (heard: readonly Heard[]): readonly Placed[] => {
  const waved: Waved[] = [];
  let wave = 0;
  for (const each of heard.toSorted((one, other) => one.began - other.began)) {
    const isUnderWay = waved.some((before) => before.wave === wave && before.ended > each.began);
    if (waved.length > 0 && !isUnderWay) wave++;
    waved.push({ ...each, wave });
  }
  const named = uploadsByPlace(waved);
  const numbers = new Numbers();
  return [...Map.groupBy(waved, (each) => each.wave).values()].flatMap((each) => numbers.give(lanes(each, named)));
};

/** Between waves all connections are idle, and it is chance which a client takes for what: here the first thing gets the first. */
class Numbers {
  readonly #numbers = new Map<number, number>();
  readonly #closed = new Set<number>();
  #last = 0;

  give(lanes: readonly (readonly Waved[])[]): readonly Placed[] {
    const taken = lanes.map((lane) => lane[0]!.connection);
    const open = [...this.#numbers.keys()].filter((connection) => !this.#closed.has(connection));
    const rest = open.filter((connection) => !taken.includes(connection));
    const old = open.map((connection) => this.#numbers.get(connection)!).toSorted((one, other) => one - other);
    const free = old.splice(0, open.length - rest.length);
    for (const connection of taken) this.#numbers.set(connection, free.shift() ?? ++this.#last);
    for (const connection of rest) this.#numbers.set(connection, old.shift()!);
    for (const { connection, torn, left, rawHeaders } of lanes.flat()) {
      if (torn || left || rawHeaders.includes("close")) this.#closed.add(connection);
    }
    return lanes.flat().map((each) => ({ ...each, on: this.#numbers.get(each.connection)! }));
  }
}

const placeOf = (target: string | undefined): string | undefined => /\/blobs\/uploads\/([^?]+)/.exec(target ?? "")?.[1];

/** What each upload was for, by the place the registry gave it. */
const uploadsByPlace = (heard: readonly Heard[]): ReadonlyMap<string, string> =>
  new Map(
    heard.flatMap(({ target }) => {
      const place = placeOf(target);
      const digest = new URL(target, "https://x").searchParams.get("digest");
      return place === undefined || digest === null ? [] : [[place, digest] as const];
    }),
  );

const lanes = (wave: readonly Waved[], uploads: ReadonlyMap<string, string>): readonly (readonly Waved[])[] => {
  const about = ({ target, location, method }: Waved) => {
    const place = placeOf(target) ?? placeOf(location);
    return `${place === undefined ? target : uploads.get(place)} ${method}`;
  };
  const byConnection = Map.groupBy(wave, ({ connection }) => connection);
  const key = (lane: readonly Waved[]) => lane.map(about).join();
  return [...byConnection.values()].toSorted((one, other) => (key(one) < key(other) ? -1 : 1));
};

/** An upload's place is the registry's own, and holds its state: it is named by the answer that it was in. */
const targetOf = (heard: Heard, ordered: readonly Heard[], n: number): string => {
  if (!UPLOAD.test(heard.target)) return heard.target;
  const asked = new URL(heard.target, "https://x");
  const before = ordered.map((each, at) => ({ each, at })).filter(({ each, at }) => at !== n && each.ended < heard.began);
  for (const { each, at } of before.toSorted((one, other) => other.each.ended - one.each.ended)) {
    if (each.location === undefined) continue;
    const place = new URL(each.location, "https://x");
    if (place.pathname !== asked.pathname) continue;
    if ([...place.searchParams].some(([name, value]) => asked.searchParams.get(name) !== value)) continue;
    const parameters = asked.search.slice(1).split("&").filter(Boolean); // as they were encoded
    const added = parameters.filter((each) => !place.searchParams.has(decodeURIComponent(each.replace(/=.*/s, ""))));
    return `@${at}${added.length === 0 ? "" : `?${added.join("&")}`}`;
  }
  throw new Error(`nobody was told of this place: ${heard.method} ${heard.target}`);
};

const headersOf = ({ rawHeaders }: Heard): Headers =>
  Array.from({ length: rawHeaders.length / 2 }, (_, n) => {
    const name = rawHeaders[2 * n]!;
    return [name, kept(name.toLowerCase(), rawHeaders[2 * n + 1]!)] as const;
  });

const kept = (name: string, value: string): string => {
  if (name === "authorization") return credentialOf(value);
  if (name === "user-agent") return value.replace(/kernel\/\S+/, "kernel/0");
  return CHANGING[name] ?? value;
};

/** Who it stood for and what for, as the test's own token server had put it into the token. */
const credentialOf = (value: string): string => {
  const [, scheme = "", secret = ""] = /^(\S+) (.+)$/.exec(value) ?? [];
  if (scheme.toLowerCase() === "basic") return `${scheme} <${Buffer.from(secret, "base64").toString().replace(/:.*/s, "")}>`;
  const { sub, access } = JSON.parse(Buffer.from(secret.split(".")[1] ?? "", "base64url").toString()) as {
    sub: string;
    access: readonly { type: string; name: string; actions: readonly string[] }[];
  };
  const scopes = access.map(({ type, name, actions }) => ` ${type}:${name}:${actions.join(",")}`);
  return `${scheme} <${sub || "nobody"}${scopes.join("")}>`;
};
