// `layover export` and `layover import` as commands: what they say, where, and how they end.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { image, layout, multi } from "../bundle/layout.ts";
import { SITES } from "../suites/bundles.ts";
import { emptyFolder, layover, run } from "./command.ts";

const APP = "offline.test/acme/app:1";

const machine = (): string => {
  const cwd = emptyFolder();
  writeFileSync(join(cwd, "layover.yaml"), JSON.stringify({ data: "./data", sites: SITES }));
  return cwd;
};

describe("a bundle", () => {
  it("goes into a file and down a pipe, the same bytes, and out of both", async () => {
    const [near, far] = [machine(), machine()];
    const imported = await layover(["import", layout([[APP, image("one")]])], near);
    expect([imported.code, imported.stdout]).toEqual([0, expect.stringContaining(`${APP}  new`)]);
    expect(imported.stdout).toContain("offline.test: all who reach this Layover may read it");
    const exported = await layover(["export", APP, "-o", "bundle.tar", "--json"], near);
    expect(JSON.parse(exported.stdout)).toMatchObject({
      output: "bundle.tar",
      resumed: 0,
      roots: [{ reference: APP }],
      left: [],
    });
    const main = join(import.meta.dirname, "../../src/main.ts");
    const piped = `"${process.execPath}" "${main}" export ${APP} -o - > piped.tar && cmp piped.tar bundle.tar`;
    expect(await run("sh", ["-c", piped], "", { cwd: near })).toMatchObject({
      code: 0,
      stderr: expect.stringContaining("1 images"),
    });
    const through = `"${process.execPath}" "${main}" import - < ${join(near, "bundle.tar")}`;
    expect(await run("sh", ["-c", through], "", { cwd: far })).toMatchObject({ code: 0, stdout: expect.stringContaining("new") });
    const cut = readFileSync(join(near, "bundle.tar")).subarray(0, 4_000);
    writeFileSync(join(far, "cut.tar"), cut);
    expect(await layover(["import", "cut.tar"], far)).toMatchObject({ code: 1, stderr: expect.stringContaining("not whole") });
  });

  it("of what is not held is refused, as is what is no bundle, and wrong usage", async () => {
    const cwd = machine();
    await layover(["import", layout([[`${APP}`, multi("sparse", true)]])], cwd);
    const wanting = await layover(["export", APP, "offline.test/acme/none:1", "-o", "x.tar"], cwd);
    expect(wanting).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringMatching(/none:1: it is not held.*no Layover runs/),
    });
    const sparse = await layover(["export", APP, "-o", "x.tar"], cwd);
    expect(sparse).toMatchObject({ code: 0, stdout: expect.stringContaining("left out: linux/arm64") });
    expect(await layover(["export", APP], cwd)).toMatchObject({ code: 1, stderr: expect.stringContaining("--output") });
    expect(await layover(["export", "elsewhere.test/a:1", "-o", "y.tar"], cwd)).toMatchObject({ code: 2 });
    expect(await layover(["import", "nothing.tar"], cwd)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("cannot read"),
    });
    expect(await layover(["import", "layover.yaml"], cwd)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("no tar archive"),
    });
    expect(await layover(["import", "x.tar", "--as", "elsewhere.test/a:1"], cwd)).toMatchObject({ code: 2 });
  });

  it("whose tag is held ends with 1", async () => {
    const cwd = machine();
    const pinned = "online.test/acme/pinned:1";
    await layover(["import", layout([[pinned, image("one")]])], cwd);
    const held = await layover(["import", layout([[pinned, image("two")]])], cwd);
    expect([held.code, held.stdout]).toEqual([1, expect.stringContaining(`${pinned}  held: a rule of this site pins it`)]);
  });

  it("does nothing to the terminal of whoever imports it", async () => {
    const named = await layover(["import", layout([["\u001b]0;owned\u0007\u001b[2J1", image("one")]])], machine());
    expect(named).toMatchObject({ code: 1, stderr: expect.stringContaining("which registry's") });
    expect(named.stderr).not.toMatch(/[^\P{C}\n]/u);
  });
});
