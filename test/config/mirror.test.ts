// `mirror:` and `notify:`: what an entry becomes, the file of its own, and everything that makes no sense, with its place.
import { describe, expect, it } from "vitest";
import type { MirrorEntry } from "../../src/mirrors.ts";
import { load, problems } from "./folder.ts";

const LOCAL = "sites: { images.build.example: { kind: local, access: anonymous } }\n";
const yamlOf = (...entries: string[]) => `${LOCAL}mirror:\n${entries.map((entry) => `  - ${entry}\n`).join("")}`;
const entryOf = async (entry: string): Promise<MirrorEntry> => (await load(yamlOf(entry))).mirror.entries[0]!;

describe("an entry", () => {
  it("is the contract's example, with the rest defaulted", async () => {
    expect(
      await entryOf(
        `{ source: registry-1.docker.io/library/node, tags: { semver: ">=22 <25", newest: 5 }, platforms: [linux/amd64], schedule: "0 3 * * *", backup: "{{tag}}.{{date}}", keep: 10 }`,
      ),
    ).toEqual({
      name: "registry-1.docker.io/library/node",
      source: { site: "registry-1.docker.io", repo: "library/node" },
      isPattern: false,
      repos: { only: [], except: [] },
      target: undefined,
      targetTag: undefined,
      tags: { semver: ">=22 <25", newest: 5, only: [], except: [] },
      platforms: ["linux/amd64"],
      referrers: true,
      digestTags: true,
      schedule: { cron: "0 3 * * *", timezone: "UTC" },
      delay: 0,
      rateLimit: undefined,
      parallel: 2,
      backup: "{{tag}}.{{date}}",
      keep: { count: 10, for: undefined },
      hooks: { pre: undefined, post: undefined, timeout: 600_000 },
      warnAfter: undefined,
    });
  });

  it("takes every key", async () => {
    const entry = await entryOf(
      `{ name: all, source: ghcr.io/acme/**, target: images.build.example/mirror, tags: { match: "v*", only: "/v[0-9]+/", except: ["*-rc", x] }, repos: { only: "acme/a*", except: [acme/ab] }, platforms: "linux/amd64, linux/arm/v7", referrers: false, digestTags: false, interval: 6h, delay: 3d, rateLimit: { min: 50 }, parallel: 4, keep: { for: 30d }, hooks: { pre: [scan, --all], post: "echo done", timeout: 1m }, warnAfter: 2d }`,
    );
    expect(entry).toMatchObject({
      name: "all",
      source: { site: "ghcr.io", repo: "acme/**" },
      isPattern: true,
      repos: { only: ["acme/a*"], except: ["acme/ab"] },
      target: { site: "images.build.example", repo: "mirror" },
      tags: { semver: undefined, newest: undefined, only: ["v*", "/v[0-9]+/"], except: ["*-rc", "x"] },
      platforms: ["linux/amd64", "linux/arm/v7"],
      referrers: false,
      digestTags: false,
      schedule: { every: 21_600_000 },
      delay: 259_200_000,
      rateLimit: { min: 50, retry: 300_000 },
      parallel: 4,
      keep: { count: 1_000, for: 2_592_000_000 },
      hooks: { pre: ["scan", "--all"], post: "echo done", timeout: 60_000 },
      warnAfter: 172_800_000,
    });
  });

  it.each([
    ["docker.io/node", { site: "registry-1.docker.io", repo: "library/node" }],
    ["index.docker.io/node:22", { site: "registry-1.docker.io", repo: "library/node" }],
    ["docker.io/grafana/grafana", { site: "registry-1.docker.io", repo: "grafana/grafana" }],
    ["docker.io/**", { site: "registry-1.docker.io", repo: "**" }],
    ["GHCR.io", { site: "ghcr.io", repo: "**" }],
    ["ghcr.io/acme/**", { site: "ghcr.io", repo: "acme/**" }],
    ["ghcr.io:443/acme/app", { site: "ghcr.io", repo: "acme/app" }],
  ])("comes from %s", async (source, place) => expect((await entryOf(`{ source: "${source}" }`)).source).toEqual(place));

  it("may come from a host that a wildcard stands for", async () => {
    const { mirror } = await load('sites: { "*.pkg.dev": {} }\nmirror: [{ source: eu-docker.pkg.dev/acme/app }]');
    expect(mirror.entries[0]?.source).toEqual({ site: "eu-docker.pkg.dev", repo: "acme/app" });
  });

  it.each([
    [
      "{ source: 'ghcr.io/acme/app:v1', target: 'images.build.example/app:stable' }",
      { site: "images.build.example", repo: "app" },
      "stable",
    ],
    [
      "{ source: 'ghcr.io/acme/app:v1', target: 'images.build.example/app:v1' }",
      { site: "images.build.example", repo: "app" },
      undefined,
    ],
    [
      "{ source: ghcr.io/acme/app, tags: v1, target: 'images.build.example/app:stable' }",
      { site: "images.build.example", repo: "app" },
      "stable",
    ],
    ["{ source: ghcr.io/acme/app, target: ghcr.io/acme/app }", undefined, undefined],
    ["{ source: 'ghcr.io/acme/app:v1', target: 'ghcr.io/acme/app:stable' }", { site: "ghcr.io", repo: "acme/app" }, "stable"],
    ["{ source: ghcr.io/acme/**, target: images.build.example }", { site: "images.build.example", repo: "" }, undefined],
  ])("goes where it says: %s", async (entry, target, targetTag) =>
    expect(await entryOf(entry)).toMatchObject({ target, targetTag }),
  );
});

