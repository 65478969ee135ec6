import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { hashSync } from "bcryptjs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ConfigError, loadConfig } from "../../src/config/load.ts";
import { showConfig } from "../../src/config/show.ts";
import { folderOf, load, problems } from "./folder.ts";

const EXAMPLE = readFileSync(join(import.meta.dirname, "example.yaml"), "utf8");
const HTPASSWD = `alice:${hashSync("open", 4)}`;

describe("with nothing configured", () => {
  it("the main job runs", async () => {
    const cwd = folderOf({});
    const config = await loadConfig({ env: {}, cwd });
    expect({ ...config, sites: config.sites.map((site) => site.host) }).toEqual({
      file: undefined,
      warnings: [],
      listen: {
        dns: [{ host: "0.0.0.0", port: 53 }],
        https: [{ host: "0.0.0.0", port: 443 }],
        http: [{ host: "0.0.0.0", port: 80 }],
        proxy: [],
        admin: { host: "127.0.0.1", port: 9180 },
      },
      names: ["layover"],
      answer: "auto",
      answerIn: [],
      hijackFor: ["all"],
      resolvers: ["8.8.8.8:53", "8.8.4.4:53"],
      splits: [],
      trust: undefined,
      data: join(cwd, "data"),
      ca: { certificate: join(cwd, "certs/ca.crt"), key: join(cwd, "keys/ca.key"), constraints: [] },
      clients: ["private"],
      maxSize: undefined,
      maxAge: undefined,
      log: { level: "info", format: "auto" },
      httpProxy: undefined,
      passthrough: [],
      mirror: { file: undefined, entries: [] },
      notify: [],
      sites: [
        "registry-1.docker.io",
        "ghcr.io",
        "registry.gitlab.com",
        "quay.io",
        "registry.k8s.io",
        "gcr.io",
        "mcr.microsoft.com",
        "public.ecr.aws",
      ],
      wildcards: [],
      excluded: [],
    });
  });

  it.each(["", "# nothing\n", "---\n", "listen:\nsites:\nca: {}\n"])("an empty file is the same: %j", async (yaml) => {
    expect((await load(yaml)).sites).toEqual((await load(undefined)).sites);
  });
});

describe("the file", () => {
  it("is found by --config, then LAYOVER_CONFIG, then ./layover.yaml; paths are relative to it", async () => {
    const cwd = folderOf({
      "layover.yaml": "name: here",
      "env/x.yaml": "name: env",
      "flag/y.json": '{ "name": "flag", "data": "d" }',
    });
    expect((await loadConfig({ env: {}, cwd })).names).toEqual(["here"]);
    expect((await loadConfig({ env: { LAYOVER_CONFIG: "env/x.yaml" }, cwd })).names).toEqual(["env"]);
    const flag = await loadConfig({ file: "flag/y.json", env: { LAYOVER_CONFIG: "env/x.yaml" }, cwd });
    expect(flag).toMatchObject({ names: ["flag"], file: join(cwd, "flag/y.json"), data: join(cwd, "flag/d") });
    expect(flag.ca.key).toBe(join(cwd, "flag/keys/ca.key"));
  });

  it.each([
    ["nowhere.yaml", "nowhere.yaml: there is no such file"],
    [".", ".: is a folder, expected a file"],
    ["bytes", "bytes: expected UTF-8 text"],
  ])("that was named must be good: %s", async (file, message) => {
    const cwd = folderOf({ bytes: Buffer.of(0xff, 0xfe, 0x00) });
    await expect(loadConfig({ file, env: {}, cwd })).rejects.toThrow(new ConfigError([message]));
  });

  it("is missed under a name that is not read", async () => {
    const { warnings } = await load(undefined, {}, { "layover.yml": "name: x" });
    expect(warnings).toEqual(["./layover.yml is not read: call it layover.yaml, or name it with --config or LAYOVER_CONFIG"]);
  });

  it.each([
    ["a: [1\nb: 2", /^layover\.yaml:2:1 not valid YAML/],
    ["name: x\nname: y", /^layover\.yaml:2:1 not valid YAML: Map keys must be unique/],
    ["- a", /^layover\.yaml:1:1 expected keys and values, found a list/],
    ["just text", /found a single value/],
    ["name: x\n---\nname: y", /not valid YAML/],
    ["sites: &a { x.example: *a }", /nested more than 16 deep/],
    ["sites: { __proto__: { access: shared } }", /__proto__: unknown key/],
    ["name: *nobody", /nobody/],
  ])("that is no configuration is refused: %j", async (yaml, message) => {
    const found = await problems(yaml);
    expect(found[0]).toMatch(message);
  });

  it("may be anything without more than a ConfigError coming of it", async () => {
    const keys = ["listen", "sites", "name", "answer", "resolvers", "ca", "mirror", "defaults", "log", "maxSize", "maxAge", "x"];
    const leaf = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null), fc.constant("1.2.3.4:5"));
    const value = fc.oneof(leaf, fc.array(leaf, { maxLength: 3 }), fc.dictionary(fc.string(), leaf, { maxKeys: 3 }));
    const cwd = folderOf({});
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.constantFrom(...keys), value), async (tree) => {
        await loadConfig({ env: { LAYOVER_SITES: JSON.stringify(tree), LAYOVER_LISTEN: JSON.stringify(tree) }, cwd }).catch(
          onlyConfigErrors,
        );
      }),
      { numRuns: 200 },
    );
  });
});

