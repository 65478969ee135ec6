// Whatever happens in whatever order: a pinned tag never changes, a fresh one is never older than its rule says while upstream
// answers, and what was before a push never comes back after it.
import fc from "fast-check";
import { expect, it } from "vitest";
import type { Digest } from "../../src/oci/digest.ts";
import { isOciError, OciError } from "../../src/oci/error.ts";
import { context, HOUR, MINUTE, manifest, stack } from "./stack.ts";
import { writer } from "./writer.ts";

const RULES = [
  { match: "acme/app:pinned", pin: true },
  { match: "acme/app:swr", freshFor: 5 * MINUTE, staleWhileRevalidate: 10 * MINUTE },
  { match: "acme/app:short", freshFor: 0 },
];
const TAGS = ["pinned", "swr", "short", "plain"] as const;
type Name = (typeof TAGS)[number];
const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
/** How old an answer may be while upstream answers. */
const LIMIT = { pinned: Number.POSITIVE_INFINITY, swr: 15 * MINUTE, short: 0, plain: MINUTE } satisfies Record<Name, number>;

type Step =
  | { do: "pull"; tag: Name; how: "get" | "head" | "headThenDigest"; together: boolean }
  | { do: "move" | "push" | "refusedPush" | "tornPush"; tag: Name; together: boolean }
  | { do: "pass"; ms: number }
  | { do: "cut" }
  | { do: "heal" };

const tag = fc.constantFrom(...TAGS);
const together = fc.boolean();
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("pull" as const),
      tag,
      how: fc.constantFrom("get", "head", "headThenDigest"),
      together,
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("move", "push", "refusedPush", "tornPush"), tag, together }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("pass" as const), ms: fc.integer({ min: -20 * MINUTE, max: 40 * MINUTE }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("cut", "heal") }) },
) as fc.Arbitrary<Step>;

const turns = async (count: number) => {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

class World {
  readonly #write: ReturnType<typeof writer>["write"];
  readonly made = stack({ rules: RULES, publicFor: 1_000 * HOUR, staleAccess: 1_000 * HOUR });
  /** What upstream had, and until when: the last entry is what it has now. */
  readonly reigns: Record<Name, { digest: Digest; ended: number }[]> = { pinned: [], swr: [], short: [], plain: [] };
  readonly pinned = new Set<Digest>();
  /** Digests that a push which upstream took has replaced. */
  readonly replaced = new Set<Digest>();
  isCut = false;
  /** Nothing is known of ages that were counted with a clock which was turned back since. */
  turnedBack = false;
  #n = 0;

  constructor() {
    this.#write = writer(this.made).write;
    this.made.upstream.repo("acme/app", { isPublic: true });
  }

  async prepare(): Promise<void> {
    await this.made.facts.putPing(this.made.site.host, { status: 401, challenges: ["Bearer"], at: 0 });
    for (const name of TAGS) this.move(name);
  }

  move(name: Name, n = this.#next()): Digest {
    const reigns = this.reigns[name];
    const last = reigns.at(-1);
    if (last !== undefined) last.ended = this.made.clock();
    const digest = this.made.upstream.manifest("acme/app", name, { n, name });
    reigns.push({ digest, ended: Number.POSITIVE_INFINITY });
    return digest;
  }

  #next(): number {
    this.#n += 1;
    return this.#n;
  }

  async push(name: Name, outcome: Step["do"]): Promise<void> {
    const n = this.#next();
    let pushed: Digest | undefined;
    const pushing = this.#write("PUT", `/v2/acme/app/manifests/${name}`, {
      body: [Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, n, name }))],
      mediaType: OCI_MANIFEST,
      send: async () => {
        await turns(1);
        if (outcome === "refusedPush") return { status: 403 };
        if (this.isCut) throw new Error("refused");
        pushed = this.move(name, n);
        await turns(1);
        // upstream has taken it, and the pusher never hears of it
        if (outcome === "tornPush") throw new Error("torn");
        return { status: 201, digest: pushed };
      },
    });
    await pushing.catch(() => undefined);
    // by then whatever was before it is over, also what another push has brought meanwhile
    const reigns = this.reigns[name];
    const since = reigns.findIndex(({ digest }) => digest === pushed);
    for (const { digest } of reigns.slice(0, Math.max(0, since))) this.replaced.add(digest);
  }

  async pull(name: Name, how: "get" | "head" | "headThenDigest"): Promise<void> {
    const { registry, clock } = this.made;
    const query = manifest("acme/app", name);
    const [began, wasCut, gone] = [clock(), this.isCut, new Set(this.replaced)];
    const digest = await (how === "get" ? registry.getManifest(query, context()) : registry.statManifest(query, context()))
      .then(({ descriptor }) => descriptor.digest)
      .catch((error: unknown) => {
        // a question that nobody could answer, and nothing held to answer it with
        if (isOciError(error) && error.isOutage && (wasCut || this.isCut)) return undefined;
        throw error;
      });
    if (digest === undefined) return;
    if (how === "headThenDigest" && !this.isCut) await registry.getManifest(manifest("acme/app", digest), context());
    this.#judge(name, how, digest, { began, isAway: wasCut || this.isCut, gone });
  }

  #judge(
    name: Name,
    how: string,
    digest: Digest,
    { began, isAway, gone }: { began: number; isAway: boolean; gone: Set<Digest> },
  ): void {
    if (name === "pinned") {
      // a HEAD for what is not held yet is upstream's word, and pins nothing
      if (how === "get") this.pinned.add(digest);
      expect(this.pinned.size).toBeLessThan(2);
      return;
    }
    if (isAway) return;
    expect(gone.has(digest), `${name} is what it was before a push`).toBe(false);
    const reign = this.reigns[name].find((one) => one.digest === digest)!;
    if (!this.turnedBack) expect(began - reign.ended).toBeLessThanOrEqual(LIMIT[name]);
  }

  async run(step: Step): Promise<void> {
    if (step.do === "pull") return this.pull(step.tag, step.how);
    if (step.do === "move") {
      this.move(step.tag);
      return;
    }
    if (step.do === "pass") {
      this.turnedBack ||= step.ms < 0;
      return this.made.pass(step.ms);
    }
    if (step.do === "cut" || step.do === "heal") {
      this.isCut = step.do === "cut";
      this.made.upstream.failure = this.isCut ? new OciError("UPSTREAM_UNREACHABLE", "refused") : undefined;
      return;
    }
    await this.push(step.tag, step.do);
  }
}

it("tags keep to their rules", { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const world = new World();
      await world.prepare();
      let open: Promise<void>[] = [];
      for (const next of steps) {
        // only one's own clock and cable are waited for: pulls and pushes overlap as they like
        const isTogether = "together" in next && next.together;
        if (!isTogether) {
          await Promise.all(open);
          open = [];
        }
        open.push(world.run(next));
        if (!isTogether) await open.at(-1);
      }
      await Promise.all(open);
      await turns(5);
      // in the end, with upstream back and everything stale, all have what it has, but what is pinned
      world.made.upstream.failure = undefined;
      world.made.pass(HOUR);
      for (const name of ["swr", "short", "plain"] as const) {
        const { descriptor } = await world.made.registry.getManifest(manifest("acme/app", name), context());
        expect(descriptor.digest).toBe(world.reigns[name].at(-1)!.digest);
      }
      await world.pull("pinned", "get");
    }),
    { numRuns: 300 },
  );
});