describe("defaults", () => {
  it("stand for what an entry leaves out, and an interval takes the place of a schedule", async () => {
    const { mirror } = await load(`mirror:
  defaults: { schedule: "0 3 * * *", timezone: Europe/Berlin, backup: "{{tag}}.{{run}}", platforms: [linux/amd64], hooks: { pre: scan } }
  entries:
    - { source: ghcr.io/a/a }
    - { source: ghcr.io/a/b, interval: 1h, platforms: all, backup: none, hooks: { post: tell } }
    - { source: ghcr.io/a/c, schedule: none }`);
    expect(mirror.entries).toMatchObject([
      { schedule: { cron: "0 3 * * *", timezone: "Europe/Berlin" }, backup: "{{tag}}.{{run}}", platforms: ["linux/amd64"] },
      { schedule: { every: 3_600_000 }, backup: undefined, platforms: undefined, hooks: { pre: "scan", post: "tell" } },
      { schedule: undefined },
    ]);
  });

  it("are said to be wrong where they stand", async () => {
    expect(await problems('mirror:\n  defaults: { schedule: "0 0 30 2 *" }\n  entries:\n    - source: ghcr.io/a/a\n')).toEqual([
      "layover.yaml:2:15 mirror.defaults.schedule: a time that never comes",
    ]);
  });
});

