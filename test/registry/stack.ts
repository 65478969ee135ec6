// One site put together over a scripted upstream, with real stores in memory and in a file, and a clock that tests turn.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { silent } from "../../src/lib/log.ts";
import { parseDigest } from "../../src/oci/digest.ts";
import { OciError } from "../../src/oci/error.ts";
import { parseReference, parseRepository } from "../../src/oci/reference.ts";
import type { BlobRead, Context, Registry } from "../../src/oci/registry.ts";
import { type FlightOptions, flights } from "../../src/registry/flights.ts";
import { grants } from "../../src/registry/grants.ts";
import { policyOf } from "../../src/registry/policy.ts";
import { publicity } from "../../src/registry/publicity.ts";
import { clientRights } from "../../src/registry/rights.ts";
import { siteRegistry } from "../../src/registry/site.ts";
import { type SubjectsParts, subjectsOf } from "../../src/registry/subjects.ts";
import type { Site } from "../../src/sites.ts";
import type { BlobStore } from "../../src/store/blobs.ts";
import type { FactStore } from "../../src/store/facts.ts";
import { memoryBlobs } from "../../src/store/memory.ts";
import { openSqlite } from "../../src/store/sqlite.ts";
import { ScriptedUpstream } from "./scripted.ts";

export const MINUTE = 60_000;
export const HOUR = 3_600_000;

/** Under which its subjects are hashed. */
export const SECRET = Buffer.alloc(32, 7);

export const POLICY = {
  freshFor: MINUTE,
  staleWhileRevalidate: 0,
  staleIfError: 30 * 24 * HOUR,
  onGone: "keep",
} as const;

const site = (changes: Partial<Site>): Site => ({
  host: "registry.example",
  hijackNames: ["registry.example"],
  lookupNames: ["registry.example"],
  kind: "upstream",
  upstreams: [new URL("https://registry.example")],
  concurrency: 64,
  access: "client",
  credentials: undefined,
  users: undefined,
  realms: [],
  tokenKeys: undefined,
  trust: undefined,
  clientCertificate: undefined,
  httpProxy: undefined,
  allow: [],
  onMissing: "cache",
  readOnly: false,
  offline: false,
  failOpen: true,
  policy: POLICY,
  rules: [],
  grantFor: 5 * MINUTE,
  publicFor: HOUR,
  staleAccess: 24 * HOUR,
  ...changes,
});

export const stack = (
  changes: Partial<Site> = {},
  blobs: BlobStore = memoryBlobs(),
  flightOptions: Partial<FlightOptions> = {},
  over?: Registry,
  given?: FactStore,
  proofs: (clock: () => number) => Pick<SubjectsParts, "voucher" | "exchanges"> = () => ({}),
) => {
  const folder = mkdtempSync(join(tmpdir(), "layover-stack-"));
  const facts = given ?? openSqlite(join(folder, "facts.sqlite"));
  const upstream = new ScriptedUpstream();
  const asked = over ?? upstream;
  const state = { now: Date.UTC(2026, 10, 23), up: true };
  const clock = () => state.now;
  const health = {
    get up() {
      return state.up;
    },
    get answersPings() {
      return state.up;
    },
    late: () => undefined,
  };
  const ours = site(changes);
  const policy = policyOf(ours);
  const granted = grants(facts, silent, { clock, keepFor: ours.staleAccess });
  const rights = clientRights(ours, granted, subjectsOf({ site: ours.host, secret: SECRET, clock, ...proofs(clock) }), clock);
  const finder = publicity(asked, rights, ours.publicFor, silent);
  const flying = flights(blobs, silent, {
    retry: { attempts: 6, first: 5, most: 50, longest: 200 },
    parkFor: 300,
    ...flightOptions,
  });
  const registry = siteRegistry({
    site: ours,
    policy,
    upstream: asked,
    blobs,
    facts,
    flights: flying,
    rights,
    publicity: finder,
    health,
    realmAnswers: () => Promise.resolve(true),
    tellsTokens: () => Promise.resolve(false),
    clock,
    log: silent,
  });
  onTestFinished(async () => {
    finder.close();
    await flying.close();
    await granted.close();
    if (given === undefined) await facts.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    upstream,
    registry,
    facts,
    blobs,
    flights: flying,
    rights,
    site: ours,
    policy,
    health,
    clock,
    pass: (ms: number) => {
      state.now += ms;
    },
    /** Whether the breaker lets questions through. */
    setUp: (up: boolean) => {
      state.up = up;
    },
    /** Upstream cannot be reached. */
    cut: () => {
      upstream.failure = new OciError("UPSTREAM_UNREACHABLE", "connection refused");
    },
  };
};

export const context = (credential?: string, accept: readonly string[] = [], signal = new AbortController().signal): Context => ({
  credential,
  accept,
  signal,
  client: "192.0.2.7",
  trace: "test",
  tally: { upstreamBytes: 0, upstreamRequests: 0 },
});

/** What a client sees: bytes and how they came, or the code of the error. */
export const seen = async (work: Promise<{ provenance: { source: string } }>): Promise<string> => {
  try {
    return (await work).provenance.source;
  } catch (error) {
    return error instanceof OciError ? error.code : String(error);
  }
};

export const manifest = (repo: string, reference: string) => ({
  repo: parseRepository(repo),
  reference: parseReference(reference),
});
export const blob = (repo: string, digest: string, range?: BlobRead["range"]): BlobRead => ({
  repo: parseRepository(repo),
  digest: parseDigest(digest),
  ...(range === undefined ? {} : { range }),
});

/** The whole body, or "cut" where it broke off. */
export const readBlob = async (registry: Registry, query: BlobRead, ctx: Context): Promise<Buffer | "cut"> => {
  const { body } = await registry.getBlob(query, ctx);
  try {
    return Buffer.concat((await body.toArray()) as Buffer[]);
  } catch {
    return "cut";
  }
};
