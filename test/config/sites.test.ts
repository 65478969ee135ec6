import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { rootCertificates } from "node:tls";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { filesIn } from "../../src/config/files.ts";
import { site as siteSettings } from "../../src/config/schema.ts";
import { showConfig } from "../../src/config/show.ts";
import { buildSite } from "../../src/config/sites.ts";
import { siteTable } from "../../src/sites.ts";
import { clientCertificate } from "../upstream/secure.ts";
import { load, problems } from "./folder.ts";

const site = async (host: string, ...args: Parameters<typeof load>) => siteTable((await load(...args)).sites).byHost(host);
const PEM = rootCertificates.slice(0, 2);

describe("the built-in sites", () => {
  it("know the Hub by all its names", async () => {
    const sites = siteTable((await load(undefined)).sites);
    const hub = sites.byHost("registry-1.docker.io");
    expect(sites.byHost("Index.Docker.io.")).toBe(hub);
    expect(sites.byLookup("docker.io")).toBe(hub);
    expect(sites.byHost("docker.io")).toBeUndefined();
    expect(hub?.upstreams.map(String)).toEqual(["https://registry-1.docker.io/"]);
    expect(hub).toMatchObject({
      access: "client",
      failOpen: true,
      policy: { freshFor: 60_000, staleWhileRevalidate: 0, staleIfError: 2_592_000_000, onGone: "keep" },
      rules: [],
    });
  });

  it("are taken away, changed, added to, with defaults below the user's own", async () => {
    const yaml = [
      "defaults: { freshFor: 5m, access: shared }",
      "sites:",
      "  ghcr.io: false",
      "  quay.io: { access: client, upstream: 'https://a.example, http://127.0.0.1:5000' }",
      "  Build.Example.: { aliases: [b.example], offline: true }",
      "  gcr.io:",
    ].join("\n");
    const { sites } = await load(yaml);
    const table = siteTable(sites);
    expect(table.byHost("ghcr.io")).toBeUndefined();
    expect(table.byHost("gcr.io")).toMatchObject({ access: "shared", policy: { freshFor: 300_000 } });
    expect(table.byHost("quay.io")).toMatchObject({ access: "client", policy: { freshFor: 300_000 } });
    expect(table.byHost("quay.io")?.upstreams.map(String)).toEqual(["https://a.example/", "http://127.0.0.1:5000/"]);
    expect(table.byHost("b.example")).toMatchObject({ host: "build.example", offline: true, failOpen: false });
  });

  it("keep what a user's merging leaves alone", async () => {
    expect((await site("registry-1.docker.io", "sites: { registry-1.docker.io: { readOnly: true } }"))?.hijackNames).toEqual([
      "registry-1.docker.io",
      "index.docker.io",
    ]);
  });
});

describe("names", () => {
  it.each([
    ["ghrc.io: false", "sites.ghrc.io: is not built in, so cannot be taken away; did you mean ghcr.io?"],
    ["docker.io: {}", "sites.docker.io: no client pulls from this name: Docker Hub's registry is registry-1.docker.io"],
    ["index.docker.io: {}", "sites.index.docker.io: the name index.docker.io is already taken: registry-1.docker.io"],
    ["x.example: { aliases: [ghcr.io] }", "sites.x.example.aliases: the name ghcr.io is already taken: ghcr.io"],
    ["layover: {}", "sites.layover: the name layover is already taken: Layover's own name"],
    ["GHCR.io: {}\n  ghcr.io: {}", "sites.ghcr.io: is the same host as GHCR.io"],
    ["x.example:5000: {}", "without a port"],
    ["10.0.0.1: {}", "an address has no name to stand in for"],
    ['"*": {}', 'found "*" (no wildcard has a meaning here)'],
    ['"*.": {}', 'expected a suffix such as *.registry.example, found "*."'],
    ['"*.com": {}', "sites.*.com: a suffix that anybody can have a name below"],
    ['"*.co.uk": {}', "a suffix that anybody can have a name below"],
    ['"*.a.*.example": {}', 'expected a suffix such as *.registry.example, found "*.a.*.example"'],
    ['"*.10.0.0.1": {}', "expected a suffix"],
    ['"*.x.example": { kind: local, access: anonymous }', "sites.*.x.example.kind: a hosted site has a name of its own"],
    ['"*.x.example": { aliases: [y.example] }', "sites.*.x.example.aliases: of one host only"],
    ['"*.X.example": {}\n  "*.x.example.": {}', "sites.*.x.example.: is the same host as *.X.example"],
    ['"a.y.example": false\n  "*.x.example": {}', "sites.a.y.example: is not built in, so cannot be taken away"],
    ['"*.x.example": { upstream: "https://a.*.x.example" }', "expected a star only as in https://*.registry.example"],
    ['x.example: { upstream: "https://*.x.example" }', "only where the site is such as *.registry.example has a star a meaning"],
    ["https://x.example: {}", "only the host"],
    ["-x.example: {}", "labels are letters, digits and hyphens"],
    ["x..example: {}", "expected a host name"],
  ])("%s is refused", async (line, message) => expect((await problems(`sites:\n  ${line}`)).join("\n")).toContain(message));

  it("may be international", async () =>
    expect(await site("xn--bcher-kva.example", "sites: { bücher.example: {} }")).toBeDefined());
});