describe("a file of its own", () => {
  it("holds either, relative to the configuration, and takes values from the environment", async () => {
    for (const text of [
      "- { source: 'ghcr.io/acme/app:$" + "{TAG}' }",
      "{ defaults: { keep: 1 }, entries: [{ source: 'ghcr.io/acme/app:$" + "{TAG}' }] }",
    ]) {
      const { mirror, file } = await load("mirror: ./list/mirror.yaml", { TAG: "v1" }, { "list/mirror.yaml": text });
      expect(mirror.file).toBe(file!.replace("layover.yaml", "list/mirror.yaml"));
      expect(mirror.entries[0]?.tags.only).toEqual(["v1"]);
    }
  });

  it("may be empty, or named by the environment", async () => {
    const { mirror } = await load(undefined, { LAYOVER_MIRROR: "mirror.yaml" }, { "mirror.yaml": "# none yet\n" });
    expect(mirror.entries).toEqual([]);
    expect(mirror.file).toMatch(/mirror\.yaml$/);
  });

  it("has its own name and lines in what is said of it, beside what else is wrong", async () => {
    const text = "defaults:\n  keap: 3\nentries:\n  - source: ghcr.io/acme/app\n    tags: { semvr: 1 }\n";
    expect(await problems("maxAge: 0s\nmirror: ./mirror.yaml", {}, { "mirror.yaml": text })).toEqual([
      "layover.yaml:1:1 maxAge: expected a duration of more than nothing",
      expect.stringMatching(/mirror\.yaml:2:3 defaults\.keap: unknown key; did you mean keep\?$/),
      expect.stringMatching(/mirror\.yaml:5:13 entries\.0\.tags\.semvr: unknown key; did you mean semver\?$/),
    ]);
    expect(await problems("mirror: ./mirror.yaml")).toEqual([expect.stringMatching(/mirror\.yaml: there is no such file$/)]);
    expect(await problems("mirror: ./m.yaml", {}, { "m.yaml": "[" })).toEqual([
      expect.stringMatching(/m\.yaml:1:\d+ not valid YAML/),
    ]);
    const entry = await problems("mirror: ./m.yaml", {}, { "m.yaml": "- source: ghcr.io/a/a\n- source: nowhere.example/a\n" });
    expect(entry).toEqual([expect.stringMatching(/m\.yaml:2:3 1\.source: "nowhere\.example" is no site of the configuration/)]);
  });
});