const onlyConfigErrors = (error: unknown) => {
  if (!(error instanceof ConfigError)) throw error;
};

describe("the contract's example", () => {
  it("loads unchanged, once the files that it names are there", async () => {
    const yaml = EXAMPLE.replace(/^trust:.*$|^ +(trust|clientCertificate|credentials):.*$/gm, "");
    const { mirror } = await load(yaml, {}, { htpasswd: HTPASSWD });
    expect(mirror).toMatchObject({
      file: undefined,
      entries: [{ name: "registry-1.docker.io/library/node", keep: { count: 10 } }],
    });
  });

  it("names no key that is not known, and none that is refused", async () => {
    const found = await problems(EXAMPLE, {}, { "corp-ca.pem": "", "gitlab-ca.pem": "", htpasswd: HTPASSWD });
    expect(found.filter((problem) => !/cannot read|certificates in PEM form/.test(problem))).toEqual([]);
  });

  it.each([
    ["store: { blobs: s3://bucket }", "store.blobs"],
    ["store: { facts: postgres://db }", "store.facts"],
  ])("%s is not silently ignored", async (yaml, key) => {
    const found = await problems(yaml);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(` ${key}: not available in this version: `);
  });

  it("what says the same as nothing is accepted", async () => {
    await load(
      "listen: { proxy: [] }\npassthrough: []\nmirror: []\nstore: { blobs: disk, facts: sqlite }\ndefaults: { rules: [], staleWhileRevalidate: 0s, onMissing: cache, kind: upstream, offline: true }",
    );
  });
});

