// Export and import through a server and on the store alone.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, onTestFinished } from "vitest";
import { remoteOperations } from "../../src/admin/remote.ts";
import { remoteContent } from "../../src/admin/remote-content.ts";
import { openAlone } from "../../src/app-alone.ts";
import { loadConfig } from "../../src/config/load.ts";
import { emptyFolder } from "../cli/command.ts";
import { Front } from "../front.ts";
import { bundlesSuite, SITES } from "../suites/bundles.ts";
import { tokenOf, urlOf } from "./asking.ts";

describe("a server", () => {
  bundlesSuite(async () => {
    const front = new Front("http://127.0.0.1:9", {}, SITES);
    await front.start();
    const server = { url: new URL(urlOf(front)), token: tokenOf(front) };
    return { ...remoteOperations(server), content: remoteContent(server) };
  });
});

describe("the store alone", () => {
  bundlesSuite(async () => {
    const folder = emptyFolder();
    writeFileSync(join(folder, "layover.yaml"), JSON.stringify({ data: "./data", sites: SITES }));
    const config = await loadConfig({ file: join(folder, "layover.yaml"), env: {}, cwd: folder });
    const alone = await openAlone(config, { isNew: true });
    onTestFinished(() => alone.close());
    return alone.operations;
  });
});
