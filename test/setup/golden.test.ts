// What is printed for each client and door, whole: golden files. And that nothing that a configuration may say makes another script of it.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { CLIENT_NAMES, CLIENTS, planOf } from "../../src/setup/clients.ts";
import { scriptOf, undoScript } from "../../src/setup/script.ts";
import { checked, type Setup } from "../../src/setup/setup.ts";
import type { Door, Step } from "../../src/setup/step.ts";
import { textOf } from "../../src/setup/text.ts";
import { run } from "../cli/command.ts";
import { hostOf, one, SETUP, SHELLS, scriptFor, sh, two } from "./host.ts";

const PAIRS = CLIENT_NAMES.flatMap((name) => (Object.keys(CLIENTS[name].doors) as Door[]).map((door) => ({ name, door })));

const PYTHON = ["/usr/bin/python3", "/usr/local/bin/python3"].find((file) => existsSync(file));
const READ_TOML = "import json, sys, tomllib; json.dump(tomllib.loads(sys.stdin.read()), sys.stdout)";

/** By a parser that is not ours; `undefined` on a machine without one. */
const parseToml = (text: string): unknown => {
  if (PYTHON === undefined) return undefined;
  const { status, stdout, stderr } = spawnSync(PYTHON, ["-c", READ_TOML], { input: text, encoding: "utf8" });
  if (stderr.includes("No module named")) return undefined;
  if (status !== 0) throw new Error(`${stderr}in:\n${text}`);
  return JSON.parse(stdout);
};
const hasToml = parseToml("") !== undefined;

/** Keys are new in every run. */
const steady = (text: string): string =>
  text
    .replaceAll(one.certificate.fingerprint256, "<fingerprint 1>")
    .replaceAll(two.certificate.fingerprint256, "<fingerprint 2>")
    .replaceAll(/-----BEGIN CERTIFICATE-----\n[^-]+-----END CERTIFICATE-----/g, "<certificate>")
    .replaceAll(/(layover\/ca: )"[0-9a-f]{16}"/g, '$1"<hash>"');

describe.each(PAIRS)("$name by the $door door", ({ name, door }) => {
  const plan = planOf(name, SETUP);
  it("is said as it should be", async () => {
    await expect(steady(textOf(name, plan, door, SETUP))).toMatchFileSnapshot(`golden/${name}.${door}.txt`);
  });

  it("has files that programs can read", () => {
    for (const step of plan.plans[door]!) readable(step);
  });
});

describe.each(CLIENT_NAMES)("the script for %s", (name) => {
  it("is as it should be, but for what is the same in each", async () => {
    const [own = ""] = scriptFor(name).split("\n# The system's own certificate store");
    await expect(steady(own)).toMatchFileSnapshot(`golden/${name}.sh`);
  });

  it("passes shellcheck where that is installed", (context) => {
    const tool = ["/usr/bin/shellcheck", "/usr/local/bin/shellcheck"].find((file) => existsSync(file));
    if (tool === undefined) return context.skip();
    for (const script of [scriptFor(name), undoScript(name)])
      execFileSync(tool, ["-s", "sh", "-S", "warning", "-e", "SC2034", "-"], { input: script });
  });
});

/** Files and what is shown, by the parser that their names ask for. */
const readable = (step: Step): void => {
  if (step.do === "file" || step.do === "shared") readAs(step.path, step.content);
  if (step.do === "shared" && step.add !== undefined && step.path.endsWith(".yaml")) readAs(step.path, step.add);
  if (step.do === "show" && /^(apiVersion|jobs|services):/.test(step.content)) readAs(".yaml", step.content);
  if (step.do === "show" && step.content.startsWith("[[")) readAs(".toml", step.content);
};

const readAs = (path: string, content: string): void => {
  if (/\.(toml|conf)$/.test(path) && !path.startsWith("/etc/systemd/")) {
    if (hasToml) expect(parseToml(content)).not.toEqual({});
  } else if (path.endsWith(".json")) expect(JSON.parse(content)).toBeTypeOf("object");
  else if (path.endsWith(".yaml")) {
    for (const document of parseAllDocuments(content)) {
      expect(document.errors).toEqual([]);
      expect(document.toJS()).toBeTypeOf("object");
    }
  }
};