describe("what is wrong", () => {
  it("is said all at once, in order, each with its place, what was found and what was expected", async () => {
    const yaml = [
      'listen: { dns: "0.0.0.0", https: ["0.0.0.0:443", 5], htp: [] }',
      "answer: [1.2.3, 0.0.0.0]",
      "resolvers: [dns.google, 8.8]",
      "maxSize: 10 potatoes",
      "log: { level: loud, format: jsn }",
      "hijackFor: 10.0.0.0/33",
      "defaults: { freshFor: 60 }",
      "sites:",
      "  ghcr.io: { acess: shared, access: shard, credentials: { username: u, password: 12345 } }",
      "  quay.io: true",
      '  gcr.io: { upstream: https://u:hunter2@gcr.io, trust: "$' + '{NOPE}", readOnly: yes }',
    ].join("\n");
    expect(await problems(yaml)).toEqual([
      'layover.yaml:1:11 listen.dns.0: expected ip:port or [ipv6]:port, found "0.0.0.0"',
      "layover.yaml:1:50 listen.https.1: expected ip:port or [ipv6]:port, found 5 (quote it, if it is meant as text)",
      "layover.yaml:1:54 listen.htp: unknown key; did you mean http?",
      'layover.yaml:2:10 answer.0: expected "auto" or an address that clients can reach, found "1.2.3"',
      'layover.yaml:2:17 answer.1: expected "auto" or an address that clients can reach, found "0.0.0.0"',
      'layover.yaml:3:13 resolvers.0: expected an IP address, or ip:port, found "dns.google"',
      "layover.yaml:3:25 resolvers.1: expected an IP address, ip:port, tls://host or https://host/dns-query, found 8.8 (quote it, if it is meant as text)",
      'layover.yaml:4:1 maxSize: expected a size such as 500MB or 200GiB, found "10 potatoes"',
      'layover.yaml:5:8 log.level: expected debug or info or warn or error or silent, found "loud"',
      'layover.yaml:5:21 log.format: expected auto or json or text, found "jsn"; did you mean json?',
      'layover.yaml:6:1 hijackFor.0: expected "all", "private", an address or a prefix such as 10.1.0.0/16, found "10.0.0.0/33"',
      "layover.yaml:7:13 defaults.freshFor: expected a duration such as 90s, 5m, 12h or 30d, found 60 (quote it, if it is meant as text)",
      "layover.yaml:9:14 sites.ghcr.io.acess: unknown key; did you mean access?",
      'layover.yaml:9:29 sites.ghcr.io.access: expected client or shared or anonymous, found "shard"; did you mean shared?',
      "layover.yaml:9:72 sites.ghcr.io.credentials.password: expected a text, found something else",
      "layover.yaml:10:3 sites.quay.io: expected keys and values, found true",
      "layover.yaml:11:13 sites.gcr.io.upstream.0: credentials belong in the site's `credentials`, not in the URL",
      'layover.yaml:11:49 sites.gcr.io.trust: the environment has no "NOPE", which the value names',
      'layover.yaml:11:67 sites.gcr.io.readOnly: expected true or false, found "yes"',
    ]);
  });

  it("between keys is said as well", async () => {
    const yaml = [
      "listen: { http: ['0.0.0.0:443'], dns: 127.0.0.4:53 }",
      "resolvers: [127.0.0.4]",
      "answer: [auto, 10.0.0.1]",
      "ca: { certificate: ./ca.pem, key: ./ca.pem }",
      "trust: ./nowhere.pem",
    ].join("\n");
    const found = (await problems(yaml)).join("\n");
    expect(found).toContain("listen.http: 0.0.0.0:443 is already taken by listen.https (0.0.0.0:443)");
    expect(found).toContain("resolvers.0: 127.0.0.4:53 is Layover itself (listen.dns 127.0.0.4:53)");
    expect(found).toContain('answer: expected "auto" alone');
    expect(found).toContain("ca.key: expected a file apart from the certificate's");
    expect(found).toMatch(/trust: cannot read .*nowhere\.pem: there is no such file/);
    expect(await problems("resolvers: []")).toEqual(["layover.yaml:1:1 resolvers: expected at least one resolver, found none"]);
    expect((await problems("resolvers: 127.0.0.1"))[0]).toContain("is Layover itself");
  });
});

