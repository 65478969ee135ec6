// The configuration, read by a process that ends with that: what parses YAML and checks settings is 8 MB which a server would
// hold for ever, for nothing. (A thread in its place leaves more behind than it saves.)
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { MirrorConfig } from "../mirrors.ts";
import type { Config } from "./config.ts";
import { packList, type Reading, unpack } from "./packed.ts";
import { ConfigError } from "./problems.ts";

const READER = fileURLToPath(new URL("./reader.ts", import.meta.url));
/** A signal to end that the reader got is one that we get as well. */
const ENDS: readonly unknown[] = ["SIGINT", "SIGTERM"];

/** What `loadConfig` gives and throws, in this process's folder and environment; undefined where the end comes first. */
export const loadApart = async (
  file: string | undefined,
  over: Promise<void>,
  { mayListBeWrong = false } = {},
): Promise<Config | undefined> => {
  const what = mayListBeWrong ? "without-list" : "config";
  const reading = await readApart([what, ...(file === undefined ? [] : [file])], over, () => undefined);
  return reading?.kind === "config" ? unpack(reading.config) : undefined;
};

/** What `readMirrorFile` gives and throws; undefined where the end comes first. */
export const mirrorApart = async (
  file: string,
  sites: Pick<Config, "sites" | "wildcards" | "excluded" | "data">,
  over: Promise<void>,
): Promise<MirrorConfig | undefined> => {
  const reading = await readApart(["list"], over, (reader) => void reader.send(packList(file, sites), () => undefined));
  return reading?.kind === "mirror" ? reading.mirror : undefined;
};

type Read = Extract<Reading, { kind: "config" | "mirror" }>;

const readApart = (
  asked: readonly string[],
  over: Promise<void>,
  begun: (reader: ChildProcess) => void,
): Promise<Read | undefined> =>
  new Promise((resolve, reject) => {
    const reader = fork(READER, asked, { serialization: "advanced" });
    reader.once("error", reject);
    reader.once("message", (reading: Reading) => {
      reader.disconnect();
      if (reading.kind === "config" || reading.kind === "mirror") resolve(reading);
      else reject(reading.kind === "problems" ? new ConfigError(reading.problems) : new Error(reading.message));
    });
    reader.once("exit", (code, signal) => {
      if (ENDS.includes(signal)) resolve(undefined);
      else reject(new Error(`the configuration could not be read: its reader ended with ${signal ?? code}`));
    });
    void over.then(() => {
      reader.kill("SIGKILL");
      resolve(undefined);
    });
    begun(reader);
  });
