// What a stale tag costs upstream, counted on the wire at upstream: one HEAD for everybody, and never a GET that is not needed.
import { describe, expect, it } from "vitest";
import { hold, noDigestHeader, status } from "../faults/behaviours.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { startFront } from "../front.ts";

const TYPES = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.docker.distribution.manifest.v2+json",
];
type Headers = Record<string, string>;
const CLIENTS = 40;
const PATH = "/v2/acme/app/manifests/v1";

const world = async () => {
  const upstream = await faultUpstream();
  const { top } = upstream.content.seed({ repo: "acme/app", tag: "v1", index: true });
  const front = await startFront(upstream, { freshFor: "1s" });
  await front.ask("/v2/");
  expect((await front.ask(PATH)).headers["x-cache"]).toBe("MISS");
  const stale = async () => {
    await new Promise((resolve) => setTimeout(resolve, 1_050));
    upstream.clear();
  };
  const methods = () => upstream.requests(/manifests/).map(({ method, path }) => `${method} ${path.split("/").at(-1)}`);
  /** All at once, each with a connection of its own, while the first one's question is still under way. */
  const herd = async (headers: Headers | (() => Headers) = {}, path = PATH) => {
    let open: () => void = () => undefined;
    const lift = upstream.fault(/manifests/, hold(new Promise<void>((resolve) => (open = resolve))));
    const answers = Array.from({ length: CLIENTS }, () =>
      front.ask(path, { headers: typeof headers === "function" ? headers() : headers }),
    );
    await expect.poll(() => upstream.count(/manifests/)).toBeGreaterThan(0);
    await new Promise((resolve) => setTimeout(resolve, 500));
    open();
    lift();
    return Promise.all(answers);
  };
  return { upstream, front, top, stale, methods, herd };
};

describe("a stale tag", () => {
  it("costs one HEAD for many clients, which takes every type there is", async () => {
    const { upstream, stale, methods, herd, top } = await world();
    await stale();
    const answers = await herd({ accept: TYPES[0]! });
    expect(methods()).toEqual(["HEAD v1"]);
    expect(upstream.requests(/manifests/)[0]!.headers.accept).toEqual(expect.stringContaining(TYPES.join(", ")));
    for (const answer of answers) {
      expect(answer.body).toEqual(top.bytes);
      expect(answer.headers["x-cache"]).toMatch(/^(REVALIDATED|HIT)$/);
    }
  });

  it("that has moved, or was never asked for, costs one GET more", async () => {
    const { upstream, stale, methods, herd } = await world();
    const { top } = upstream.content.seed({ repo: "acme/app", tag: "v1" });
    await stale();
    for (const answer of await herd()) expect(answer.body).toEqual(top.bytes);
    expect(methods()[0]).toBe("HEAD v1");
    expect(methods()).toEqual(["HEAD v1", "GET v1"]);
    await stale();
    upstream.content.seed({ repo: "acme/app", tag: "new" });
    for (const answer of await herd({}, "/v2/acme/app/manifests/new")) expect(answer.status).toBe(200);
    expect(methods()).toEqual(["GET new"]);
  });

  it("is fetched once for clients who each bring another token", async () => {
    const { upstream, stale, methods, herd } = await world();
    const { top } = upstream.content.seed({ repo: "acme/app", tag: "new" });
    await stale();
    let n = 0;
    const token = () => ({ authorization: `Bearer ${n++}` });
    for (const answer of await herd(token, "/v2/acme/app/manifests/new")) expect(answer.body).toEqual(top.bytes);
    expect(methods().filter((line) => line.startsWith("GET"))).toEqual(["GET new"]);
  });

  it("that upstream refuses is not asked for by each of those who bring the same", async () => {
    const { upstream, stale, methods, herd } = await world();
    upstream.fault(/manifests/, status(403));
    await stale();
    for (const answer of await herd({}, "/v2/acme/app/manifests/new")) expect(answer.status).toBe(403);
    expect(methods().length).toBeLessThan(CLIENTS / 4);
  });

  it("whose HEAD tells no digest costs one GET, shared as the HEAD is, and nothing more when it has moved", async () => {
    const { upstream, stale, methods, herd, top } = await world();
    upstream.fault(({ method }) => method === "HEAD", noDigestHeader);
    await stale();
    for (const answer of await herd()) expect(answer.body).toEqual(top.bytes);
    expect(methods()).toEqual(["HEAD v1", "GET v1"]);
    const moved = upstream.content.seed({ repo: "acme/app", tag: "v1" }).top;
    await stale();
    for (const answer of await herd()) expect(answer.body).toEqual(moved.bytes);
    expect(methods()).toEqual(["HEAD v1", "GET v1"]);
  });
});
