// Plays a recorded session again: the same bytes in the same order on as many connections, each wave when the one before is answered.
import { request } from "undici";
import type { FaultUpstream } from "../faults/upstream.ts";
import type { Front } from "../front.ts";
import { BODIES } from "./content.ts";
import type { Asked, Headers, Recording, Session } from "./recording.ts";
import { Wire, type WireAnswer } from "./wire.ts";

export const OPEN = "ghcr.io";
export const GUARDED = "registry.gitlab.com";
/** Passwords of the users whose requests were recorded, at the guarded upstream. */
export const USERS = { alice: "a secret" };

export interface Replayed {
  readonly asked: Asked;
  readonly method: string;
  readonly target: string;
  /** As sent, with credentials that are good here. */
  readonly headers: Headers;
  readonly answer: WireAnswer;
}

/** What may be done to requests on their way without changing what they mean. */
export interface Disturbance {
  readonly inOrder?: (headers: Headers) => Headers;
  readonly inPieces?: (bytes: Buffer) => readonly Buffer[];
}

const LONG_ENOUGH = 15_000;
/** Of a request that broke off. */
const NONE: WireAnswer = { status: 0, headers: new Map(), body: Buffer.alloc(0) };

export class Replay {
  readonly #front: Front;
  readonly #guarded: FaultUpstream;
  readonly #recording: Recording;
  readonly #disturbance: Disturbance;
  readonly #tokens = new Map<string, Promise<string>>();

  constructor(front: Front, guarded: FaultUpstream, recording: Recording, disturbance: Disturbance = {}) {
    this.#front = front;
    this.#guarded = guarded;
    this.#recording = recording;
    this.#disturbance = disturbance;
  }

  async play(session: Session): Promise<readonly Replayed[]> {
    const wires = new Map<number, Promise<Wire>>();
    const replayed: Replayed[] = [];
    const locations = session.requests.map(() => Promise.withResolvers<string>());
    const one = async (asked: Asked, n: number): Promise<void> => {
      const { inOrder = (each) => each, inPieces = (each) => [each] } = this.#disturbance;
      const headers = inOrder(await this.headersOf(asked));
      const [method = "", recorded = ""] = asked.ask.split(/ (.*)/s);
      const target = await targetOf(recorded, locations);
      const wire = await (wires.get(asked.on) ?? keep(wires, asked.on, this.#dial(headers)));
      await wire.send(...this.messageOf(asked, method, target, headers).flatMap(inPieces));
      const isCut = asked.torn === true || asked.left === true;
      const isUnanswered = asked.status === 0;
      const answer = isUnanswered
        ? NONE
        : await within(LONG_ENOUGH, asked.ask, wire.answer(method === "HEAD", isCut ? asked.bytes : undefined));
      if (isCut) {
        wire.close();
        wires.delete(asked.on);
      }
      replayed[n] = { asked, method, target, headers, answer };
      locations[n]!.resolve(answer.headers.get("location") ?? "");
    };
    const numbered = session.requests.map((asked, n) => ({ asked, n }));
    for (const wave of Map.groupBy(numbered, ({ asked }) => asked.wave).values()) {
      const lanes = [...Map.groupBy(wave, ({ asked }) => asked.on).values()];
      await Promise.all(
        lanes.map(async (lane) => {
          for (const { asked, n } of lane) await one(asked, n);
        }),
      );
    }
    for (const [on, dialled] of wires) {
      const wire = await dialled;
      if (wire.rest > 0) throw new Error(`${wire.rest} bytes that nobody asked for on connection ${on}`);
      wire.close();
    }
    return replayed;
  }

  /** What was recorded, with tokens in place of who they stood for. */
  headersOf({ headers }: Asked): Promise<Headers> {
    return Promise.all(
      this.#recording.headers[headers]!.map(async ([name, value]) => {
        if (name.toLowerCase() !== "authorization") return [name, value] as const;
        const [, scheme = "", user = "", scopes = ""] = /^(\S+) <(\S+?)((?: \S+)*)>$/.exec(value) ?? [];
        return [name, `${scheme} ${await this.#credential(scheme, user, scopes.trim())}`] as const;
      }),
    );
  }

