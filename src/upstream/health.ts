// How all upstreams of a site stand together: it is away when all of them are.
import type { OriginStanding } from "../oci/standing.ts";
import type { Transport } from "./transport.ts";
import type { Upstream } from "./turn.ts";

export class UpstreamHealth {
  readonly #upstreams: readonly Upstream[];
  readonly #transport: Transport;

  constructor(upstreams: readonly Upstream[], transport: Transport) {
    this.#upstreams = upstreams;
    this.#transport = transport;
  }

  /** Whether who can be served from what is held should ask. */
  get up(): boolean {
    return this.#upstreams.some(({ breaker }) => breaker.up);
  }

  /** Whether `GET /v2/` is worth asking. */
  get answersPings(): boolean {
    return this.#upstreams.some(({ breaker }) => breaker.answersPings);
  }

  /** A client with something to fall back on has waited in vain. */
  late(): void {
    for (const { breaker } of this.#upstreams) breaker.late();
  }

  get standing(): OriginStanding[] {
    return this.#upstreams.map(({ url, breaker, limits }) => {
      const { running, waiting } = this.#transport.lines.of(url.origin).slots;
      return { ...breaker.standing, running, waiting, budgets: limits.standing };
    });
  }

  close(): void {
    for (const { breaker } of this.#upstreams) breaker.close();
  }
}