describe("wildcards", () => {
  const tableOf = async (yaml: string) => {
    const config = await load(yaml);
    return siteTable(config.sites, config);
  };

  it("make a site of each host below, at its own name", async () => {
    const sites = await tableOf('sites: { "*.PKG.dev.": { freshFor: 5m, allow: ["acme/**"] } }');
    const one = sites.byHost("Europe-docker.pkg.dev.");
    expect(one).toMatchObject({
      ...{ host: "europe-docker.pkg.dev", wildcard: "*.pkg.dev", hijackNames: ["europe-docker.pkg.dev"] },
      ...{ lookupNames: ["europe-docker.pkg.dev"], policy: { freshFor: 300_000 }, allow: ["acme/**"], failOpen: true },
    });
    expect(one?.upstreams.map(String)).toEqual(["https://europe-docker.pkg.dev/"]);
    expect(sites.byLookup("europe-docker.pkg.dev")).toBe(one);
    expect(sites.byHost("a.b.pkg.dev")?.upstreams.map(String)).toEqual(["https://a.b.pkg.dev/"]);
    for (const name of ["pkg.dev", "xpkg.dev", "_x.pkg.dev", "a..pkg.dev", ".pkg.dev", "*.pkg.dev", "a b.pkg.dev", "-a.pkg.dev"])
      expect(sites.byHost(name)).toBeUndefined();
    expect(sites.all.some(({ host }) => host.includes("*"))).toBe(false);
  });

  it("have the asked name where their upstreams have a star", async () => {
    const sites = await tableOf(
      'sites: { "*.x.example": { upstream: ["https://*.in.example:5000", "https://*.x.example", "https://one.example"] } }',
    );
    expect(sites.byHost("a.b.x.example")?.upstreams.map(String)).toEqual([
      ...["https://a.b.in.example:5000/", "https://a.b.x.example/", "https://one.example/"],
    ]);
  });

  it("leave out what has a meaning of its own: sites, aliases, what is taken out, Layover's own names", async () => {
    const sites = await tableOf(
      [
        "name: [layover.x.example]",
        "sites:",
        '  "*.x.example": {}',
        '  "*.deep.x.example": { offline: true }',
        '  "*.no.x.example": false',
        "  one.x.example: { readOnly: true }",
        "  other.example: { aliases: [alias.x.example] }",
        "  out.x.example: false",
        "  ghcr.io: false",
      ].join("\n"),
    );
    expect(sites.byHost("one.x.example")).toMatchObject({ readOnly: true });
    expect(sites.byHost("one.x.example")?.wildcard).toBeUndefined();
    expect(sites.byHost("a.one.x.example")?.wildcard).toBe("*.x.example");
    expect(sites.byHost("alias.x.example")?.host).toBe("other.example");
    expect(sites.byHost("a.deep.x.example")).toMatchObject({ offline: true, wildcard: "*.deep.x.example" });
    for (const name of ["out.x.example", "a.no.x.example", "layover.x.example", "ghcr.io"])
      expect(sites.byHost(name)).toBeUndefined();
    expect(sites.byHost("no.x.example")?.wildcard).toBe("*.x.example");
  });

  it("take a built-in site's name where that is taken away, but for the name itself", async () => {
    const sites = await tableOf('sites: { "*.gitlab.com": {}, registry.gitlab.com: false }');
    expect(sites.byHost("registry.gitlab.com")).toBeUndefined();
    expect(sites.byHost("registry.staging.gitlab.com")?.host).toBe("registry.staging.gitlab.com");
  });

  it("are shown so that they could be loaded again", async () => {
    const config = await load('name: l.x.example\nsites: { "*.x.example": { offline: true }, out.x.example: false }');
    const again = await load(showConfig(config));
    expect(again.wildcards).toEqual(config.wildcards);
    expect(again.excluded).toEqual(config.excluded);
    expect(config.excluded).toEqual(["out.x.example", "l.x.example"]);
  });

  it("say where our credentials go", async () => {
    const { warnings } = await load(
      'sites: { "*.x.example": { access: shared, credentials: { username: u, passwordFile: p } } }',
      {},
      { p: "pw" },
    );
    expect(warnings).toEqual(["sites.*.x.example.credentials: go to every host below x.example that a client asks for"]);
  });
});

