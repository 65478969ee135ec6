// A hosted site's settings: what it must have, and what only a site with an upstream can mean.
import type { MergedSite } from "./builtin.ts";
import type { Files } from "./files.ts";
import type { Problem } from "./problems.ts";
import type { SiteSettings } from "./schema.ts";

/** Which sites a key is about. Nothing that is hosted comes from anywhere else, is ever stale, or is asked about. */
const ABOUT = {
  kind: "all",
  aliases: "all",
  upstream: "upstream",
  concurrency: "upstream",
  access: "all",
  credentials: "upstream",
  realms: "upstream",
  tokenKeys: "upstream",
  trust: "upstream",
  clientCertificate: "upstream",
  httpProxy: "upstream",
  users: "local",
  allow: "all",
  onMissing: "upstream",
  onGone: "upstream",
  readOnly: "all",
  offline: "upstream",
  failOpen: "upstream",
  rules: "all",
  freshFor: "upstream",
  staleWhileRevalidate: "upstream",
  staleIfError: "upstream",
  grantFor: "upstream",
  publicFor: "upstream",
  staleAccess: "upstream",
} as const satisfies Record<keyof SiteSettings, "all" | "upstream" | "local">;

const OF_UPSTREAMS = (Object.keys(ABOUT) as (keyof SiteSettings)[]).filter((key) => ABOUT[key] === "upstream");

/** What is wrong is given to `report`. The absolute path of the users' file; `undefined`: everybody may use it. */
export const usersOf = async (
  merged: MergedSite,
  files: Files,
  report: (problem: Problem) => void,
): Promise<string | undefined> => {
  const { settings } = merged;
  for (const problem of settings.kind === "local" ? localProblems(merged) : upstreamProblems(merged)) report(problem);
  if (settings.kind !== "local" || settings.users === undefined) return undefined;
  return files.users(settings.users, merged.at("users"));
};

/** Whether the site itself says so, and not the defaults for all. */
const isOwn = (merged: MergedSite, key: keyof SiteSettings): boolean =>
  merged.settings[key] !== undefined && merged.at(key)[0] === "sites";

const localProblems = (merged: MergedSite): Problem[] => {
  const { settings } = merged;
  const problems = OF_UPSTREAMS.filter((key) => isOwn(merged, key) && settings[key] !== false).map((key) => ({
    path: merged.at(key),
    text: "a site of `kind: local` has no upstream that this could be about",
  }));
  if (isOwn(merged, "access") && settings.access !== "anonymous")
    problems.push({
      path: merged.at("access"),
      text: "a site of `kind: local` has users of its own: `users: FILE`, or `access: anonymous`",
    });
  const isOpen = settings.access === "anonymous";
  if (settings.users === undefined && !isOpen)
    problems.push({
      path: merged.at("kind"),
      text: "who may use it? `users: FILE` names an htpasswd file (`htpasswd -B -c FILE NAME`); `access: anonymous` lets in all who reach it",
    });
  if (settings.users !== undefined && isOpen)
    problems.push({ path: merged.at("users"), text: "`access: anonymous` lets in everybody: leave out one of the two" });
  return problems;
};

const upstreamProblems = (merged: MergedSite): Problem[] => [
  ...(isOwn(merged, "users") ? [{ path: merged.at("users"), text: "only a site of `kind: local` has users of its own" }] : []),
  ...(merged.settings.access === "anonymous"
    ? [{ path: merged.at("access"), text: "only for a site of `kind: local`; here it is client or shared" }]
    : []),
];
