// A regsync.yml as ours: what becomes of each key, what is told of the rest, and that the configuration takes whatever comes out.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { ConfigError } from "../../src/config/problems.ts";
import { type Conversion, convertRegsync } from "../../src/regsync/convert.ts";
import { siteTable } from "../../src/sites.ts";
import { load } from "../config/folder.ts";

const ENV = { REGISTRY: "registry.corp.example", HUB_USER: "builds", QUAY_IO_PASSWORD: "x", QUAY_IO_TOKEN: "x" };

const convert = async (yaml: string, how: Partial<Conversion> = {}) => {
  const config = await load("sites: { images.build.example: { kind: local, access: anonymous } }");
  return convertRegsync("regsync.yml", yaml, { sites: siteTable(config.sites, config), env: ENV, inPlace: false, ...how });
};

const step = (text: string) => `sync:\n  - ${text}\n`;
const entryOf = async (text: string) => (await convert(step(text))).mirror.entries[0];
const notesOf = async (yaml: string) => (await convert(yaml)).notes;

describe("a step", () => {
  it.each<[string, object]>([
    [
      "{ type: image, source: busybox, target: images.build.example/library/busybox }",
      { source: "docker.io/library/busybox:latest", target: "images.build.example/library/busybox:latest" },
    ],
    [
      "{ type: image, source: 'ghcr.io/a/b:v1', target: 'images.build.example/b:stable' }",
      { source: "ghcr.io/a/b:v1", target: "images.build.example/b:stable" },
    ],
    [
      "{ type: repository, source: registry-1.docker.io/grafana/grafana, target: 'registry:5000/grafana', tags: { allow: [3, 3.10, '3\\.\\d+', '1\\.2', .*], deny: ['^.*-rc$'] } }",
      {
        source: "docker.io/grafana/grafana",
        target: "registry/grafana",
        tags: { only: ["3", "/3.10/", "/3\\.\\d+/", "1.2", "*"], except: ["/.*-rc/"] },
      },
    ],
    [
      "{ type: repository, source: ghcr.io/a/b, target: quay.io/a/b, tags: { semverRange: ['>=1 <2', ^4] } }",
      { source: "ghcr.io/a/b", target: "quay.io/a/b", tags: { semver: ">=1 <2 || ^4", only: ["*"] } },
    ],
    [
      "{ type: repository, source: ghcr.io/a/b, target: quay.io/a/b, tags: { allow: [x] }, tagSets: [{ allow: [a] }, { allow: [b, a] }] }",
      { source: "ghcr.io/a/b", target: "quay.io/a/b", tags: { only: ["a", "b", "x"] } },
    ],
    [
      "{ type: registry, source: registry.k8s.io, target: images.build.example/k8s, repos: { allow: ['kube-.*', pause], deny: [kube-x] } }",
      {
        source: "registry.k8s.io/**",
        target: "images.build.example/k8s",
        repos: { only: ["/kube-.*/", "pause"], except: ["kube-x"] },
      },
    ],
    [
      "{ type: image, source: '{{ env \"REGISTRY\" }}/a/b:1', target: 'images.build.example/{{ index (split .Sync.Source \"example/\") 1 }}' }",
      { source: "registry.corp.example/a/b:1", target: "images.build.example/a/b:1" },
    ],
    [
      "{ type: image, source: a/b, target: quay.io/a/b, platforms: [linux/amd64, linux/arm/v7], interval: 1h30m, ratelimit: { min: 9, retry: 1m }, digestTags: true, referrers: true }",
      {
        ...{ source: "docker.io/a/b:latest", target: "quay.io/a/b:latest", platforms: ["linux/amd64", "linux/arm/v7"] },
        ...{ interval: "90m", rateLimit: { min: 9, retry: "5m" }, digestTags: true, referrers: true },
      },
    ],
    [
      "{ type: image, source: a/b, target: quay.io/a/b, schedule: 'CRON_TZ=Europe/Berlin 15 3 * * *', interval: 1h, backup: 'b-{{.Ref.Tag}}-{{time.Now.Format \"20060102150405\"}}' }",
      {
        ...{ source: "docker.io/a/b:latest", target: "quay.io/a/b:latest", schedule: "15 3 * * *", timezone: "Europe/Berlin" },
        backup: "b-{{tag}}-{{date}}{{time}}",
      },
    ],
    ["{ type: image, source: a/b, target: quay.io/a/b, schedule: '@daily' }", { schedule: "0 0 * * *" }],
    ["{ type: image, source: a/b, target: quay.io/a/b, schedule: '@every 1s' }", { interval: "10s" }],
  ])("%s", async (text, entry) => expect(await entryOf(text)).toMatchObject(entry));

  it("is several entries where its sets cannot be one, each with a name", async () => {
    const { mirror } = await convert(
      step(
        "{ type: repository, source: a/b, target: quay.io/a/b, tagSets: [{ allow: [a] }, { semverRange: ['>=1'], deny: [x] }] }",
      ),
    );
    expect(mirror.entries).toEqual([
      { source: "docker.io/a/b", target: "quay.io/a/b", tags: { only: ["a"] } },
      {
        ...{ name: "docker.io/a/b#2", source: "docker.io/a/b", target: "quay.io/a/b" },
        tags: { semver: ">=1", only: ["*"], except: ["x"] },
      },
    ]);
  });

  it("has no target in place", async () => {
    const yaml = step("{ type: repository, source: ghcr.io/a/b, target: 'registry:5000/b' }");
    const { mirror, sites } = await convert(`creds: [{ registry: 'registry:5000', tls: disabled }]\n${yaml}`, { inPlace: true });
    expect(mirror.entries).toEqual([{ source: "ghcr.io/a/b" }]);
    expect(sites).toEqual({});
  });
});

