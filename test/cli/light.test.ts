// What the command line loads before it knows what to do is paid by every start, and kept by the process that owns DNS.
import { join } from "node:path";
import { expect, it } from "vitest";
import { emptyFolder, run } from "./command.ts";

const MAIN = join(import.meta.dirname, "../../src/main.ts");
const HEAVY = ["http", "https", "http2", "tls", "crypto"];

it("loads neither HTTP nor TLS for the sake of commands that were not given", async () => {
  const program = `
    process.on("exit", () => process.stderr.write(JSON.stringify(process.moduleLoadList)));
    process.argv = [process.execPath, "layover", "--help"];
    await import(${JSON.stringify(MAIN)});`;
  const { stderr, stdout } = await run(process.execPath, ["--input-type=module", "--eval", program], "", { cwd: emptyFolder() });
  expect(stdout).toContain("start the appliance");
  const loaded = new Set(JSON.parse(stderr) as string[]);
  expect(HEAVY.filter((name) => loaded.has(`NativeModule ${name}`))).toEqual([]);
});
