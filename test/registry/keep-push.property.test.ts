// Whatever clients send in whatever order, however they lie, and whatever upstream says of it: what is linked is what upstream has there, what
// is held is what it is called, and in the end nothing is left of what was not kept.
import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { expect, it } from "vitest";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import { parseRepository } from "../../src/oci/reference.ts";
import type { Pushed } from "../../src/registry/pushed.ts";
import { memoryBlobs } from "../../src/store/memory.ts";
import { stack } from "./stack.ts";
import { writer } from "./writer.ts";

const REPOS = ["acme/app", "eve/app"] as const;
const WHOLE = randomBytes(900);
const DIGEST = digestOf(WHOLE);
const SECRET = digestOf(Buffer.from("held by nobody"));
const PARTS = [WHOLE.subarray(0, 300), WHOLE.subarray(300, 600), WHOLE.subarray(600)] as const;
const UPLOADS = 3;

type Step =
  | { do: "begin"; repo: 0 | 1; client: string }
  | {
      do: "part";
      upload: number;
      part: 0 | 1 | 2;
      range: "none" | "right" | "wrong";
      outcome: Outcome;
      isWhole: boolean;
      turns: number;
    }
  | { do: "finish"; upload: number; digest: Digest; part: 0 | 1 | 2 | undefined; outcome: Outcome; turns: number }
  | { do: "whole"; repo: 0 | 1; digest: Digest; outcome: Outcome; turns: number }
  | { do: "cancel"; upload: number };
type Outcome = "taken" | "refused" | "failed" | "torn" | "unasked";

const upload = fc.nat(UPLOADS - 1);
const part = fc.constantFrom(0, 1, 2);
const outcome = fc.oneof(
  { weight: 6, arbitrary: fc.constant("taken") },
  { weight: 1, arbitrary: fc.constantFrom("refused", "failed", "torn", "unasked") },
);
const digest = fc.oneof({ weight: 5, arbitrary: fc.constant(DIGEST) }, { weight: 1, arbitrary: fc.constant(SECRET) });
const turns = fc.nat(6);
const repo = fc.constantFrom(0, 1);
const step = fc.oneof(
  fc.record({ do: fc.constant("begin"), repo, client: fc.constantFrom("a", "b") }),
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("part"),
      upload,
      part,
      range: fc.constantFrom("none", "right", "wrong"),
      outcome,
      isWhole: fc.oneof({ weight: 8, arbitrary: fc.constant(true) }, fc.constant(false)),
      turns,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("finish"),
      upload,
      digest,
      part: fc.option(part, { nil: undefined }),
      outcome,
      turns,
    }),
  },
  fc.record({ do: fc.constant("whole"), repo, digest, outcome, turns }),
  fc.record({ do: fc.constant("cancel"), upload }),
) as fc.Arbitrary<Step>;
/** The right way, among whatever else goes on: else nothing would ever be kept. */
const story: fc.Arbitrary<Step[]> = fc
  .record({ upload, from: fc.nat(2) })
  .map(({ upload: at, from }) => [
    { do: "begin", repo: 0, client: "a" },
    ...([0, 1, 2] as const)
      .slice(0, from)
      .map((nth): Step => ({ ...RIGHT, do: "part", upload: at, part: nth, range: "right", isWhole: true })),
    { ...RIGHT, do: "finish", upload: at, digest: DIGEST, part: undefined },
  ]);
const RIGHT = { outcome: "taken", turns: 1 } as const;

class World {
  readonly made = stack({}, memoryBlobs());
  readonly #writer = writer(this.made);
  /** What upstream has of each upload, by the order in which they began; and whose it is. */
  readonly #uploads: { readonly repo: string; bytes: Buffer; asked: number }[] = [];
  readonly #blobs = new Map<string, Set<Digest>>(REPOS.map((name) => [name, new Set()]));