describe("defaults", () => {
  it("are regsync's where it says nothing, and merge keys count", async () => {
    const { mirror } = await convert(`x-a: &a { type: image, target: "quay.io/{{ .Sync.Source }}" }
defaults: { interval: 60m, ratelimit: { min: 100, retry: 15m }, parallel: 3, backup: "bkup-{{.Ref.Tag}}" }
sync:
  - <<: *a
    source: a/b
`);
    expect(mirror).toEqual({
      defaults: {
        ...{ referrers: false, digestTags: false, interval: "1h", rateLimit: { min: 100, retry: "15m" } },
        ...{ backup: "bkup-{{tag}}", parallel: 3 },
      },
      entries: [{ source: "docker.io/a/b:latest", target: "quay.io/a/b:latest" }],
    });
  });
});

describe("credentials", () => {
  const SYNC = step("{ type: image, source: quay.io/a/b, target: 'registry:5000/b' }");

  it("come from where they came from, or from a variable, and no secret is written", async () => {
    const { sites, notes } = await convert(`creds:
  - { registry: docker.io, hostname: registry-1.docker.io, user: '{{env "HUB_USER"}}', pass: '{{file "/run/secrets/hub"}}', reqConcurrent: 5 }
  - { registry: quay.io, user: me, pass: hunter2 }
  - { registry: ghcr.io, token: hunter2 }
  - { registry: gcr.io, credHelper: docker-credential-gcr }
  - { registry: "registry:5000", tls: disabled, regcert: '{{file "/etc/ca.pem"}}', clientCert: '{{file "/c.pem"}}', clientKey: '{{file "/k.pem"}}' }
${SYNC}`);
    expect(sites).toEqual({
      "registry-1.docker.io": {
        credentials: { username: `\${HUB_USER}`, passwordFile: "/run/secrets/hub" },
        concurrency: 5,
      },
      "quay.io": { credentials: { username: "me", password: `\${QUAY_IO_PASSWORD}` } },
      "ghcr.io": { credentials: { token: `\${GHCR_IO_TOKEN}` } },
      "gcr.io": { credentials: { helper: "gcr" } },
      registry: {
        ...{ upstream: "http://registry:5000", trust: "/etc/ca.pem" },
        clientCertificate: { certificate: "/c.pem", key: "/k.pem" },
      },
    });
    expect(JSON.stringify([sites, notes])).not.toContain("hunter2");
    expect(notes).toEqual([
      expect.stringMatching(/^regsync\.yml:3:36 creds\.1\.pass: a secret in the file itself.* QUAY_IO_PASSWORD/),
      expect.stringMatching(/^regsync\.yml:4:26 creds\.2\.token: a secret in the file itself.* GHCR_IO_TOKEN/),
    ]);
  });

  it.each([
    ["registry: 10.0.0.5:5000", "10.0.0.5:5000", "10-0-0-5.registry.internal", "https://10.0.0.5:5000"],
    ["registry: localhost:5000, tls: disabled", "localhost:5000", "localhost", "http://localhost:5000"],
    ["registry: reg.example", "reg.example", "reg.example", undefined],
    ["registry: reg.example, hostname: other.example", "reg.example", "reg.example", "https://other.example"],
  ])("{ %s } is a site", async (cred, registry, name, upstream) => {
    const { sites, mirror } = await convert(
      `creds: [{ ${cred} }]\n${step(`{ type: image, source: a/b, target: '${registry}/b' }`)}`,
    );
    expect(sites).toEqual({ [name]: upstream === undefined ? {} : { upstream } });
    expect(mirror.entries[0]).toMatchObject({ target: `${name}/b:latest` });
  });

  it("two ports of one machine are two sites", async () => {
    const { sites } = await convert(
      "sync: [{ type: image, source: 'r.example:1/a', target: 'r.example:2/a' }, { type: image, source: b, target: 'r.example:3/b' }]",
    );
    expect(sites).toEqual({
      "r.example": { upstream: "https://r.example:1" },
      "r-example.registry.internal": { upstream: "https://r.example:2" },
      "r-example-3.registry.internal": { upstream: "https://r.example:3" },
    });
  });
});