describe("an answer for a subnet", () => {
  it("stands beside what is for all others, which is auto without a word", async () => {
    const given = await load(
      'answer: [{ 10.1.0.0/16: 10.1.0.2, 10.2.0.1: auto }, { "fd00:1::/64": ["fd00:1::2", 10.1.0.2] }, 10.0.0.5]',
    );
    const answerIn = [
      { prefix: "10.1.0.0/16", answer: ["10.1.0.2"] },
      { prefix: "10.2.0.1", answer: "auto" },
      { prefix: "fd00:1::/64", answer: ["fd00:1::2", "10.1.0.2"] },
    ];
    expect(given).toMatchObject({ answer: ["10.0.0.5"], answerIn });
    expect(await load(showConfig(given))).toMatchObject({ answer: ["10.0.0.5"], answerIn });
    const rest = await load("answer: [{ 10.1.0.0/16: 10.1.0.2 }]");
    expect(rest).toMatchObject({ answer: "auto", answerIn: answerIn.slice(0, 1) });
    expect(await load(showConfig(rest))).toMatchObject({ answer: "auto", answerIn: answerIn.slice(0, 1) });
    expect(await load("answer: [{ 10.1.0.0/16: 10.1.0.2 }, auto]")).toMatchObject({ answer: "auto" });
  });

  it.each([
    ["{ all: 10.0.0.1 }", 'answer.0.all: expected an address or a prefix such as 10.1.0.0/16, found "all"'],
    ["{ 10.0.0.0/33: 10.0.0.1 }", "expected an address or a prefix such as 10.1.0.0/16"],
    ["{ 10.0.0.0/8: [] }", 'answer.0.10.0.0.0/8: expected "auto" alone, or one or more addresses'],
    ["{ 10.0.0.0/8: [auto, 10.0.0.1] }", 'answer.0.10.0.0.0/8: expected "auto" alone, or one or more addresses'],
    ["{ 10.0.0.0/8: 10.0.0.1 }, { 10.0.0.0/8: 10.0.0.2 }", "the subnet 10.0.0.0/8 has its answer already"],
    ["{ 10.0.0.0/8: 10.0.0.1 }, auto, 10.0.0.1", 'answer: expected "auto" alone, or one or more addresses'],
    ["{ 10.0.0.0/8: 0.0.0.0 }", "an address that clients can reach"],
  ])("%s is refused", async (entries, message) => {
    expect((await problems(`answer: [${entries}]`)).join("\n")).toContain(message);
  });
});

describe("resolvers for a zone", () => {
  it("are one or a list, for any number of zones", async () => {
    const yaml =
      "resolvers: [9.9.9.9, { Corp.Example.: 10.0.0.2, 10.in-addr.arpa: '10.0.0.2, 10.0.0.3:5353' }, { lab: [10.0.0.4, '2001:db8::1']  }]";
    const { resolvers, splits } = await load(yaml);
    expect(resolvers).toEqual(["9.9.9.9:53"]);
    expect(splits).toEqual([
      { zone: "corp.example", resolvers: ["10.0.0.2:53"] },
      { zone: "10.in-addr.arpa", resolvers: ["10.0.0.2:53", "10.0.0.3:5353"] },
      { zone: "lab", resolvers: ["10.0.0.4:53", "[2001:db8::1]:53"] },
    ]);
    expect((await load("", { LAYOVER_RESOLVERS: "[9.9.9.9, { lab: 10.0.0.4 }]" })).splits).toHaveLength(1);
  });

  it("are refused with their place when they make no sense", async () => {
    const yaml =
      "resolvers: [{ 'a b': 10.0.0.2, lab: 10.0.0.300, l1: [] }, { corp.example: 10.0.0.2 }, { CORP.example: 10.0.0.3, '*.x': 10.0.0.1 }]";
    expect(await problems(yaml)).toEqual([
      'layover.yaml:1:32 resolvers.0.lab.0: expected an IP address, or ip:port, found "10.0.0.300"',
    ]);
    const found = await problems(yaml.replace(".300", ".30"));
    expect(found.map((line) => line.replace(/^\S+ /, ""))).toEqual([
      "resolvers: expected at least one resolver, found only such for zones",
      'resolvers.0.a b: expected a host name such as registry.example, found "a b" (no valid name)',
      "resolvers.0.l1: expected at least one resolver, found none",
      "resolvers.2.CORP.example: the zone corp.example has its resolvers already: name them in one list",
      'resolvers.2.*.x: expected a host name such as registry.example, found "*.x" (no wildcard has a meaning here)',
    ]);
    expect((await problems("resolvers: [8.8.8.8, { lab: 127.0.0.1 }]"))[0]).toContain(
      "resolvers.1.lab: 127.0.0.1:53 is Layover itself",
    );
  });
});

