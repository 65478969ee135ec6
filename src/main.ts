// argv → command. Commands register themselves; what they need is imported when they run, so that `serve` starts fast.
import { Command } from "commander";
import { bypassCommand } from "./cli/bypass.ts";
import { caCommand } from "./cli/ca.ts";
import { cacheCommand } from "./cli/cache.ts";
import { configCommand } from "./cli/config.ts";
import { demoCommand } from "./cli/demo.ts";
import { doctorCommand } from "./cli/doctor.ts";
import { explainCommand } from "./cli/explain.ts";
import { exportCommand } from "./cli/export.ts";
import { healthCommand } from "./cli/health.ts";
import { importCommand } from "./cli/import.ts";
import { mirrorCommand } from "./cli/mirror.ts";
import { refreshCommand } from "./cli/refresh.ts";
import { serveCommand } from "./cli/serve.ts";
import { setupCommand } from "./cli/setup.ts";
import { statusCommand } from "./cli/status.ts";
import { tagsCommand } from "./cli/tags.ts";
import { warmCommand } from "./cli/warm.ts";

const program = new Command("layover").description(
  "Makes every container pull local: DNS and TLS under the registries' own names.",
);
// 2 is wrong usage, for scripts to tell from work that has failed
program.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2));
const commands = [
  serveCommand,
  configCommand,
  caCommand,
  setupCommand,
  doctorCommand,
  healthCommand,
  statusCommand,
  bypassCommand,
  cacheCommand,
  tagsCommand,
  explainCommand,
  mirrorCommand,
  warmCommand,
  refreshCommand,
  exportCommand,
  importCommand,
  demoCommand,
];
for (const register of commands) register(program);
await program.parseAsync();
