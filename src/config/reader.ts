// A process that reads the configuration, or the mirror's list alone, for the one that has started it (apart.ts), and ends when that has heard
// what it says.
import { siteTable } from "../sites.ts";
import { lastListIn } from "./last-list.ts";
import { ConfigError, loadConfig } from "./load.ts";
import { readMirrorFile } from "./mirror-file.ts";
import { type ListAsked, pack, type Reading, unpackSite } from "./packed.ts";

const read = async (work: () => Promise<Reading>): Promise<void> => {
  const reading = await work().catch((error: unknown): Reading => {
    if (error instanceof ConfigError) return { kind: "problems", problems: error.problems };
    return { kind: "failed", message: error instanceof Error ? error.message : String(error) };
  });
  process.send?.(reading, undefined, {}, () => undefined);
};

const whole = (file: string | undefined, mayListBeWrong: boolean) => async (): Promise<Reading> => ({
  kind: "config",
  config: pack(await loadConfig({ file, env: process.env, cwd: process.cwd(), mayListBeWrong, keepsList: true })),
});

const list =
  ({ file, sites, wildcards, excluded, data }: ListAsked) =>
  async (): Promise<Reading> => {
    const table = siteTable(sites.map(unpackSite), { wildcards: wildcards.map(unpackSite), excluded });
    const lookup = { sites: table, env: process.env, cwd: process.cwd(), keepAs: lastListIn(data) };
    return { kind: "mirror", mirror: await readMirrorFile(file, lookup) };
  };

process.channel?.ref(); // until the other end lets go of it
const [what, file] = process.argv.slice(2);
if (what === "list") process.once("message", (asked: ListAsked) => void read(list(asked)));
else await read(whole(file, what === "without-list"));