describe("what is left behind is told with its line:", () => {
  const rest = "type: image, source: a/b, target: quay.io/a/b";
  it.each([
    ["{ type: image, source: 'ocidir:///x', target: quay.io/a/b }", "source: not carried over: a folder is no registry"],
    ["{ type: image, source: a/b, target: 'ocidir://x' }", "target: not carried over: a folder is no registry"],
    [
      `{ type: image, source: 'a@sha256:${"a".repeat(64)}', target: quay.io/a/b }`,
      "source: not carried over: a digest never moves",
    ],
    ["{ type: image, source: 'A b', target: quay.io/a/b }", "source: not carried over: "],
    [
      "{ type: imag, source: a/b, target: quay.io/a/b }",
      'type: not carried over: expected image, repository or registry, found "imag"',
    ],
    ["{ type: image, target: quay.io/a/b }", "source: not carried over: there is none"],
    [
      "{ type: image, source: '{{ env \"NOPE\" }}/a', target: quay.io/a/b }",
      "source: not carried over: the environment has no NOPE",
    ],
    [
      "{ type: image, source: '{{ printf 3 }}', target: quay.io/a/b }",
      'source: not carried over: {{ }} with "printf" has no counterpart',
    ],
    [
      "{ type: repository, source: a/b, target: quay.io/a/b, tags: { deny: ['a(?!b)'] } }",
      "not carried over: without what its tags leave out it would copy too much",
    ],
    [
      "{ type: repository, source: a/b, target: quay.io/a/b, tags: { semverRange: [one] } }",
      "tags.semverRange: expected a range",
    ],
    ["{ type: image, source: images.build.example/a, target: images.build.example/a }", "not carried over: what is hosted here"],
  ])("%s", async (text, note) => {
    const { notes, lostCount, mirror } = await convert(step(text));
    expect(notes.filter((line) => line.startsWith("regsync.yml:2:") && line.includes(note))).toHaveLength(1);
    expect({ lostCount, entries: mirror.entries }).toEqual({ lostCount: 1, entries: [] });
  });

  it.each([
    [`{ ${rest}, hooks: { pre: { type: x } } }`, "hooks: not carried over: regsync never runs them"],
    [`{ ${rest}, mediaTypes: [x] }`, "mediaTypes: not carried over"],
    [`{ ${rest}, referrerFilters: [{ artifactType: x }] }`, "referrerFilters: not carried over"],
    [`{ ${rest}, includeExternal: true }`, "includeExternal: not carried over"],
    [`{ ${rest}, platform: linux/amd64 }`, "platform: the index stays as it is"],
    [`{ ${rest}, platforms: [local] }`, "platforms: not carried over: expected a platform"],
    [`{ ${rest}, schedule: nonsense }`, "schedule: not carried over: expected a cron schedule"],
    [`{ ${rest}, backup: 'other.example/x:{{.Ref.Tag}}-{{time.Now.Format "060102"}}' }`, "backup: what is in its {{ }}"],
    [`{ ${rest}, nonsense: 1 }`, "nonsense: not carried over: unknown to regsync as well"],
    ["{ type: repository, source: a/b, target: quay.io/a/b, tags: { allow: [a, 'b(?!c)'] } }", 'tags.allow: "b(?!c)" is not'],
  ])("%s, and the step is there", async (text, note) => {
    const { notes, lostCount } = await convert(step(text));
    expect(notes.filter((line) => line.startsWith("regsync.yml:2:") && line.includes(note))).toHaveLength(1);
    expect(lostCount).toBe(0);
  });

  it("what would clash", async () => {
    const two = `sync:\n  - { ${rest} }\n  - { ${rest} }\n`;
    const { notes, mirror } = await convert(two);
    expect(notes).toEqual([
      expect.stringMatching(/^regsync\.yml:3:5 sync\.1: not carried over: the entry .* writes quay\.io\/a\/b:latest/),
    ]);
    expect(mirror.entries).toHaveLength(1);
  });

  it("of the rest of the file", async () => {
    expect(
      await notesOf(`bla: 1\ncreds: [{ user: x }]\ndefaults: { userAgent: x, skipDockerConfig: true }\n${step(`{ ${rest} }`)}`),
    ).toEqual([
      "regsync.yml:1:1 bla: not carried over: unknown to regsync as well",
      "regsync.yml:2:9 creds.0: not carried over: names no registry",
      "regsync.yml:3:13 defaults.userAgent: not carried over: Layover says its own name",
      expect.stringContaining("regsync.yml:3:27 defaults.skipDockerConfig: not carried over: Docker's logins are never read"),
    ]);
  });

  it.each([
    ["version: 2\nsync: []", "regsync.yml:1:1 version: expected 1"],
    ["kind: ConfigMap", "regsync.yml: no regsync configuration"],
    ["[", "regsync.yml:1:2 not valid YAML"],
    ["- a", "no regsync configuration"],
  ])("%j is none", async (yaml, message) => {
    const error: unknown = await convert(yaml).catch((problem: unknown) => problem);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toContain(message);
  });
});