describe("upstreams", () => {
  it.each([
    "ftp://x.example",
    "x.example",
    "https://x.example/v2/",
    "https://x.example?a=b",
    "''",
    "https://u:hunter2@x.example",
  ])("refuse %s", async (upstream) => {
    const found = (await problems(`sites: { x.example: { upstream: ${upstream} } }`)).join("\n");
    expect(found).toContain("sites.x.example.upstream");
    expect(found).not.toContain("hunter2");
  });
});

describe("secrets", () => {
  const credentials = (text: string) => `sites: { ghcr.io: { access: shared, credentials: ${text} } }`;

  it("are read from files, trimmed, or come from the environment", async () => {
    const files = { "run/password": " pass word \r\n", "run/token": "tok\n" };
    expect((await site("ghcr.io", credentials("{ username: u, passwordFile: run/password }"), {}, files))?.credentials).toEqual({
      username: "u",
      password: "pass word",
      passwordFile: expect.stringMatching(/^\/.*\/run\/password$/),
    });
    expect((await site("ghcr.io", credentials("{ tokenFile: run/token }"), {}, files))?.credentials).toEqual({
      token: "tok",
      tokenFile: expect.stringMatching(/^\/.*\/run\/token$/),
    });
    const { sites, warnings } = await load(credentials("{ username: u, password: '$" + "{P}' }"), { P: "12345" });
    expect(siteTable(sites).byHost("ghcr.io")?.credentials).toEqual({ username: "u", password: "12345" });
    expect(warnings).toEqual([]);
  });

  it("may come from a credential helper", async () => {
    expect((await site("ghcr.io", credentials("{ helper: ecr-login }")))?.credentials).toEqual({ helper: "ecr-login" });
  });

  it("in the file itself, unused, or sent in the clear are warned about, not shown", async () => {
    const { warnings } = await load(
      "sites: { ghcr.io: { upstream: 'http://10.0.0.1', credentials: { username: u, password: hunter2 } } }",
    );
    expect(warnings).toEqual([
      expect.stringContaining("sites.ghcr.io.credentials.password: a secret in the file itself"),
      expect.stringContaining("clients pull with their own (access: client)"),
      expect.stringContaining("go to http://10.0.0.1 without encryption"),
    ]);
    expect(warnings.join()).not.toContain("hunter2");
  });

  it.each([
    ["{ username: u }", "expected username with one of password and passwordFile"],
    ["{ username: u, password: hunter2, passwordFile: f }", "expected username with one of"],
    ["{ username: u, token: hunter2 }", "expected username with one of"],
    ["{}", "expected username with one of"],
    ["{ tokenFile: nowhere }", "nowhere: there is no such file"],
    ["{ tokenFile: empty }", "empty is empty"],
    ["{ tokenFile: . }", "is a folder"],
    ["{ helper: pass, token: hunter2 }", "one of token, tokenFile and helper alone"],
    ["{ helper: ../../tmp/evil }", "expected the name of a credential helper such as ecr-login"],
    ["{ helper: docker-credential-pass }", 'without "docker-credential-"'],
    ["{ helper: -x }", "letters, digits, hyphens, dots"],
    ["{ username: [hunter2] }", "expected a text, found something else"],
  ])("are refused as %s", async (text, message) => {
    const found = (await problems(credentials(text), {}, { empty: "\n" })).join("\n");
    expect(found).toContain(message);
    expect(found).not.toContain("hunter2");
  });
});

