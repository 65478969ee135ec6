// What the CA is asked to speak for, out of the configuration: for the server, and for the commands that work on the same files.
import { hostname } from "node:os";
import type { Config } from "./config/config.ts";
import { systemClock } from "./lib/clock.ts";
import type { CaOptions } from "./tls/plan.ts";

export const caOptions = ({ ca, sites, wildcards, names }: Config): CaOptions => ({
  certificateFile: ca.certificate,
  keyFile: ca.key,
  names: [...sites.flatMap((site) => site.hijackNames), ...wildcards.map((site) => site.host), ...names],
  constraints: ca.constraints,
  clock: systemClock,
  hostname: hostname(),
});
