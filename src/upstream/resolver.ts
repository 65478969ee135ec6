// Names of upstreams, asked at the configured resolvers by our own sockets: the system's resolver may be ourselves.
import { isIP, type LookupFunction } from "node:net";
import { LRUCache } from "lru-cache";
import { within } from "../lib/abort.ts";
import { SingleFlight } from "../lib/single-flight.ts";
import { OciError } from "../oci/error.ts";
import type { Names } from "./plain-names.ts";
import { portOf } from "./port.ts";

interface Found {
  readonly address: string;
  readonly family: 4 | 6;
}

interface Known {
  readonly addresses: readonly Found[];
  readonly freshUntil: number;
  readonly usableUntil: number;
}

/** How long an IPv4 answer waits for its IPv6 twin. */
const TWIN_MS = 150;
/** Who has an old answer waits this long for a new one, and after a failure asks no more for a while: no client waits for a resolver that is gone. */
const PATIENCE_MS = 300;
const ASK_AGAIN_MS = 5_000;
const MIN_TTL = 5_000;
const MAX_TTL = 600_000;
/** When no resolver answers, what was last known goes on being used. */
const LAST_KNOWN_FOR = 24 * 3_600_000;
const MAX_NAMES = 10_000;

export interface ResolverOptions {
  readonly names: Names;
  /** Whether an address and port lead back to us. */
  readonly isOurs: (address: string, port: number) => boolean;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

export class UpstreamResolver {
  readonly #names: Names;
  readonly #known = new LRUCache<string, Known>({ max: MAX_NAMES });
  readonly #asking = new SingleFlight<readonly Found[]>();
  readonly #isOurs: ResolverOptions["isOurs"];
  readonly #now: () => number;

  constructor({ names, isOurs, now = () => performance.now() }: ResolverOptions) {
    this.#now = now;
    this.#names = names;
    this.#isOurs = isOurs;
  }

  /** A socket, and a proxy, looks no address up: one that stands in the URL is held against our own here. Throws LOOP_DETECTED. */
  refuseOurs(url: URL): void {
    const host = url.hostname.replace(/^\[|\]$/g, "");
    if (isIP(host) !== 0 && this.#isOurs(host, portOf(url))) throw ourselves(url.hostname);
  }

  /** Throws UPSTREAM_UNREACHABLE when nobody knows the name, LOOP_DETECTED when it leads to ourselves. */
  async resolve(host: string, port: number): Promise<readonly Found[]> {
    const addresses = await this.#find(host.replace(/^\[|\]$/g, ""));
    const others = addresses.filter(({ address }) => !this.#isOurs(address, port));
    if (others.length === 0) throw ourselves(host);
    return others;
  }

  /** For sockets to `port`. */
  lookupFor(port: number): LookupFunction {
    return (host, options, done) => {
      this.resolve(host, port).then(
        (found) => {
          const wanted =
            options.family === 4 || options.family === 6 ? found.filter(({ family }) => family === options.family) : found;
          const usable = wanted.length === 0 ? found : wanted;
          if (options.all === true) done(null, [...usable]);
          else done(null, usable[0]!.address, usable[0]!.family);
        },
        (error: unknown) => done(error as NodeJS.ErrnoException, "", 4),
      );
    };
  }

  async #find(host: string): Promise<readonly Found[]> {
    const family = isIP(host);
    if (family !== 0) return [{ address: host, family: family as 4 | 6 }];
    // RFC 6761 §6.3: no resolver is asked for it
    if (host === "localhost") return LOCALHOST;
    const known = this.#known.get(host);
    if (known !== undefined && this.#now() < known.freshUntil) return known.addresses;
    const asked = this.#asking.run(host, NEVER, () => this.#ask(host)).then(({ value }) => value);
    if (known !== undefined && this.#now() < known.usableUntil) {
      return within(asked, PATIENCE_MS).catch(() => this.#goOnWith(host, known));
    }
    return asked.catch((error: unknown) => {
      throw new OciError("UPSTREAM_UNREACHABLE", `no resolver knows ${host}`, { cause: error });
    });
  }

  #goOnWith(host: string, known: Known): readonly Found[] {
    if (this.#known.get(host) === known) this.#known.set(host, { ...known, freshUntil: this.#now() + ASK_AGAIN_MS });
    return known.addresses;
  }

  /** IPv6 is a bonus: its absence, or a resolver that chokes on it, takes nothing from IPv4. */
  async #ask(host: string): Promise<readonly Found[]> {
    const six = this.#names.find(host, 6).catch(() => []);
    const four = await this.#names.find(host, 4).catch(async (error: unknown) => {
      if ((await six).length > 0) return [];
      throw error;
    });
    const twin = four.length === 0 ? await six : await within(six, TWIN_MS).catch(() => []);
    const all = [
      ...four.map((record) => ({ ...record, family: 4 as const })),
      ...twin.map((record) => ({ ...record, family: 6 as const })),
    ];
    const ttl = Math.min(...all.map((record) => record.ttl * 1_000));
    const addresses = all.map(({ address, family }) => ({ address, family }));
    const now = this.#now();
    const freshUntil = now + Math.min(MAX_TTL, Math.max(MIN_TTL, ttl));
    this.#known.set(host, { addresses, freshUntil, usableUntil: now + LAST_KNOWN_FOR });
    return addresses;
  }
}

const ourselves = (host: string): OciError => new OciError("LOOP_DETECTED", `${host} resolves to Layover itself`);

const LOCALHOST: readonly Found[] = [
  { address: "127.0.0.1", family: 4 },
  { address: "::1", family: 6 },
];
const NEVER = new AbortController().signal;
