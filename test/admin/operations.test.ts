import { join } from "node:path";
import { describe, onTestFinished } from "vitest";
import { remoteOperations } from "../../src/admin/remote.ts";
import { openAlone } from "../../src/app-alone.ts";
import { loadConfig } from "../../src/config/load.ts";
import { emptyFolder } from "../cli/command.ts";
import { Front } from "../front.ts";
import { operationsSuite } from "../suites/operations.ts";
import { tokenOf, urlOf } from "./asking.ts";
import { stock } from "./stock.ts";

describe("a server", () => {
  operationsSuite(async () => {
    const front = new Front("http://127.0.0.1:9", {});
    await stock(front.folder);
    await front.start();
    return remoteOperations({ url: new URL(urlOf(front)), token: tokenOf(front) });
  });
});

describe("the store alone", () => {
  operationsSuite(async () => {
    const folder = emptyFolder();
    await stock(folder);
    const config = await loadConfig({ file: undefined, env: { LAYOVER_DATA: join(folder, "data") }, cwd: folder });
    const alone = await openAlone(config);
    onTestFinished(() => alone.close());
    return alone.operations;
  });
});