describe("what makes no sense is refused", () => {
  it.each([
    ["{ source: node }", "0.source", '"node" is no site of the configuration: the host stands first, as in docker.io/node'],
    ["{ source: library/node }", "0.source", "the host stands first, as in docker.io/library/node"],
    [
      "{ source: ghrc.io/a/b }",
      "0.source",
      '"ghrc.io" is no site of the configuration: add it under `sites`; did you mean ghcr.io?',
    ],
    ["{ source: 'registry.example:5000/a/b' }", "0.source", "a site has no port"],
    ["{ source: 'https://ghcr.io/a/b' }", "0.source", 'expected no scheme: "ghcr.io/a/b" is enough'],
    ["{ source: 'ghcr.io/a/b@sha256:123' }", "0.source", "expected no digest"],
    ["{ source: 'ghcr.io/a/b:v*' }", "0.source", "globs stand in `tags`"],
    ["{ source: 'ghcr.io/a/b:' }", "0.source", "expected a tag behind the colon"],
    ["{ source: ghcr.io/A/b }", "0.source", "expected a repository or a glob"],
    ["{ source: images.build.example/a }", "0.source", "what is hosted here is here already"],
    ["{ source: 'ghcr.io/a/b:v1', tags: v2 }", "0.tags", "the source has a tag already"],
    ["{ source: ghcr.io/a/b, tags: [] }", "0.tags", "expected a tag or a pattern, found none"],
    ["{ source: ghcr.io/a/b, tags: '/(/' }", "0.tags.0", "missing closing )"],
    ["{ source: ghcr.io/a/b, tags: '/(?=a)b/' }", "0.tags.0", "unsupported Perl syntax"],
    ["{ source: ghcr.io/a/b, tags: { semver: '>=one' } }", "0.tags.semver", "expected a range of versions"],
    ["{ source: ghcr.io/a/b, tags: { newest: 0 } }", "0.tags.newest", "found 0"],
    ["{ source: ghcr.io/a/b, repos: { only: a } }", "0.repos", "only where the source is a pattern"],
    ["{ source: ghcr.io/a/b, target: images.build.example }", "0.target", "expected a repository behind the host"],
    ["{ source: ghcr.io/a/b, target: 'images.build.example/b:v1' }", "0.target", "only where the source has one tag"],
    ["{ source: ghcr.io/a/b, target: images.build.example/b* }", "0.target", "expected no star"],
    ["{ source: ghcr.io/a/b, target: other.example/b }", "0.target", '"other.example" is no site'],
    ["{ source: ghcr.io/a/b, schedule: '0 3 * *' }", "0.schedule", "with 4 fields"],
    ["{ source: ghcr.io/a/b, schedule: '@daily' }", "0.schedule", "expected a cron schedule"],
    ["{ source: ghcr.io/a/b, schedule: '61 3 * * *' }", "0.schedule", "expected a cron schedule"],
    ["{ source: ghcr.io/a/b, schedule: '0 3 * * foo' }", "0.schedule", "expected a cron schedule"],
    ["{ source: ghcr.io/a/b, schedule: '0 0 31 2 *' }", "0.schedule", "a time that never comes"],
    ["{ source: ghcr.io/a/b, schedule: '0 3 * * *', interval: 1h }", "0.interval", "beside `schedule`"],
    ["{ source: ghcr.io/a/b, schedule: '0 3 * * *', timezone: Europe/Bärlin }", "0.timezone", "expected a time zone"],
    ["{ source: ghcr.io/a/b, interval: 1h, timezone: UTC }", "0.timezone", "an interval has none"],
    ["{ source: ghcr.io/a/b, timezone: UTC }", "0.timezone", "without a `schedule`"],
    ["{ source: ghcr.io/a/b, interval: 1s }", "0.interval", "ten seconds or more"],
    ["{ source: ghcr.io/a/b, platforms: [amd64] }", "0.platforms.0", "expected a platform such as linux/amd64"],
    ["{ source: ghcr.io/a/b, platforms: [all, linux/amd64] }", "0.platforms", 'expected "all" alone'],
    ["{ source: ghcr.io/a/b, backup: old }", "0.backup", "always the same name"],
    ["{ source: ghcr.io/a/b, backup: '{{tag}}' }", "0.backup", "the tag itself"],
    ["{ source: ghcr.io/a/b, backup: 'x:{{date}}' }", "0.backup", "no more than a tag"],
    [
      "{ source: ghcr.io/a/b, backup: '{{dat}}' }",
      "0.backup",
      "no {{dat}}: there is tag, date, time, digest, run; did you mean date?",
    ],
    ["{ source: ghcr.io/a/b, backup: '{{tag}}.{date}' }", "0.backup", "a variable is written as {{tag}}"],
    ["{ source: ghcr.io/a/b, backup: '{{tag}}.{{date}}', keep: 0 }", "0.keep", "with nothing kept"],
    ["{ source: ghcr.io/a/b, keep: {} }", "0.keep", "expected a count"],
    ["{ source: ghcr.io/a/b, parallel: 0 }", "0.parallel", "found 0"],
    ["{ source: ghcr.io/a/b, rateLimit: { mn: 3 } }", "0.rateLimit.mn", "unknown key; did you mean min?"],
    ["{ source: ghcr.io/a/b, hooks: { pre: [] } }", "0.hooks.pre", "expected a command"],
    ["{ source: ghcr.io/a/b, name: -x }", "0.name", "begins with no hyphen"],
    ["{ source: ghcr.io/a/b, tag: v1 }", "0.tag", "unknown key; did you mean tags?"],
    ["{ source: ghcr.io/a/b, tags: { allow: [v1] } }", "0.tags.allow", "unknown key; did you mean only?"],
    ["{ source: ghcr.io/a/b, tags: { semverRange: '>=1' } }", "0.tags.semverRange", "unknown key; did you mean semver?"],
    ["{ source: ghcr.io/a/b, allow: [v1] }", "0.allow", "unknown key"],
  ])("%s", async (entry, key, message) => {
    const found = await problems(yamlOf(entry));
    expect(found.filter((problem) => problem.includes(message) && problem.includes(` mirror.${key}: `))).toHaveLength(1);
  });

  it.each([
    [
      "two of one name",
      ["{ source: ghcr.io/a/b, tags: v1 }", "{ source: ghcr.io/a/b, tags: v2 }"],
      "1.name",
      "another entry is called",
    ],
    [
      "one tag twice",
      ["{ source: ghcr.io/a/b, tags: v1 }", "{ source: 'ghcr.io/a/b:v1' }"],
      "1.source",
      "writes ghcr.io/a/b:v1 as well",
    ],
    [
      "a tag of a range",
      ["{ source: ghcr.io/a/b, tags: { semver: '>=1' } }", "{ source: 'ghcr.io/a/b:v1' }"],
      "1.source",
      "ghcr.io/a/b:v1",
    ],
    [
      "all of a repository",
      ["{ source: ghcr.io/a/b }", "{ name: x, source: ghcr.io/a/b }"],
      "1.source",
      "writes ghcr.io/a/b as well",
    ],
    ["a repository of a pattern", ["{ source: ghcr.io/a/** }", "{ source: 'ghcr.io/a/b:v1' }"], "1.source", "ghcr.io/a/b:v1"],
    [
      "two sources, one target",
      ["{ source: ghcr.io/a/b, target: images.build.example/b }", "{ source: quay.io/a/b, target: images.build.example/b }"],
      "1.source",
      "writes images.build.example/b as well",
    ],
    [
      "a circle",
      [
        "{ source: ghcr.io/a/b, target: images.build.example/b }",
        "{ source: images.build.example/b, target: quay.io/a/b }",
        "{ source: quay.io/a/**, target: ghcr.io }",
      ],
      "2.target",
      "copies go in a circle: ghcr.io/a/b → images.build.example/b → quay.io/a/** → ghcr.io/a/b",
    ],
    [
      "itself",
      ["{ source: images.build.example, target: images.build.example/copies }"],
      "0.target",
      "lies within its own source",
    ],
  ])("%s", async (_, entries, key, message) => {
    const found = await problems(yamlOf(...entries));
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(` mirror.${key}: `);
    expect(found[0]).toContain(message);
  });

  it.each([
    ["other tags of one repository", ["{ source: ghcr.io/a/b, tags: v1 }", "{ name: x, source: ghcr.io/a/b, tags: v2 }"]],
    ["what a pattern leaves out", ["{ source: ghcr.io/a/**, repos: { except: a/b } }", "{ source: ghcr.io/a/b }"]],
    ["what is not sure", ["{ source: ghcr.io/a/b, tags: { newest: 3 } }", "{ source: 'ghcr.io/a/b:v1' }"]],
    [
      "a chain",
      ["{ source: ghcr.io/a/b, target: images.build.example/b }", "{ source: images.build.example/b, target: quay.io/a/b }"],
    ],
    [
      "there and back, of other tags",
      [
        "{ source: 'ghcr.io/a/b:v1', target: images.build.example/b }",
        "{ source: 'images.build.example/b:v2', target: ghcr.io/a/b }",
      ],
    ],
  ])("but not %s", async (_, entries) => void (await load(yamlOf(...entries))));
});

