// Names of upstreams, asked at the configured resolvers by our own sockets: the system's resolver may be ourselves.
import { Resolver } from "node:dns/promises";
import { isIP, type LookupFunction } from "node:net";
import { LRUCache } from "lru-cache";
import { within } from "../lib/abort.ts";
import { SingleFlight } from "../lib/single-flight.ts";
import { OciError } from "../oci/error.ts";

interface Found {
  readonly address: string;
  readonly family: 4 | 6;
}

interface Known {
  readonly addresses: readonly Found[];
  readonly freshUntil: number;
}

const ASK_MS = 1_000;
/** How long an IPv4 answer waits for its IPv6 twin. */
const TWIN_MS = 150;
const TRIES = 2;
const MIN_TTL = 5_000;
const MAX_TTL = 600_000;
/** When no resolver answers, what was last known goes on being used. */
const LAST_KNOWN_FOR = 24 * 3_600_000;
const MAX_NAMES = 10_000;

export interface ResolverOptions {
  /** `ip`, `ip:port` or `[ipv6]:port`. */
  readonly servers: readonly string[];
  /** Whether an address and port lead back to us. */
  readonly isOurs: (address: string, port: number) => boolean;
}

export class UpstreamResolver {
  readonly #resolver = new Resolver({ timeout: ASK_MS, tries: TRIES });
  readonly #known = new LRUCache<string, Known>({ max: MAX_NAMES, ttl: LAST_KNOWN_FOR });
  readonly #asking = new SingleFlight<readonly Found[]>();
  readonly #isOurs: ResolverOptions["isOurs"];

  constructor({ servers, isOurs }: ResolverOptions) {
    this.#resolver.setServers(servers);
    this.#isOurs = isOurs;
  }

  /** Throws UPSTREAM_UNREACHABLE when nobody knows the name, LOOP_DETECTED when it leads to ourselves. */
  async resolve(host: string, port: number): Promise<readonly Found[]> {
    const addresses = await this.#find(host.replace(/^\[|\]$/g, ""));
    const others = addresses.filter(({ address }) => !this.#isOurs(address, port));
    if (others.length === 0) throw new OciError("LOOP_DETECTED", `${host} resolves to Layover itself`);
    return others;
  }

  /** For sockets to `port`. */
  lookupFor(port: number): LookupFunction {
    return (host, options, done) => {
      this.resolve(host, port).then(
        (found) => {
          const wanted =
            options.family === 4 || options.family === 6 ? found.filter(({ family }) => family === options.family) : found;
          const [first] = wanted.length === 0 ? found : wanted;
          if (options.all === true) done(null, [...found]);
          else done(null, first!.address, first!.family);
        },
        (error: unknown) => done(error as NodeJS.ErrnoException, "", 4),
      );
    };
  }

  async #find(host: string): Promise<readonly Found[]> {
    const family = isIP(host);
    if (family !== 0) return [{ address: host, family: family as 4 | 6 }];
    const known = this.#known.get(host);
    if (known !== undefined && performance.now() < known.freshUntil) return known.addresses;
    try {
      return (await this.#asking.run(host, NEVER, () => this.#ask(host))).value;
    } catch (error) {
      if (known === undefined) throw new OciError("UPSTREAM_UNREACHABLE", `no resolver knows ${host}`, { cause: error });
      return known.addresses;
    }
  }

  /** IPv6 is a bonus: its absence, or a resolver that chokes on it, takes nothing from IPv4. */
  async #ask(host: string): Promise<readonly Found[]> {
    const six = this.#resolver.resolve6(host, { ttl: true }).catch(() => []);
    const four = await this.#resolver.resolve4(host, { ttl: true }).catch(async (error: unknown) => {
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
    this.#known.set(host, { addresses, freshUntil: performance.now() + Math.min(MAX_TTL, Math.max(MIN_TTL, ttl)) });
    return addresses;
  }
}

const NEVER = new AbortController().signal;
