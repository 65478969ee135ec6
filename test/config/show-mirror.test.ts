// What is mirrored and who is notified, as `config show` says it, and what `config check` warns of.
import { describe, expect, it } from "vitest";
import { showConfig } from "../../src/config/show.ts";
import { load } from "./folder.ts";

const DOLLAR = "$";
const EVERYTHING = `
sites: { images.build.example: { kind: local, access: anonymous }, quay.io: { onMissing: refuse, rules: [{ match: "a/**", onMissing: cache }] } }
notify: [{ url: "https://hooks.example/T0/hunter2", secret: hunter2 }, { url: "http://127.0.0.1:9/", on: failure }, { url: "http://me:hunter2@127.0.0.1:9/" }]
mirror:
  - source: docker.io/node
    tags: { semver: ">=22", newest: 3 }
    platforms: [linux/amd64]
    schedule: "0 3 * * *"
    timezone: Europe/Berlin
    backup: "{{tag}}.{{run}}"
    keep: { for: 30d }
    hooks: { pre: 'scan ${DOLLAR}${DOLLAR}{LAYOVER_DIGEST}', post: [tell, "${DOLLAR}1"] }
    delay: 3d
    warnAfter: 2d
  - { name: all, source: ghcr.io/acme/**, target: images.build.example, repos: { except: acme/x }, interval: 1h, rateLimit: { min: 5 } }
  - { source: "quay.io/a/b:v1", target: "images.build.example/b:stable", referrers: false }
  - { source: quay.io, tags: ["/v[0-9]+/", "*-lts"], repos: { only: ["a/*"] } }
`;

describe("config show", () => {
  it("says it all so that it can be loaded again, and no secret", async () => {
    const config = await load(EVERYTHING);
    const shown = showConfig(config);
    expect(shown).not.toContain("hunter2");
    expect(shown).toContain("https://hooks.example/***");
    const again = await load(shown);
    expect(again.mirror).toEqual(config.mirror);
    expect(again.notify.map(({ on }) => on)).toEqual(config.notify.map(({ on }) => on));
    expect(showConfig(again).replace(/^#.*/, "")).toBe(shown.replace(/^#.*/, ""));
  });

  it("says of a list in a file of its own which one that is", async () => {
    const config = await load("mirror: ./m.yaml", {}, { "m.yaml": "- { source: ghcr.io/a/b }" });
    expect(showConfig(config)).toContain(`# mirror: ${config.mirror.file}\n`);
    expect(showConfig(config)).toContain("source: ghcr.io/a/b");
  });
});

describe("what is odd is warned about:", () => {
  it.each([
    ["sites: { quay.io: { onMissing: refuse } }", "sites.quay.io.onMissing: no entry of `mirror` is about it"],
    ["sites: { quay.io: { credentials: { tokenFile: ./t } } }", "sites.quay.io.credentials: clients pull with their own"],
    ["mirror: [{ source: docker.io }]", 'mirror "docker.io": registry-1.docker.io lists its repositories for nobody'],
    ["mirror: [{ source: quay.io/a/b, target: ghcr.io/a/b }]", 'mirror "quay.io/a/b": is pushed to ghcr.io as anybody'],
    ["defaults: { offline: true }\nmirror: [{ source: quay.io/a/b }]", 'mirror "quay.io/a/b": quay.io is `offline`'],
    ["notify: [{ url: 'https://a.example', secret: s }]", "notify.0.secret: a secret in the file itself; secretFile or"],
  ])("%s", async (yaml, warning) => {
    const { warnings } = await load(yaml, {}, { t: "token" });
    expect(warnings.filter((one) => one.includes(warning))).toHaveLength(1);
  });

  it.each([
    "sites: { quay.io: { onMissing: refuse, credentials: { tokenFile: ./t } } }\nmirror: [{ source: quay.io/a/b }]",
    "sites: { ghcr.io: { credentials: { tokenFile: ./t } } }\nmirror: [{ source: quay.io/a/b, target: ghcr.io/a/b }]",
    "mirror: [{ source: docker.io, repos: { only: library/node } }]",
    'sites: { "*.pkg.dev": { onMissing: refuse } }\nmirror: [{ source: eu.pkg.dev/a/b }]',
  ])("but not %s", async (yaml) => expect((await load(yaml, {}, { t: "token" })).warnings).toEqual([]));
});
