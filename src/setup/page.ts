// The set-up kit over HTTP: /setup lists it, /setup/<client> is the script, /setup/<client>.txt the same to read (?door=).
import { CLIENT_NAMES, CLIENTS, isClient, planOf } from "./clients.ts";
import { scriptOf } from "./script.ts";
import type { Setup } from "./setup.ts";
import type { Door } from "./step.ts";
import { textOf } from "./text.ts";

export interface SetupPage {
  readonly isScript: boolean;
  readonly body: string;
}

/** `undefined` for what there is no page of. Throws Error for a set-up that cannot be. */
export const setupPage = (path: string, door: string | null, setup: Setup): SetupPage | undefined => {
  if (path === "/setup" || path === "/setup/") return { isScript: false, body: list(setup) };
  const [, name = "", asText] = /^\/setup\/([a-z0-9-]+)(\.txt)?$/.exec(path) ?? [];
  if (!isClient(name)) return undefined;
  const plan = planOf(name, setup);
  if (asText === undefined) return { isScript: true, body: scriptOf(name, plan, setup) };
  const wanted = (door ?? Object.keys(plan.plans)[0]!) as Door;
  if (!Object.hasOwn(plan.plans, wanted)) return undefined;
  return { isScript: false, body: textOf(name, plan, wanted, setup) };
};

const list = ({ url = "" }: Setup): string =>
  [
    "Point a client at Layover: read the script, then run it as root (compare the fingerprint that it shows with `layover ca show`):",
    ...CLIENT_NAMES.map((name) => `  ${`curl -fsS ${url}/setup/${name}`.padEnd(url.length + 32)}${CLIENTS[name].title}`),
    "",
    "With .txt behind the name: what it does, to read. Undo: the same script with `| sh -s -- --undo`.",
    "",
  ].join("\n");