describe("who is notified", () => {
  it("of both, unless it says which", async () => {
    const { notify, file } = await load(
      "notify:\n  - { url: 'https://hooks.example/x?y=z', secretFile: ./key }\n  - { url: 'http://127.0.0.1:9/', on: failure, secret: s }",
      {},
      { key: "k" },
    );
    expect(notify).toEqual([
      {
        url: new URL("https://hooks.example/x?y=z"),
        on: ["change", "failure"],
        secret: undefined,
        secretFile: file!.replace("layover.yaml", "key"),
      },
      { url: new URL("http://127.0.0.1:9/"), on: ["failure"], secret: "s", secretFile: undefined },
    ]);
  });

  it.each([
    ["{ url: 'ftp://hunter2.example' }", "notify.0.url: expected an http:// or https:// URL"],
    ["{ url: 'me:hunter2@example' }", "notify.0.url: expected an http:// or https:// URL"],
    ["{ url: 'https://a.example', on: [] }", "notify.0.on: expected change or failure"],
    ["{ url: 'https://a.example', on: [chnge] }", "did you mean change?"],
    ["{ url: 'https://a.example', secret: hunter2, secretFile: layover.yaml }", "notify.0.secret: beside `secretFile`"],
    ["{ url: 'https://a.example', secretFile: nowhere }", "notify.0.secretFile: cannot read"],
  ])("%s is refused, and not repeated", async (webhook, message) => {
    const found = await problems(`notify: [${webhook}]`);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(message);
    expect(found[0]).not.toContain("hunter2");
  });
});
