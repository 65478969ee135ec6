// For DNS without a front end of its own: whether those that hijacked names lead to are well, each asked by its address, again and again.
import type { Readiness } from "../admin/readiness.ts";
import type { Config } from "../config/config.ts";
import { canonical } from "../dns/address.ts";
import { namedAnswers } from "../lib/answers.ts";
import { fromHere } from "../lib/listen.ts";
import type { Logger } from "../lib/log.ts";
import { askReady, placeOf, type ReadyPlace } from "./ask-ready.ts";
import { Standing } from "./standing.ts";

/** A front end that hangs is found out within the pause, twice the answer's time and the second thought: 3 s. Milliseconds. */
const EVERY = 1_000;
const ANSWER_WITHIN = 900;
const SECOND_THOUGHT = 100;

type Watched = Pick<Config, "listen" | "answer" | "answerIn" | "names">;

/** In place of the addresses of an `answer: auto`, which are all this machine's. */
const HERE = "here";

export class FrontEnds {
  /** By address. */
  readonly #fronts: ReadonlyMap<string, FrontEnd>;
  /** Of each list of addresses, what may be answered: those that are well, each in front once. Made anew when one of them rises or falls. */
  #orders = new WeakMap<readonly string[], readonly (readonly string[])[]>();

  /** What is known of places that were watched before is taken over from `before`. */
  constructor(config: Watched, log: Logger, before?: FrontEnds) {
    const known = new Map(before?.watched().map((front) => [front.place, front.standing] as const));
    const changed = () => {
      this.#orders = new WeakMap();
    };
    this.#fronts = new Map(
      hostsOf(config).map((host) => {
        const place = readyPlace(config, host);
        return [host, new FrontEnd(place, log, changed, known.get(placeOf(place)))] as const;
      }),
    );
  }

  get places(): string[] {
    return this.watched().map(({ place }) => place);
  }

  watched(): FrontEnd[] {
    return [...this.#fronts.values()];
  }

  /** Whether any is. */
  get well(): boolean {
    for (const front of this.#fronts.values()) if (front.well) return true;
    return false;
  }

  /** Those of the addresses that are well, in changing order; where none is: none of a name that fails open, all of another. */
  choose(addresses: readonly string[], failOpen: boolean): readonly string[] {
    let orders = this.#orders.get(addresses);
    if (orders === undefined) {
      orders = ordersOf(addresses.filter((address) => (this.#fronts.get(address) ?? this.#fronts.get(HERE))?.well === true));
      this.#orders.set(addresses, orders);
    }
    if (orders.length === 0 && !failOpen) return addresses;
    // by chance: in turn, who asks for A and AAAA would always get the same one
    return orders[Math.floor(Math.random() * orders.length)] ?? [];
  }

  close(): void {
    for (const front of this.#fronts.values()) front.close();
  }
}

const ordersOf = (addresses: readonly string[]): string[][] =>
  addresses.map((_, first) => [...addresses.slice(first), ...addresses.slice(0, first)]);

const hostsOf = (config: Watched): string[] => {
  const isAuto = [config, ...config.answerIn].some(({ answer }) => answer === "auto");
  return [...namedAnswers(config).map(canonical), ...(isAuto ? [HERE] : [])];
};

/** At the port that our own configuration has for the plain door, or, where that is off, for the other. */
const readyPlace = ({ listen, names }: Watched, host: string): ReadyPlace => {
  const [plain] = listen.http;
  const door = plain ?? listen.https[0] ?? { host: "127.0.0.1", port: 80 };
  const serverName = plain === undefined ? names[0] : undefined;
  return { host: host === HERE ? fromHere(door).host : host, port: door.port, serverName };
};

class FrontEnd {
  readonly place: string;
  readonly standing: Standing;
  readonly #asked: ReadyPlace;
  readonly #log: Logger;
  readonly #changed: () => void;
  #isBypassed = false;
  #failures = 0;
  #told: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(asked: ReadyPlace, log: Logger, changed: () => void, standing = new Standing()) {
    this.place = placeOf(asked);
    this.standing = standing;
    this.#asked = asked;
    this.#log = log;
    this.#changed = changed;
    void this.#look();
  }

  get well(): boolean {
    return this.standing.well && !this.#isBypassed;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  /** One question at a time. */
  async #look(): Promise<void> {
    const was = this.well;
    const heard = await askReady(this.#asked, ANSWER_WITHIN).catch((error: Error) => error.message);
    if (this.#isClosed) return;
    this.#note(heard);
    if (this.well !== was) this.#changed();
    this.#tell(heard);
    this.#timer = setTimeout(() => void this.#look(), this.#failures === 1 ? SECOND_THOUGHT : EVERY);
  }

  /** What it says of itself is believed; silence, or what makes no sense, the second time. */
  #note(heard: Readiness | (string & {})): void {
    this.#isBypassed = heard === "bypass";
    const isGood = heard === "ready" || heard === "bypass";
    this.#failures = isGood ? 0 : this.#failures + 1;
    if (isGood) this.standing.good();
    else if (heard === "ill" || heard === "shutting down" || this.#failures > 1) this.standing.bad();
  }

  #tell(said: string): void {
    const state = this.well ? "well" : this.#isBypassed ? "bypassed" : "not well";
    if (state === this.#told) return;
    this.#told = state;
    this.#log.warn({ front: this.place, state, said }, "front end");
  }
}