describe("what the files say", () => {
  const contentOf = (name: keyof typeof CLIENTS, door: Door, path: string): string => {
    const found = planOf(name, SETUP).plans[door]!.find((step) => "path" in step && step.path === path);
    if (found === undefined || !("content" in found)) throw new Error(`no ${path}`);
    return found.content;
  };

  it.runIf(hasToml)("names Layover first for each registry, for tags too, in a hosts.toml", () => {
    expect(parseToml(contentOf("containerd", "mirror", "/etc/containerd/certs.d/docker.io/hosts.toml"))).toEqual({
      server: "https://registry-1.docker.io",
      host: { "https://layover": { capabilities: ["pull", "resolve"], ca: "layover.crt" } },
    });
  });

  it.runIf(hasToml)("says which registry is meant by the path, in a registries.conf", () => {
    expect(parseToml(contentOf("podman", "mirror", "/etc/containers/registries.conf.d/50-layover.conf"))).toEqual({
      registry: ["docker.io", "ghcr.io"].map((name) => ({
        prefix: name,
        location: name,
        mirror: [{ location: `layover/${name}` }],
      })),
    });
  });

  it.runIf(hasToml)("gives BuildKit the mirror, and the mirror its CA", () => {
    expect(parseToml(contentOf("buildkit", "mirror", "/etc/buildkit/buildkitd.toml"))).toEqual({
      registry: {
        "docker.io": { mirrors: ["layover"] },
        "ghcr.io": { mirrors: ["layover"] },
        layover: { ca: ["/etc/buildkit/layover.crt"] },
      },
    });
  });

  it("gives k3s endpoints and the CA for them", () => {
    const [document] = parseAllDocuments(contentOf("k3s", "mirror", "/etc/rancher/k3s/registries.yaml"));
    expect(document!.toJS()).toEqual({
      mirrors: { "docker.io": { endpoint: ["https://layover"] }, "ghcr.io": { endpoint: ["https://layover"] } },
      configs: { layover: { tls: { ca_file: "/etc/rancher/k3s/layover.crt" } } },
    });
  });

  it("gives kaniko's pod the CA as YAML reads it", () => {
    const [map, pod] = planOf("kaniko", SETUP).plans.mirror!.filter((step) => step.do === "show");
    expect(parseAllDocuments(map!.content)[0]!.toJS().data).toEqual({ "layover.crt": SETUP.ca });
    expect(parseAllDocuments(pod!.content)[0]!.toJS().spec.containers[0].args).toContain(
      "--registry-map=ghcr.io=layover/ghcr.io",
    );
  });

  it("leaves out the Hub's traps without the Hub, curl without a door, and doors that are shut", () => {
    const bare: Setup = { ...SETUP, names: ["ghcr.io"], passed: [], url: undefined, mirror: undefined, proxy: undefined };
    expect(Object.keys(planOf("docker", bare).plans)).toEqual(["hijack"]);
    const text = textOf("docker", planOf("docker", bare), "hijack", bare);
    for (const word of ["classic", "curl", "docker.io", "--door"]) expect(text).not.toContain(word);
  });

  it("takes names below a suffix for DNS, and makes no folder for them", () => {
    const wild: Setup = { ...SETUP, names: ["ghcr.io", "*.pkg.example"] };
    const script = scriptOf("docker", planOf("docker", wild), wild);
    expect(script).toContain("asked='ghcr.io pkg.example auth.docker.io'");
    expect(script).not.toContain("certs.d/*");
  });
});

const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?$/);
const name = fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join("."));
const port = fc.integer({ min: 1, max: 65_535 });
const address = fc.oneof(fc.ipV4(), fc.ipV6());
const legal: fc.Arbitrary<Setup> = fc.record({
  names: fc.array(
    fc.oneof(
      name,
      name.map((suffix) => `*.${suffix}`),
      fc.constant("registry-1.docker.io"),
    ),
    { minLength: 1, maxLength: 4 },
  ),
  passed: fc.array(name, { maxLength: 2 }),
  dns: fc.record({ host: address, port }),
  answer: fc.array(address, { minLength: 1, maxLength: 2 }),
  mirror: fc.option(fc.record({ name, port }), { nil: undefined }),
  proxy: fc.option(fc.record({ host: address, port }), { nil: undefined }),
  ca: fc.constant(SETUP.ca),
  fingerprints: fc.constant(SETUP.fingerprints),
  url: fc.option(fc.webUrl(), { nil: undefined }),
});

describe("any configuration", () => {
  it.each(SHELLS.length === 0 ? [["sh"]] : SHELLS)(
    "makes scripts that %s can read, and that take nothing for code",
    async (...shell) => {
      const [command = "sh", ...first] = shell;
      await fc.assert(
        fc.asyncProperty(legal, fc.constantFrom(...CLIENT_NAMES), async (setup, client) => {
          const plans = planOrNone(client, setup);
          if (plans === undefined) return;
          const script = scriptOf(client, plans, setup);
          expect(await run(command, [...first, "-n"], script)).toEqual({ code: 0, stdout: "", stderr: "" });
          for (const door of Object.keys(plans.plans) as Door[]) textOf(client, plans, door, setup);
        }),
        { numRuns: 25 },
      );
    },
  );

  it("is refused where it is none: nothing of a stranger's gets in", () => {
    const hostile = fc.string({ minLength: 1 }).filter((text) => !/^(\*\.)?[a-z0-9._-]+$/.test(text));
    fc.assert(
      fc.property(hostile, fc.constantFrom("names", "mirror", "proxy", "dns", "answer", "fingerprints"), (text, key) => {
        const wrong = {
          names: { names: [text] },
          mirror: { mirror: { name: text, port: 443 } },
          proxy: { proxy: { host: text, port: 1 } },
          dns: { dns: { host: text, port: 53 } },
          answer: { answer: [text] },
          fingerprints: { fingerprints: [text, SETUP.fingerprints[1]!] },
        }[key]!;
        fc.pre(!/^[0-9a-f.:]+(%.*)?$/i.test(text)); // an address, perhaps
        expect(() => checked({ ...SETUP, ...wrong })).toThrow(/^(not an? |expected)/);
      }),
    );
  });

  it("keeps quotes, backslashes and dollars of a path as they are", async () => {
    const odd = "a'b\\c$(touch HERE)`touch HERE`\"d";
    const root = hostOf({});
    const plan = { title: odd, plans: { hijack: [{ do: "file" as const, path: `/etc/x ${odd}`, content: `${odd}\n$HOME\n` }] } };
    const { code, stderr } = await sh(scriptOf("odd", plan, undefined), ["--root", root]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(readFileSync(`${root}/etc/x ${odd}`, "utf8")).toBe(`${odd}\n$HOME\n`);
    expect(existsSync(`${root}/HERE`) || existsSync("HERE")).toBe(false);
    expect((await sh(undoScript("odd"), ["--undo", "--root", root])).code).toBe(0);
    expect(existsSync(`${root}/etc`)).toBe(false);
  });
});

const planOrNone = (client: (typeof CLIENT_NAMES)[number], setup: Setup) => {
  const isShut = setup.mirror === undefined && Object.keys(CLIENTS[client].doors).join() === "mirror";
  return isShut ? undefined : planOf(client, setup);
};