describe("an HTTP proxy", () => {
  const proxyOf = async (host: string, yaml: string, env = {}) => (await site(host, yaml, env))?.httpProxy?.href;

  it("is for all sites or for one, which may do without", async () => {
    const yaml =
      "defaults: { httpProxy: 'http://b:$" +
      "{PW}@proxy.corp:3128' }\nsites: { quay.io: { httpProxy: none }, gcr.io: { httpProxy: https://other } }";
    expect(await proxyOf("ghcr.io", yaml, { PW: "p%40w" })).toBe("http://b:p%40w@proxy.corp:3128/");
    expect(await proxyOf("quay.io", yaml, { PW: "x" })).toBeUndefined();
    expect(await proxyOf("gcr.io", yaml, { PW: "x" })).toBe("https://other/");
  });

  it("has its password kept to itself", async () => {
    const config = await load("defaults: { httpProxy: 'http://b:hunter2@proxy.corp:3128' }");
    expect(showConfig(config)).toContain("httpProxy: http://b:***@proxy.corp:3128");
    expect(showConfig(config)).not.toContain("hunter2");
    expect(config.warnings).toEqual([expect.stringContaining("defaults.httpProxy: a secret in the file itself")]);
  });

  it.each([
    ["proxy.corp:3128", "expected an HTTP proxy such as http://proxy.corp:3128, or none, found something else"],
    ["socks5://hunter2@proxy.corp:1080", "found something else"],
    ["http://b:hunter2/@proxy.corp", "found"],
    ["http://b:hunter2@proxy.corp/hunter2", "found more behind its host"],
    ["http://b:hunter2%@proxy.corp", "a % in its password is written as %25"],
  ])("is refused as %s", async (text, message) => {
    const found = (await problems(`sites: { ghcr.io: { httpProxy: '${text}' } }`)).join("\n");
    expect(found).toMatch(/^layover.yaml:1:\d+ sites.ghcr.io.httpProxy: /);
    expect(found).toContain(message);
    expect(found).not.toContain("hunter2");
  });
});

describe("a certificate of our own", () => {
  const own = clientCertificate();
  const yaml = "sites: { ghcr.io: { clientCertificate: { certificate: own.crt, key: own.key } } }";

  it("comes from files, or as text from the environment", async () => {
    const files = { "own.crt": `Builds\n${own.certificate}`, "own.key": own.key };
    const read = (await site("ghcr.io", yaml, {}, files))?.clientCertificate;
    expect(read).toEqual({ certificate: own.certificate, key: own.key });
    const text = "sites: { ghcr.io: { clientCertificate: { certificate: '$" + "{CRT}', key: '$" + "{KEY}' } } }";
    expect((await site("ghcr.io", text, { CRT: own.certificate, KEY: own.key }))?.clientCertificate).toEqual(read);
    expect(showConfig(await load(yaml, {}, files))).not.toContain("BEGIN");
  });

  it("that has expired is warned about", async () => {
    const old = clientCertificate(Date.now() - 86_400_000);
    const { warnings } = await load(yaml, {}, { "own.crt": old.certificate, "own.key": old.key });
    expect(warnings).toEqual([expect.stringContaining("sites.ghcr.io.clientCertificate: has expired (")]);
  });

  const encrypted = createPrivateKey(own.key).export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" });
  it.each([
    ["key", { "own.crt": own.certificate }, "own.key: there is no such file"],
    ["certificate", { "own.crt": own.key, "own.key": own.key }, "expected certificates in PEM form"],
    ["key", { "own.crt": own.certificate, "own.key": clientCertificate().key }, "found that of another certificate"],
    ["key", { "own.crt": own.certificate, "own.key": String(encrypted) }, "found one that is encrypted"],
    ["key", { "own.crt": own.certificate, "own.key": "hunter2" }, "found none that can be read"],
  ])("is refused where its %s is wrong", async (key, files, message) => {
    const found = await problems(yaml, {}, files as Record<string, string>);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(new RegExp(`^layover.yaml:1:\\d+ sites.ghcr.io.clientCertificate.${key}: `));
    expect(found[0]).toContain(message);
    expect(found[0]).not.toMatch(/hunter2|BEGIN/);
  });
});

describe("trust", () => {
  it("is the certificates of both files, and nothing else of them", async () => {
    const files = {
      "corp.pem": `Corp CA\n${PEM[0]}`,
      "own.pem": `${PEM[1]}\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n`,
    };
    const { sites } = await load("trust: corp.pem\nsites: { ghcr.io: { trust: own.pem } }", {}, files);
    const table = siteTable(sites);
    expect(table.byHost("quay.io")?.trust?.match(/-----BEGIN/g)).toHaveLength(1);
    expect(table.byHost("ghcr.io")?.trust?.match(/-----BEGIN/g)).toHaveLength(2);
    expect(table.byHost("ghcr.io")?.trust).not.toMatch(/PRIVATE|Corp/);
  });

  it.each([
    ["no certificate", "found none"],
    ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "found number 1 that cannot be read"],
  ])("refuses %j", async (pem, message) => {
    expect((await problems("sites: { ghcr.io: { trust: t.pem } }", {}, { "t.pem": pem })).join()).toContain(message);
  });

  it("never ends up in a message", async () => {
    const found = await problems(`trust: ${import.meta.filename}`);
    expect(found.join()).not.toContain(readFileSync(import.meta.filename, "utf8").slice(0, 40));
  });
});

