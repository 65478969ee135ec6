// `layover mirror import` as people run it: what it writes where, what it tells, and what it ends with.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { emptyFolder, layover } from "./command.ts";

const REGSYNC = `version: 1
creds:
  - { registry: "registry:5000", tls: disabled, user: me, pass: hunter2 }
defaults: { interval: 60m }
sync:
  - { type: image, source: "busybox:latest", target: "registry:5000/library/busybox:latest" }
`;

const folderWith = (files: Record<string, string>): string => {
  const folder = emptyFolder();
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
};

describe("layover mirror import", () => {
  it("writes a whole configuration, which is accepted once its secret is there", async () => {
    const folder = folderWith({ "regsync.yml": REGSYNC });
    const { code, stdout, stderr } = await layover(["mirror", "import", "regsync.yml"], folder);
    expect(code).toBe(0);
    expect(stdout + stderr).not.toContain("hunter2");
    expect(stderr).toMatch(/^regsync\.yml:3:\d+ creds\.0\.pass: a secret in the file itself.*REGISTRY_5000_PASSWORD/m);
    expect(stderr).toContain("1 of 1 steps became one entry; what is not as it was stands above");
    writeFileSync(join(folder, "layover.yaml"), stdout);
    const checked = await layover(["config", "check"], folder, { REGISTRY_5000_PASSWORD: "x" });
    expect(checked).toMatchObject({ code: 0, stdout: expect.stringContaining("; mirrors one entry\n") as string });
  });

  it("writes the list into a file of its own, never over another", async () => {
    const folder = folderWith({ "regsync.yml": REGSYNC });
    const args = ["mirror", "import", "regsync.yml", "-o", "mirror.yaml"];
    const first = await layover(args, folder);
    expect(first.code).toBe(0);
    expect(parse(first.stdout)).toMatchObject({
      sites: { registry: { upstream: "http://registry:5000" } },
      mirror: "./mirror.yaml",
    });
    expect(parse(readFileSync(join(folder, "mirror.yaml"), "utf8"))).toMatchObject({
      entries: [{ target: expect.anything() as string }],
    });
    expect(await layover(args, folder)).toMatchObject({
      code: 2,
      stderr: "mirror.yaml: is there already, and is not written over\n",
    });
    writeFileSync(join(folder, "layover.yaml"), first.stdout);
    const checked = await layover(["config", "check"], folder, { REGISTRY_5000_PASSWORD: "x" });
    expect(checked).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(`mirrors one entry of ${folder}/mirror.yaml`) as string,
    });
  });

  it("ends with 1 when a step is left behind, and 2 when there is nothing to read", async () => {
    const folder = folderWith({
      "regsync.yml": `${REGSYNC}  - { type: image, source: "ocidir:///x", target: "registry:5000/x" }\n`,
      "other.yml": "kind: ConfigMap",
    });
    const partly = await layover(["mirror", "import", "regsync.yml", "--in-place"], folder);
    expect(partly.code).toBe(1);
    expect(partly.stderr).toMatch(/^regsync\.yml:7:\d+ sync\.1\.source: not carried over: a folder is no registry/m);
    expect(parse(partly.stdout)).toMatchObject({ mirror: { entries: [{ source: "docker.io/library/busybox:latest" }] } });
    expect(await layover(["mirror", "import", "other.yml"], folder)).toMatchObject({ code: 2, stdout: "" });
    expect(await layover(["mirror", "import", "nowhere.yml"], folder)).toMatchObject({
      code: 2,
      stderr: "nowhere.yml: there is no such file\n",
    });
  });
});