  #location(nth: number): string {
    return `/v2/${this.#uploads[nth]!.repo}/blobs/uploads/${nth}?_state=${this.#uploads[nth]!.asked}`;
  }

  /** Upstream goes on only from the last Location, checks the digest, and says what it is told to say. */
  async #send(how: Outcome, rounds: number, take: () => Partial<Pushed>): Promise<Partial<Pushed>> {
    for (let round = 0; round < rounds; round += 1) await new Promise((resolve) => setImmediate(resolve));
    if (how === "refused") return { status: 401 };
    if (how === "failed") return { status: 500 };
    const taken = take();
    if (how === "torn") throw new Error("torn");
    // it says yes to what it has not done
    return how === "unasked" ? { ...taken, status: 204 } : taken;
  }

  #finish(name: string, bytes: Buffer, as: Digest): Partial<Pushed> {
    if (digestOf(bytes) !== as) return { status: 400 };
    this.#blobs.get(name)!.add(as);
    return { status: 201, digest: as };
  }

  async run(next: Step): Promise<void> {
    const { write } = this.#writer;
    if (next.do === "begin") {
      const name = REPOS[next.repo];
      await write("POST", `/v2/${name}/blobs/uploads/`, {
        client: next.client,
        send: async () => {
          this.#uploads.push({ repo: name, bytes: Buffer.alloc(0), asked: 0 });
          return { status: 202, location: this.#location(this.#uploads.length - 1) };
        },
      });
      return;
    }
    if (next.do === "whole") {
      const name = REPOS[next.repo];
      const send = () => this.#send(next.outcome, next.turns, () => this.#finish(name, WHOLE, next.digest));
      await write("POST", `/v2/${name}/blobs/uploads/?digest=${next.digest}`, { body: [WHOLE], length: WHOLE.length, send });
      return;
    }
    const known = this.#uploads[next.upload];
    if (known === undefined) return;
    const target = this.#location(next.upload);
    if (next.do === "cancel") return write("DELETE", target, { send: async () => ({ status: 204 }) });
    const bytes = next.part === undefined ? Buffer.alloc(0) : PARTS[next.part];
    const start = known.bytes.length + (next.do === "part" && next.range === "wrong" ? 7 : 0);
    const contentRange = next.do === "part" && next.range !== "none" ? `${start}-${start + bytes.length - 1}` : undefined;
    await write(next.do === "part" ? "PATCH" : "PUT", next.do === "part" ? target : `${target}&digest=${next.digest}`, {
      body: [bytes.subarray(0, 100), bytes.subarray(100)],
      contentRange,
      send: () =>
        this.#send(next.outcome, next.turns, () => {
          known.bytes = Buffer.concat([known.bytes, bytes]);
          known.asked += 1;
          const isWhole = next.do === "finish" || next.isWhole;
          if (next.do === "finish") return { ...this.#finish(known.repo, known.bytes, next.digest), isWhole };
          return { status: 202, location: this.#location(next.upload), isWhole };
        }),
    });
  }

  async judge(): Promise<{ readonly isHeld: boolean }> {
    const { facts, blobs, site } = this.made;
    for (const name of REPOS)
      for (const about of [DIGEST, SECRET]) {
        const link = await facts.link({ site: site.host, repo: parseRepository(name), digest: about });
        if (link !== undefined) expect(this.#blobs.get(name)!.has(about), `${name} has what is linked`).toBe(true);
      }
    const held = await blobs.readAll(DIGEST, 1_000_000);
    if (held !== undefined) expect(held.equals(WHOLE)).toBe(true);
    expect(await blobs.stat(SECRET)).toBeUndefined();
    const { pushes } = this.#writer;
    await pushes.close();
    expect([pushes.waiting.bytes, pushes.uploads.size]).toEqual([0, 0]);
    return { isHeld: held !== undefined };
  }
}

it("links nothing that upstream has not taken, and leaves nothing behind", { timeout: 120_000 }, async () => {
  let kept = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), story, fc.boolean(), async (steps, right, isTogether) => {
      const world = new World();
      for (let nth = 0; nth < UPLOADS; nth += 1) await world.run({ do: "begin", repo: (nth % 2) as 0 | 1, client: "a" });
      const all = [...steps.slice(0, 3), ...right, ...steps.slice(3)];
      const running: Promise<void>[] = [];
      for (const next of all) {
        const doing = world.run(next).catch((error: unknown) => {
          if (!(error instanceof Error) || error.message !== "torn") throw error;
        });
        running.push(doing);
        if (!isTogether) await doing;
      }
      await Promise.all(running);
      if ((await world.judge()).isHeld) kept += 1;
    }),
    { numRuns: 300 },
  );
  // the property says nothing where nothing is ever kept
  expect(kept).toBeGreaterThan(30);
});
