import { describe, expect, it } from "vitest";
import { load, problems } from "./folder.ts";

const hosts = async (...args: Parameters<typeof load>) => (await load(...args)).sites.map((site) => site.host);

describe("LAYOVER_ variables", () => {
  it("set top-level keys, and keys within sections, over the file's", async () => {
    const config = await load("answer: 10.0.0.1\nlisten: { dns: 127.0.0.1:53, http: 127.0.0.1:80 }", {
      LAYOVER_ANSWER: "10.0.0.2, 10.0.0.3",
      LAYOVER_LISTEN_HTTPS: "[::]:443,0.0.0.0:8443",
      LAYOVER_LISTEN_HTTP: "[]",
      LAYOVER_HIJACK_FOR: "10.0.0.0/8",
      LAYOVER_MAXSIZE: "5GiB",
      LAYOVER_CA_CONSTRAINTS: "none",
      LAYOVER_LOG_LEVEL: "debug",
      LAYOVER_DEFAULTS_OFFLINE: "true",
      LAYOVER_NAME: "",
    });
    expect(config).toMatchObject({
      answer: ["10.0.0.2", "10.0.0.3"],
      hijackFor: ["10.0.0.0/8"],
      maxSize: 5 * 2 ** 30,
      ca: { constraints: "none" },
      log: { level: "debug" },
      names: ["layover"],
      warnings: [],
    });
    expect(config.listen).toMatchObject({
      dns: [{ host: "127.0.0.1", port: 53 }],
      https: [
        { host: "::", port: 443 },
        { host: "0.0.0.0", port: 8443 },
      ],
      http: [],
    });
    expect(config.sites.every((site) => site.offline)).toBe(true);
  });

  it("give whole sections as JSON or YAML", async () => {
    expect(await hosts("sites: { quay.io: false }", { LAYOVER_SITES: "{ghcr.io: false, x.example: {}}" })).toEqual(
      expect.arrayContaining(["quay.io", "x.example"]),
    );
    const config = await load(undefined, { LAYOVER_LISTEN: '{"dns": [], "http": []}', LAYOVER_LISTEN_HTTP: "127.0.0.1:8080" });
    expect(config.listen).toMatchObject({ dns: [], http: [{ host: "127.0.0.1", port: 8080 }] });
  });

  it("are named in errors", async () => {
    expect(await problems("name: x", { LAYOVER_LISTEN_HTTPS: "443" })).toEqual([
      'environment LAYOVER_LISTEN_HTTPS listen.https.0: expected ip:port or [ipv6]:port, found "443"',
    ]);
    expect(await problems(undefined, { LAYOVER_SITES: "{ghcr.io: {acces: shared}}" })).toEqual([
      "environment LAYOVER_SITES sites.ghcr.io.acces: unknown key; did you mean access?",
    ]);
  });

  it("are warned about when unknown, but not Kubernetes' and the tests' own", async () => {
    const { warnings } = await load(undefined, {
      LAYOVER_ANSER: "1",
      LAYOVER_PORT: "tcp://10.0.0.1:53",
      LAYOVER_PORT_53_UDP_ADDR: "10.0.0.1",
      LAYOVER_SERVICE_HOST: "10.0.0.1",
      LAYOVER_LAB: "/lab",
      OTHER: "1",
    });
    expect(warnings).toEqual(["LAYOVER_ANSER is set, but no such key exists; did you mean LAYOVER_ANSWER?"]);
  });
});

const ref = (name: string) => `$\{${name}}`;

describe("variables within values", () => {
  it("are filled in anywhere, also in the middle", async () => {
    const config = await load(`name: ["${ref("A")}", "${ref("A")}.${ref("B")}"]\ndata: ./${ref("B")}`, { A: "one", B: "two" });
    expect(config.names).toEqual(["one", "one.two"]);
    expect(config.data).toMatch(/\/two$/);
  });

  it("stay literal after a second dollar, and are not filled in twice", async () => {
    const config = await load(`data: ./$${ref("A")}\nca:\n  key: ./${ref("A")}`, { A: ref("B"), B: "no" });
    expect(config.data).toMatch(/\/\$\{A\}$/);
    expect(config.ca.key).toMatch(/\/\$\{B\}$/);
  });

  it("need quotes within braces, which is said", async () => {
    expect(await problems(`ca: { key: ${ref("A")}, certificate: x }`)).toEqual([
      expect.stringMatching(/^layover\.yaml:1:13 not valid YAML: .*quote it/),
    ]);
  });

  it("must be there", async () => {
    expect(await problems(`data: ${ref("NOPE")}\nanswer: ${ref("NOR")}`)).toEqual([
      'layover.yaml:1:1 data: the environment has no "NOPE", which the value names',
      'layover.yaml:2:1 answer: the environment has no "NOR", which the value names',
      `layover.yaml:2:1 answer.0: expected "auto" or an address that clients can reach, found "${ref("NOR")}"`,
    ]);
  });
});