  /** Head and body, each a piece. */
  messageOf({ body, torn }: Asked, method: string, target: string, headers: Headers): readonly Buffer[] {
    const head = [`${method} ${target} HTTP/1.1`, ...headers.map(([name, value]) => `${name}: ${value}`), "", ""].join("\r\n");
    const bytes = body === undefined ? undefined : this.bytesOf(body.of).subarray(body.from, body.from + body.length);
    const isChunked = headers.some(([name, value]) => name.toLowerCase() === "transfer-encoding" && value === "chunked");
    const pieces = isChunked ? chunked(bytes ?? Buffer.alloc(0), torn === true) : bytes;
    return [Buffer.from(head, "latin1"), ...(pieces === undefined ? [] : [pieces])];
  }

  /** A blob or manifest of those that were pulled or pushed. */
  bytesOf(digest: string): Buffer {
    const own = this.#recording.bodies[digest];
    const bytes = BODIES.get(digest) ?? (own === undefined ? undefined : Buffer.from(own, "base64"));
    if (bytes === undefined) throw new Error(`nobody knows ${digest}`);
    return bytes;
  }

  async #dial(headers: Headers): Promise<Wire> {
    const [, host = ""] = headers.find(([name]) => name.toLowerCase() === "host") ?? [];
    return new Wire(await this.#front.dial(host));
  }

  #credential(scheme: string, user: string, scopes: string): Promise<string> {
    const password = USERS[user as keyof typeof USERS];
    const basic = Buffer.from(`${user}:${password}`).toString("base64");
    if (scheme.toLowerCase() === "basic") return Promise.resolve(basic);
    const key = `${user} ${scopes}`;
    const known = this.#tokens.get(key);
    return (
      known ?? keep(this.#tokens, key, this.#token(scopes, password === undefined ? {} : { authorization: `Basic ${basic}` }))
    );
  }

  async #token(scopes: string, headers: Record<string, string>): Promise<string> {
    const url = new URL("/token?service=fault.example", this.#guarded.url);
    for (const scope of scopes.split(" ").filter(Boolean)) url.searchParams.append("scope", scope);
    const { body } = await request(url, { headers });
    return ((await body.json()) as { token: string }).token;
  }
}

const keep = <K, V>(map: Map<K, V>, key: K, value: V): V => {
  map.set(key, value);
  return value;
};

const targetOf = async (recorded: string, locations: readonly { readonly promise: Promise<string> }[]): Promise<string> => {
  const [, number, added] = /^@(\d+)(?:\?(.*))?$/.exec(recorded) ?? [];
  if (number === undefined) return recorded;
  const place = new URL(await locations[Number(number)]!.promise, "https://here");
  const path = place.pathname + place.search;
  return added === undefined ? path : `${path}${place.search === "" ? "?" : "&"}${added}`;
};

/** In two chunks, as bodies rarely come in one; what is torn lacks the end of its second. */
const chunked = (bytes: Buffer, isTorn: boolean): Buffer => {
  const halves = [bytes.subarray(0, bytes.length >> 1), bytes.subarray(bytes.length >> 1)].filter(({ length }) => length > 0);
  const chunks = halves.flatMap((half, n) => [`${(half.length + (isTorn ? n : 0)).toString(16)}\r\n`, half, "\r\n"]);
  const parts = isTorn ? chunks.slice(0, -1) : [...chunks, "0\r\n\r\n"];
  return Buffer.concat(parts.map((part) => Buffer.from(part as string)));
};

const within = async <T>(ms: number, what: string, work: Promise<T>): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no whole answer within ${ms} ms: ${what}`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
};