describe("encrypted resolvers", () => {
  it("are in one spelling, for all names and for a zone's", async () => {
    const { resolvers, splits } = await load(
      "resolvers: [tls://DNS.google:853, https://8.8.8.8, 8.8.8.8, { lab: tls://10.0.0.2 }]",
    );
    expect(resolvers).toEqual(["tls://dns.google", "https://8.8.8.8/dns-query", "8.8.8.8:53"]);
    expect(splits).toEqual([{ zone: "lab", resolvers: ["tls://10.0.0.2"] }]);
  });

  it("have an address, or a plain resolver that knows it", async () => {
    expect(await problems("resolvers: [tls://dns.google, { lab: [tls://dns.lab, 10.0.0.2] }, { corp: tls://dns.corp }]")).toEqual(
      [
        "layover.yaml:1:13 resolvers.0: tls://dns.google: nobody says where it is; add a plain resolver, or give its address in the URL",
        "layover.yaml:1:69 resolvers.2.corp: tls://dns.corp: nobody says where it is; add a plain resolver, or give its address in the URL",
      ],
    );
    expect(await problems("resolvers: ['tls://dns.google/x', 'quic://dns.google']")).toHaveLength(2);
  });
});

describe("maxAge", () => {
  it("is a duration, and not nothing", async () => {
    expect((await load("maxAge: 30d")).maxAge).toBe(30 * 24 * 3_600_000);
    expect(await problems("maxAge: 0s")).toEqual(["layover.yaml:1:1 maxAge: expected a duration of more than nothing"]);
  });
});

describe("config show", () => {
  it("can be loaded again, and says no secret", async () => {
    const password = randomBytes(12).toString("hex");
    const yaml =
      "sites: { quay.io: false, gcr.io: { credentials: { username: u, password: '$" +
      "{P}' } }, ghcr.io: { credentials: { tokenFile: ./secret } }, X.example.: { freshFor: 90s, rules: [{ match: 'a/**:v*', pin: true, onGone: keep }, { match: '**:latest', freshFor: 90s, staleWhileRevalidate: 1h }] } }\nmaxSize: 3GB\nmaxAge: 90d\nanswer: 10.0.0.5\nresolvers: [8.8.8.8, { corp.example: 10.0.0.2 }]";
    const config = await load(yaml, { P: password }, { secret: `${password}\n` });
    const shown = showConfig(config);
    expect(shown).not.toContain(password);
    expect(shown).toContain("password: <set>");
    expect(shown).toContain("/secret");
    const again = await load(shown.replace("<set>", "other"));
    const plain = (of: typeof config) =>
      JSON.stringify({ ...of, file: "", warnings: [] }).replaceAll(`"password":"${password}"`, '"password":"other"');
    expect(plain(again)).toEqual(plain(config));
  });
});

describe("what is passed on untouched", () => {
  it("is names, and suffixes, in plain form, and may lie in a wildcard", async () => {
    const config = await load(
      'sites: { "*.pkg.dev": {} }\npassthrough: [Auth.Docker.io., "*.CloudFront.net", eu.pkg.dev, auth.docker.io]',
    );
    expect(config.passthrough).toEqual(["auth.docker.io", "*.cloudfront.net", "eu.pkg.dev"]);
    expect(config.excluded).toContain("eu.pkg.dev");
  });

  it.each([
    ["passthrough: [gitlab.com, ghcr.io]", "passthrough.1: the name ghcr.io is already taken: the site ghcr.io"],
    ["passthrough: [index.docker.io]", "already taken: the site registry-1.docker.io"],
    ["passthrough: [layover]", "already taken: Layover's own name"],
    ['sites: { "*.pkg.dev": {} }\npassthrough: ["*.pkg.dev"]', "already taken: the site *.pkg.dev"],
    ["passthrough: [10.0.0.1]", "an address has no name to stand in for"],
    ['passthrough: ["*"]', "no wildcard has a meaning here"],
  ])("%s is refused", async (yaml, text) => {
    await expect(load(yaml)).rejects.toThrow(text);
  });
});
