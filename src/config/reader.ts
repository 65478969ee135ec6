// A process that reads the configuration for the one that has started it (apart.ts), and ends when that has heard what it says.
import { ConfigError, loadConfig } from "./load.ts";
import { pack, type Reading } from "./packed.ts";

const read = async (file: string | undefined): Promise<Reading> => {
  try {
    return { kind: "config", config: pack(await loadConfig({ file, env: process.env, cwd: process.cwd() })) };
  } catch (error) {
    if (error instanceof ConfigError) return { kind: "problems", problems: error.problems };
    return { kind: "failed", message: error instanceof Error ? error.message : String(error) };
  }
};

process.channel?.ref(); // until the other end lets go of it
const reading = await read(process.argv[2]);
process.send?.(reading, undefined, {}, () => undefined);
