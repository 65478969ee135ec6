// Hosted sites in the configuration: what they must say, what they cannot mean, and what the defaults for all do not touch.
import { hashSync } from "bcryptjs";
import { describe, expect, it } from "vitest";
import { showConfig } from "../../src/config/show.ts";
import { siteTable } from "../../src/sites.ts";
import { load, problems } from "./folder.ts";

const HASH = hashSync("open", 4);
const siteOf = (settings: string) => `sites: { images.example: { kind: local, ${settings} } }`;
const said = async (yaml: string, htpasswd = `alice:${HASH}`) => (await problems(yaml, {}, { htpasswd })).join("\n");

describe("a hosted site", () => {
  it("has its users or none, and nothing of an upstream whatever the defaults are", async () => {
    const yaml = [
      "defaults: { access: shared, freshFor: 5m, failOpen: true, offline: true }",
      "sites:",
      "  images.example: { kind: local, users: ./htpasswd, aliases: [i.example], rules: [{ match: '**:v*', pin: true }] }",
      "  open.example: { kind: local, access: anonymous, readOnly: true }",
    ].join("\n");
    const config = await load(yaml, {}, { htpasswd: `alice:${HASH}` });
    const sites = siteTable(config.sites);
    expect(sites.byHost("i.example")).toMatchObject({
      ...{ host: "images.example", kind: "local", upstreams: [], failOpen: false, offline: false },
      users: expect.stringMatching(/^\/.*\/htpasswd$/) as string,
    });
    expect(sites.byHost("open.example")).toMatchObject({ kind: "local", users: undefined, readOnly: true });
    const shown = showConfig(config);
    expect(shown).not.toContain(HASH);
    const again = await load(shown, {}, {});
    expect(again.sites.map(({ host, kind, users }) => ({ host, kind, users }))).toEqual(
      config.sites.map(({ host, kind, users }) => ({ host, kind, users })),
    );
  });

  it("says who may use it", async () => {
    expect(await said(siteOf("readOnly: false"))).toMatch(
      /images.example.kind: who may use it\? `users: FILE`.*`access: anonymous`/,
    );
    expect(await said(siteOf("access: anonymous, users: ./htpasswd"))).toContain("users: `access: anonymous` lets in everybody");
    expect(await said(siteOf("users: ./htpasswd, access: client"))).toContain(
      "access: a site of `kind: local` has users of its own",
    );
  });

  it.each([
    ["upstream: 'https://a.example'"],
    ["credentials: { username: a, password: b }"],
    ["tokenKeys: ./keys.json"],
    ["offline: true"],
    ["failOpen: true"],
    ["freshFor: 5m"],
    ["onGone: drop"],
  ])("is refused %s", async (setting) => {
    const key = setting.split(":")[0]!;
    expect(await said(siteOf(`access: anonymous, ${setting}`))).toContain(
      `sites.images.example.${key}: a site of \`kind: local\` has no upstream that this could be about`,
    );
  });

  it("names the line of the users' file that is wrong, and never a hash", async () => {
    const wrong = await said(siteOf("users: ./htpasswd"), `alice:${HASH}\nbob:{SHA}c2VjcmV0\n`);
    expect(wrong).toMatch(/images\.example\.users: \/.*\/htpasswd:2: the hash of "bob" is not bcrypt's/);
    expect(wrong).not.toContain("c2VjcmV0");
    expect(await said(siteOf("users: ./nothing"))).toContain("there is no such file");
    expect(await said(siteOf("users: ./htpasswd"), "")).toContain("no user in it");
  });
});

describe("any other site", () => {
  it.each([
    ["sites: { ghcr.io: { users: ./htpasswd } }", "users: only a site of `kind: local` has users of its own"],
    ["sites: { ghcr.io: { access: anonymous } }", "access: only for a site of `kind: local`"],
    ["defaults: { access: anonymous }", "defaults.access: only for a site of `kind: local`"],
  ])("is refused %s", async (yaml, why) => {
    expect(await said(yaml)).toContain(why);
  });
});