describe("tokenKeys", () => {
  const keys = (value: string) => `sites: { ghcr.io: { tokenKeys: ${value} } }`;
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const files = {
    "key.pem": publicKey.export({ type: "spki", format: "pem" }) as string,
    "private.pem": privateKey.export({ type: "pkcs8", format: "pem" }) as string,
    "ca.pem": PEM[0]!,
    "keys.json": JSON.stringify({ keys: [publicKey.export({ format: "jwk" })] }),
    "none.json": '{"keys":[]}',
    "words.txt": "hunter2",
  };

  it.each(["key.pem", "ca.pem", "keys.json"])("are read from %s at start", async (name) =>
    expect((await site("ghcr.io", keys(name), {}, files))?.tokenKeys).toEqual({
      file: expect.stringMatching(new RegExp(`^/.*/${name}$`)) as string,
      text: files[name as keyof typeof files],
    }),
  );

  it("may be at a URL, and are used only where clients show tokens", async () => {
    const { sites, warnings } = await load(`defaults: { tokenKeys: "https://x.example/keys.json", access: shared }`);
    expect(sites[0]?.tokenKeys).toEqual({ url: "https://x.example/keys.json" });
    expect(warnings[0]).toContain("tokenKeys: clients show no tokens here (access: shared), so these are not used");
  });

  it("have what may be a secret in their URL kept to itself", async () => {
    const shown = showConfig(await load(`defaults: { tokenKeys: "https://x.example/keys.json?private_token=hunter2" }`));
    expect(shown).toContain("tokenKeys: https://x.example/keys.json?***");
    expect(shown).not.toContain("hunter2");
  });

  it.each([
    ["http://x.example/keys", "expected a file, or an https:// URL without credentials"],
    ["https://u:hunter2@x.example/keys", "expected a file, or an https:// URL without credentials"],
    ["file:///etc/keys", "expected a file, or an https:// URL without credentials"],
    ["nowhere.pem", "nowhere.pem: there is no such file"],
    ["private.pem", "private.pem: holds a private key: only the public one is needed"],
    ["none.json", "none.json: expected certificates or public keys in PEM form, or a JWKS, found no key that can be used"],
    ["words.txt", "words.txt: expected certificates or public keys"],
  ])("are refused as %s", async (value, message) => {
    const found = await problems(keys(value), {}, files);
    expect(found).toEqual([expect.stringContaining("layover.yaml:1:21 sites.ghcr.io.tokenKeys: ")]);
    expect(found[0]).toContain(message);
    expect(found[0]).not.toContain("hunter2");
  });
});

