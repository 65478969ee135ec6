import { describe, expect, it } from "vitest";
import { pingUpstream } from "../../src/upstream/ping.ts";
import { html, status } from "../faults/behaviours.ts";
import { type FaultOptions, faultUpstream } from "../faults/upstream.ts";
import { asking, askingAt, failureOf, transportFor } from "./asking.ts";

const world = async (options: FaultOptions = {}) => {
  const upstream = await faultUpstream(options);
  const transport = transportFor();
  const ping = (credential?: string, upstreams: readonly URL[] = [upstream.url]) =>
    pingUpstream(askingAt(upstreams, { transport }), asking({ credential }));
  return { upstream, ping };
};

describe("a ping", () => {
  it("brings the challenge as upstream gives it", async () => {
    const { upstream, ping } = await world({ auth: { kind: "bearer" } });
    const answer = await ping();
    expect(answer).toMatchObject({ status: 401, contentType: "application/json" });
    expect(answer.challenges).toEqual([`Bearer realm="${upstream.url.origin}/token",service="fault.example"`]);
    expect(JSON.parse(answer.body)).toMatchObject({ errors: [{ code: "UNAUTHORIZED" }] });
  });

  it("carries the client's credential", async () => {
    const { upstream, ping } = await world({ auth: { kind: "basic", users: { ann: "pw" } } });
    const credential = `Basic ${Buffer.from("ann:pw").toString("base64")}`;
    expect(await ping(credential)).toMatchObject({ status: 200, challenges: [], body: "{}" });
    expect(upstream.log[0]!.headers.authorization).toBe(credential);
    expect((await ping("Basic eDp5")).status).toBe(401);
  });

  it("gives quay's own words on, which call themselves HTML", async () => {
    const { upstream, ping } = await world();
    upstream.fault(/v2/, status(200, { "content-type": "text/html; charset=utf-8" }, "true"));
    expect(await ping("Bearer abc")).toMatchObject({ status: 200, body: "true" });
  });

  it.each([403, 404])("gives %i on as it is", async (code) => {
    const { upstream, ping } = await world();
    upstream.fault(/v2/, status(code));
    expect((await ping()).status).toBe(code);
  });

  it.each([
    ["says 503", status(503)],
    ["says 429", status(429)],
    ["is behind a captive portal", html],
    ["redirects to nowhere", status(302, {}, "")],
  ])("fails as an outage where upstream %s, and the next one is asked", async (_how, behaviour) => {
    const { upstream, ping } = await world();
    upstream.fault(/v2/, behaviour);
    expect((await failureOf(ping())).isOutage).toBe(true);
    const second = await faultUpstream();
    expect((await ping(undefined, [upstream.url, second.url])).status).toBe(200);
  });

  it("fails where nobody is there", async () => {
    const { upstream, ping } = await world();
    await upstream.stop();
    expect((await failureOf(ping())).code).toBe("UPSTREAM_UNREACHABLE");
  });

  it("has upstream's words bounded", async () => {
    const { upstream, ping } = await world();
    upstream.fault(/v2/, status(401, {}, "x".repeat(1_000_000)));
    expect((await ping()).body).toHaveLength(64 * 1024);
  });
});