describe("what comes out", () => {
  const name = fc.constantFrom(
    "a/b",
    "busybox",
    "quay.io/a/b:v1",
    "ghcr.io/x",
    "r.example:5000/x",
    "10.0.0.1/y",
    "ocidir://z",
    "{{.X}}",
    "",
  );
  const pattern = fc.constantFrom("latest", "3", "3\\.\\d+", ".*", "(a|b)+", "a(?!b)", "[", "v[0-9]+", "x,y");
  const tags = fc.record(
    { allow: fc.array(pattern), deny: fc.array(pattern), semverRange: fc.array(fc.constantFrom(">=1", "^2 <3", "one", "")) },
    { requiredKeys: [] },
  );
  const shared = fc.record(
    {
      interval: fc.constantFrom("1h", "1h30m", "5", "x", "-1h"),
      schedule: fc.constantFrom(
        "15 3 * * *",
        "@daily",
        "@every 2h",
        "CRON_TZ=UTC 0 0 * * *",
        "TZ=Nowhere/At 0 0 * * *",
        "0 0 31 2 *",
        "x",
      ),
      backup: fc.constantFrom(
        "bkup-{{.Ref.Tag}}",
        "old",
        "{{.Ref.Tag}}",
        "x:{{.Ref.Tag}}",
        '{{time.Now.Format "2006-01-02"}}',
        "{{",
        "a b",
      ),
      ratelimit: fc.record({ min: fc.constantFrom(1, "x", -3, 1e9), retry: fc.constantFrom("1m", "x") }, { requiredKeys: [] }),
      parallel: fc.constantFrom(0, 4, 1e6, "x"),
      referrers: fc.boolean(),
      digestTags: fc.constantFrom(true, "maybe"),
      hooks: fc.constantFrom("x", { pre: { type: "x" } }, ["x"]),
    },
    { requiredKeys: [] },
  );
  const anyStep = fc
    .tuple(
      fc.record(
        {
          ...{ type: fc.constantFrom("image", "repository", "registry", "x"), source: name, target: name, tags },
          ...{
            tagSets: fc.array(tags, { maxLength: 2 }),
            repos: tags,
            platforms: fc.array(fc.constantFrom("linux/amd64", "all", "x")),
          },
        },
        { requiredKeys: ["type", "source", "target"] },
      ),
      shared,
    )
    .map(([one, other]) => ({ ...one, ...other }));

  it("is taken by the configuration, whatever went in, and every step is accounted for", async () => {
    const file = fc.record({ defaults: shared, sync: fc.array(anyStep, { maxLength: 4 }) }, { requiredKeys: ["sync"] });
    await fc.assert(
      fc.asyncProperty(file, fc.boolean(), async (regsync, inPlace) => {
        const { mirror, sites, stepCount, lostCount, notes } = await convert(stringify(regsync), { inPlace });
        const local = { "images.build.example": { kind: "local", access: "anonymous" } };
        const config = await load(stringify({ sites: { ...local, ...sites }, mirror }));
        expect(config.mirror.entries).toHaveLength(mirror.entries.length);
        expect(stepCount).toBe(regsync.sync.length);
        expect(notes.length >= lostCount).toBe(true);
      }),
      { numRuns: 150 },
    );
  });
});
