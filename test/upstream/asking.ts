// Questions to upstreams as the tests put them: over a real transport that resolves nothing, unless a test brings a resolver.
import { createSecureContext } from "node:tls";
import { expect, onTestFinished } from "vitest";
import { type Logger, silent } from "../../src/lib/log.ts";
import { isOciError, type OciError } from "../../src/oci/error.ts";
import type { Context, Tally } from "../../src/oci/registry.ts";
import { type Asker, asClient } from "../../src/upstream/asker.ts";
import { Breaker } from "../../src/upstream/breaker.ts";
import { upstreamRegistry } from "../../src/upstream/client.ts";
import { Limits } from "../../src/upstream/limits.ts";
import { lookAt } from "../../src/upstream/ping.ts";
import { plainNames } from "../../src/upstream/plain-names.ts";
import { UpstreamResolver } from "../../src/upstream/resolver.ts";
import { Transport, type TransportOptions } from "../../src/upstream/transport.ts";
import type { AskingParts } from "../../src/upstream/turn.ts";

/** What the clock of a registry here says. Milliseconds since the epoch. */
export const NOW = Date.UTC(2026, 10, 24, 8, 0, 0);

export interface Asking extends Context {
  readonly tally: Tally;
}

export const asking = (more: Partial<Context> = {}): Asking => ({
  credential: undefined,
  accept: [],
  signal: new AbortController().signal,
  client: "",
  trace: "test",
  tally: { upstreamBytes: 0, upstreamRequests: 0 },
  ...more,
});

/** A resolver that nobody answers; addresses need none. */
export const noResolver = (isOurs: (address: string, port: number) => boolean = () => false) =>
  new UpstreamResolver({ names: plainNames(["127.0.0.1:1"]), isOurs });

export const transportFor = (more: Partial<TransportOptions> = {}): Transport => {
  const transport = new Transport({
    resolver: noResolver(),
    secureContext: createSecureContext(),
    via: "1.1 layover-test",
    userAgent: "layover/test",
    ...more,
  });
  onTestFinished(() => transport.close());
  return transport;
};

export interface AskingOptions {
  readonly asker?: Asker;
  readonly transport?: Transport;
  readonly log?: Logger;
  /** Milliseconds that tests turn; nothing but looks for what is away waits for real. */
  readonly now?: () => number;
}

/** Breakers, budgets and slots as in the app, but for their clocks, and with no chance in them. */
export const askingAt = (urls: URL | readonly URL[], options: AskingOptions = {}): AskingParts => {
  const { asker = asClient, transport = transportFor(), now = () => performance.now(), log = silent } = options;
  const clock = () => NOW;
  const upstreams = [urls].flat().map((url) => {
    const name = url.origin;
    const look = () => lookAt(url, transport, clock, asking({ signal: AbortSignal.timeout(1_000) }));
    const breaker = new Breaker({ site: "registry.example", name, look, log, now, clock, random: () => 0.5 });
    transport.lines.watch(name, breaker);
    onTestFinished(() => breaker.close());
    return { url, breaker, limits: new Limits({ name, now, random: () => 0.5 }) };
  });
  return { upstreams, transport, asker, clock, payer: ({ credential }) => credential ?? "" };
};

export const registryAt = (urls: URL | readonly URL[], asker: Asker = asClient, transport = transportFor()) =>
  upstreamRegistry(askingAt(urls, { asker, transport }));

/** The OciError that the work fails with; anything else fails the test. */
export const failureOf = async (work: Promise<unknown>): Promise<OciError> => {
  const error = await work.then(
    () => expect.unreachable("it should have failed"),
    (reason: unknown) => reason,
  );
  if (!isOciError(error)) throw error;
  return error;
};
