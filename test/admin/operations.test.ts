import { join } from "node:path";
import { describe, onTestFinished } from "vitest";
import type { Operations } from "../../src/admin/operations.ts";
import { remoteOperations } from "../../src/admin/remote.ts";
import { openAlone } from "../../src/app-alone.ts";
import { loadConfig } from "../../src/config/load.ts";
import { emptyFolder } from "../cli/command.ts";
import { Front } from "../front.ts";
import { operationsSuite } from "../suites/operations.ts";
import { tagOperationsSuite } from "../suites/tag-operations.ts";
import { tokenOf, urlOf } from "./asking.ts";
import { stock } from "./stock.ts";
import { stockTags } from "./stock-tags.ts";

describe("a server", () => {
  operationsSuite(() => served(stock));
  tagOperationsSuite(() => served(stockTags));
});

describe("the store alone", () => {
  operationsSuite(() => alone(stock));
  tagOperationsSuite(() => alone(stockTags));
});

type Stock = (folder: string) => Promise<void>;

const served = async (fill: Stock): Promise<Operations> => {
  const front = new Front("http://127.0.0.1:9", {});
  await fill(front.folder);
  await front.start();
  return remoteOperations({ url: new URL(urlOf(front)), token: tokenOf(front) });
};

const alone = async (fill: Stock): Promise<Operations> => {
  const folder = emptyFolder();
  await fill(folder);
  const config = await loadConfig({ file: undefined, env: { LAYOVER_DATA: join(folder, "data") }, cwd: folder });
  const opened = await openAlone(config);
  onTestFinished(() => opened.close());
  return opened.operations;
};
