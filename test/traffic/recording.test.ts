// The recordings themselves: nothing secret and nothing of one day in them, and everything that a replay needs.
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { sha256 } from "../e2e/image.ts";
import { USERS } from "../e2e/tokens.ts";
import { BODIES } from "./content.ts";
import { format, type Recording, recordings } from "./recording.ts";

const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith(".json"));
const textOf = (name: string) => readFileSync(`${import.meta.dirname}/${name}`, "utf8");
const all = recordings();

/** What must not be in a file, whole or within a body. */
const SECRETS: Readonly<Record<string, RegExp>> = {
  "a token": /eyJ[\w-]+\.eyJ|Bearer (?!<)/i,
  "a password": new RegExp(Object.values(USERS).join("|")),
  "a Basic credential": /Basic (?!<)/i,
  "a credential in a query": /[?&](?:access_token|token|sig|signature|_state|X-Amz-\w+)=/i,
  "a credential in an address": /\/\/[^/\s"]*:[^/\s"]*@/,
  "a place of one upload": /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/i,
  "a time": /20(?:2[6-9]|[3-9]\d)-\d\d-\d\dT/,
};

it("is small", () => {
  const sizes = files.map((name) => textOf(name).length);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(400_000);
  expect(files.length).toBeGreaterThan(8);
});

describe.each(files)("%s", (name) => {
  const recording = all.find(({ client }) => `${client}.json` === name)!;
  const requests = recording.sessions.flatMap(({ requests }) => requests);

  it.each(Object.entries(SECRETS))("holds nothing like %s", (_what, secret) => {
    expect(textOf(name)).not.toMatch(secret);
    for (const [digest, body] of Object.entries(recording.bodies)) {
      const bytes = Buffer.from(body, "base64");
      expect(bytes.toString("latin1"), digest).not.toMatch(secret);
    }
  });

  it("says who asked in place of how they proved it", () => {
    const credentials = Object.values(recording.headers)
      .flat()
      .filter(([header]) => /^(authorization|cookie|traceparent)$/i.test(header));
    for (const [header, value] of credentials) expect(value, header).toMatch(/^(?:(?:Basic|Bearer) )?<[^<>]+>$/);
    const others = Object.values(recording.headers)
      .flat()
      .filter(([header]) => /token|secret|key|session|auth/i.test(header));
    expect(others.filter((header) => !credentials.includes(header))).toEqual([]);
  });

  it("is written as the recorder writes it", () => expect(format(recording)).toBe(textOf(name)));

  it("holds or makes every body", () => {
    for (const [digest, body] of Object.entries(recording.bodies)) expect(sha256(Buffer.from(body, "base64"))).toBe(digest);
    const bodies = requests.flatMap(({ body }) => body ?? []);
    for (const { of, from, length } of bodies) expect(from + length, of).toBeLessThanOrEqual(sizeOf(recording, of));
    const used = new Set(bodies.map(({ of }) => of));
    expect(Object.keys(recording.bodies).filter((digest) => !used.has(digest))).toEqual([]);
  });

  it("leads only where an answer before it led", () => {
    for (const { requests } of recording.sessions) {
      for (const [n, { ask, wave }] of requests.entries()) {
        expect(wave).toBeGreaterThanOrEqual(requests[n - 1]?.wave ?? 0);
        const [, answer] = / @(\d+)/.exec(ask) ?? [];
        if (answer !== undefined) expect([201, 202], ask).toContain(requests[Number(answer)]?.status);
      }
    }
  });

  it("has every scenario", () => {
    const scenarios = recording.sessions.map(({ scenario }) => scenario);
    expect(scenarios).toEqual(expect.arrayContaining(PULLS));
    if (recording.client !== "cri") expect(scenarios).toEqual(expect.arrayContaining(PUSHES));
    expect(requests.some(({ torn }) => torn)).toBe(true);
  });
});

const PULLS = [
  "pull by tag",
  "pull by tag again",
  "pull by digest",
  "pull of an index",
  "pull with an anonymous token",
  "pull with a credential",
  "pull by tag, torn",
];
/** The CRI only pulls. */
const PUSHES = ["push", "push again", "push with a credential", "push, torn"];

const sizeOf = ({ bodies }: Recording, digest: string): number => {
  const own = bodies[digest];
  return (own === undefined ? BODIES.get(digest) : Buffer.from(own, "base64"))?.length ?? -1;
};