describe("rules", () => {
  const rules = (text: string) => `sites: { ghcr.io: { rules: [${text}] } }`;

  it("are kept in order, with only what was said, and make a pinned site fail closed", async () => {
    const yaml = `
sites:
  ghcr.io:
    staleWhileRevalidate: 5m
    onGone: drop
    rules:
      - { match: "acme/base:v*", pin: true }
      - { match: "**:latest", freshFor: 5m, staleWhileRevalidate: 1h, staleIfError: 30d, onGone: keep }
      - { match: "secret/**", deny: true }
  quay.io: { rules: [{ match: "a:b", pin: false }] }`;
    const { sites } = await load(yaml);
    const table = siteTable(sites);
    expect(table.byHost("ghcr.io")).toMatchObject({
      failOpen: false,
      policy: { staleWhileRevalidate: 300_000, onGone: "drop" },
      rules: [
        { match: "acme/base:v*", pin: true },
        { match: "**:latest", freshFor: 300_000, staleWhileRevalidate: 3_600_000, staleIfError: 2_592_000_000, onGone: "keep" },
        { match: "secret/**", deny: true },
      ],
    });
    expect(table.byHost("quay.io")?.failOpen).toBe(true);
  });

  it.each([
    ["", true],
    ["offline: true", false],
    ["onMissing: refuse", false],
    ['rules: [{ match: "acme/**", freshFor: 1m }, { match: "a:b", pin: true }]', false],
    ['rules: [{ match: "a:b", pin: false }]', true],
    ["failOpen: false", false],
    ["offline: true, failOpen: true", true],
    ["onMissing: refuse, failOpen: true", true],
    ['rules: [{ match: "a:b", pin: true }], failOpen: true', true],
  ])("fails open unless a tag could move by going round us, or as is said: %s", async (settings, failOpen) => {
    const merged = {
      host: "ghcr.io",
      settings: siteSettings.parse(parse(`{ ${settings} }`)),
      at: (key: string) => ["sites", "ghcr.io", key],
    };
    // built directly: a feature that is not there yet is refused before
    const problems: unknown[] = [];
    const report = (problem: unknown) => problems.push(problem);
    const built = await buildSite(merged, undefined, filesIn("/", report), report);
    expect({ failOpen: built.failOpen, problems }).toEqual({ failOpen, problems: [] });
  });

  it("may be the same for all sites, and fail open where that is said", async () => {
    const { sites } = await load(`defaults: { rules: [{ match: "a/**", pin: true }], failOpen: true }`);
    expect(sites.every((site) => site.failOpen && site.rules[0]?.match === "a/**")).toBe(true);
  });

  it.each(["acme/app", "acme/app:v1", "**", "**:*", "*:latest", "a-b_c.d/**:v1.*-rc", "acme/*/x:V1"])("take %s", async (match) =>
    expect((await site("ghcr.io", rules(`{ match: "${match}" }`)))?.rules).toEqual([{ match }]),
  );

  it.each([
    ["", 'found "" (no repository is called that)'],
    ["acme/app:", 'nothing behind the ":"'],
    ["Acme/app", "repositories are in lower case"],
    ["/acme/app", 'without the leading "/"'],
    ["acme//app", "no repository is called that"],
    ["acme/app@sha256:1234", "a digest never moves"],
    ["ghcr.io:443/acme/app:v1", "without a host and its port"],
    ["acme/app:v[12]", "* within one part and ** across parts are all there is"],
    ["acme/app:v 1", "no tag is called that"],
  ])("refuse %j", async (match, message) => {
    const found = await problems(rules(`{ match: '${match}' }`));
    expect(found).toHaveLength(1);
    expect(found[0]).toContain("sites.ghcr.io.rules.0.match: expected a pattern such as acme/app:v*");
    expect(found[0]).toContain(message);
  });

  it.each([
    ["{ match: a:v1, pin: true }, { match: a:v1, pin: false }", "1: is never reached: rule 0 has the same pattern"],
    ["{ match: '**', freshFor: 5m }, { match: a:v1, pin: true }", "1: is never reached: rule 0 matches everything"],
    ["{ match: a:v1, pin: true, freshFor: 5m, onGone: drop }", "0: freshFor, onGone has no effect beside pin"],
    ["{ match: a:v1, deny: true, pin: true }", "0: pin has no effect beside deny"],
  ])("%s are warned about, once for all sites", async (text, message) => {
    const { warnings } = await load(`defaults: { rules: [${text}] }`);
    expect(warnings).toEqual([expect.stringContaining(`sites.registry-1.docker.io.rules.${message}`)]);
  });

  it("that are as they should be are not", async () => {
    const { warnings } = await load(
      rules("{ match: a:v1, pin: true }, { match: '**:*', freshFor: 5m }, { match: '**', onGone: drop }"),
    );
    expect(warnings).toEqual([]);
  });

  it("refuse keys that they do not have", async () => {
    expect((await problems(rules("{ match: a, freshfor: 1m }"))).join()).toContain(
      "rules.0.freshfor: unknown key; did you mean freshFor?",
    );
  });
});

describe("concurrency", () => {
  const of = async (...args: Parameters<typeof load>) =>
    Object.fromEntries((await load(...args)).sites.map(({ host, concurrency }) => [host, concurrency]));

  it("is 64, or what a site or the environment says", async () => {
    expect(await of("sites: { x.example: {} }")).toMatchObject({ "x.example": 64, "ghcr.io": 64 });
    const found = await of("sites: { x.example: { concurrency: 8 } }", { LAYOVER_DEFAULTS_CONCURRENCY: "16" });
    expect(found).toMatchObject({ "x.example": 8, "ghcr.io": 16 });
  });

  it.each(["0", "-1", "1.5", "1001", "many"])("is never %s", async (value) => {
    const found = (await problems(`sites: { x.example: { concurrency: ${value} } }`)).join("\n");
    expect(found).toContain("sites.x.example.concurrency");
  });
});
