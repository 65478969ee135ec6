// File and environment → the effective configuration, or every problem at once with its place.
import type { MirrorConfig } from "../mirrors.ts";
import { type Sites, siteTable } from "../sites.ts";
import { answersOf } from "./answers.ts";
import { type MergedSite, mergeSites } from "./builtin.ts";
import type { Config } from "./config.ts";
import { clashingDoors, clashingNames, clashingPassthrough, oddSites } from "./crosscheck.ts";
import { interpolate, type Overlay, overlayEnvironment } from "./environment.ts";
import { type Files, filesIn } from "./files.ts";
import { lastListIn } from "./last-list.ts";
import { entriesOf } from "./mirror.ts";
import { readLastList, readMirrorFile } from "./mirror-file.ts";
import { notifyOf } from "./notify.ts";
import { withoutNulls } from "./nulls.ts";
import { emptySites, oddEntries } from "./odd-mirror.ts";
import { oddRules } from "./odd-rules.ts";
import { ConfigError, type KeyPath, type Problem, problemsOf, valueAt } from "./problems.ts";
import { homeless, ownResolvers, resolversOf } from "./resolvers.ts";
import { type Settings, settings } from "./schema.ts";
import { buildSite } from "./sites.ts";
import { type Lookup, readSource, type Source } from "./source.ts";
import { unavailable } from "./unavailable.ts";
import { namesBelow, oddWildcards, wildcardProblems } from "./wildcards.ts";

export { ConfigError } from "./problems.ts";

const DATA = "./data";

/** Looks for `file`, LAYOVER_CONFIG, `./layover.yaml`; the last may be absent. Throws ConfigError. */
export const loadConfig = async (lookup: Lookup): Promise<Config> => {
  const source = await readSource(lookup);
  const filled = interpolate(withoutNulls(source.tree), lookup.env);
  const overlay = overlayEnvironment(filled.value as Record<string, unknown>, lookup.env);
  const fail = (problems: readonly Problem[]) => {
    const inOrder = problems.toSorted((a, b) => source.offset(a.path) - source.offset(b.path));
    if (problems.length > 0) throw new ConfigError([...new Set(inOrder.map(locate(source, overlay)))]);
  };

  const outcome = settings.safeParse(overlay.tree);
  const shape = problemsOf(outcome.error?.issues ?? [], overlay.tree).filter(elsewhereThan(filled.problems));
  fail([...filled.problems, ...shape, ...unavailable(overlay.tree)]);
  const given = outcome.data as Settings;

  const problems: Problem[] = [];
  const config = await effective(given, source, problems, lookup);
  fail(problems);
  const all = [...config.sites, ...config.wildcards];
  return {
    ...config,
    warnings: [
      ...source.warnings,
      ...config.warnings,
      ...overlay.warnings,
      ...literalSecrets(source),
      ...oddSites(all, config.mirror),
      ...emptySites(all, config.mirror),
      ...oddEntries(config.mirror, siteTable(config.sites, config)),
      ...oddWildcards(config.wildcards),
      ...oddRules(all),
    ],
  };
};

const effective = async (given: Settings, source: Source, problems: Problem[], lookup: Lookup): Promise<Config> => {
  const report = (problem: Problem) => void problems.push(problem);
  const files = filesIn(source.folder, report);
  const merged = mergeSites(given, report);
  const trust = given.trust === undefined ? undefined : await files.certificates(given.trust, ["trust"]);
  const built = (all: readonly MergedSite[]) => Promise.all(all.map((site) => buildSite(site, trust, files, report)));
  const sites = await built(merged.sites);
  const wildcards = await built(merged.wildcards);
  const names = given.name ?? ["layover"];
  const passthrough = [...new Set(given.passthrough ?? [])];
  const listen = listenOf(given, report);
  const { resolvers, splits } = resolversOf(given, report);
  if (given.maxAge === 0) report({ path: ["maxAge"], text: "expected a duration of more than nothing" });
  for (const problem of [
    ...clashingNames(merged.sites, sites, names),
    ...(await wildcardProblems(merged.wildcards)),
    ...clashingPassthrough(given.passthrough ?? [], [...sites, ...wildcards], names),
    ...clashingDoors(listen),
    ...ownResolvers(given.resolvers ?? [], listen.dns),
    ...homeless(given.resolvers ?? []),
  ]) {
    report(problem);
  }
  const excluded = [...merged.excluded, ...namesBelow(wildcards, [...names, ...passthrough])];
  const warnings: string[] = [];
  const listWrong = lookup.mayListBeWrong === true ? ({ text }: Problem) => void warnings.push(text) : report;
  return {
    file: source.file,
    warnings,
    listen,
    names,
    ...answersOf(given, report),
    hijackFor: given.hijackFor ?? ["all"],
    resolvers,
    splits,
    trust,
    data: files.path(given.data ?? DATA),
    ca: authorityOf(given, files, report),
    clients: given.clients ?? ["private"],
    maxSize: given.maxSize,
    maxAge: given.maxAge,
    httpProxy: given.defaults?.httpProxy,
    passthrough,
    log: { level: given.log?.level ?? "info", format: given.log?.format ?? "auto" },
    sites,
    wildcards,
    excluded,
    mirror: await mirrorOf(given, siteTable(sites, { wildcards, excluded }), files, lookup, { report, listWrong, warnings }),
    notify: await notifyOf(given.notify ?? [], files, report),
  };
};

type Report = (problem: Problem) => void;

const mirrorOf = async (
  { mirror: given, data = DATA }: Settings,
  sites: Sites,
  files: Files,
  { env, cwd, keepsList = false, mayListBeWrong = false }: Lookup,
  { report, listWrong, warnings }: { readonly report: Report; readonly listWrong: Report; readonly warnings: string[] },
): Promise<MirrorConfig> => {
  if (given === undefined) return { file: undefined, entries: [] };
  if (typeof given !== "string") return { file: undefined, entries: entriesOf(given, sites, ["mirror"], report) };
  const file = files.path(given);
  const last = lastListIn(files.path(data));
  try {
    return await readMirrorFile(file, { sites, env, cwd, ...(keepsList && { keepAs: last }) });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const kept = keepsList || mayListBeWrong ? await readLastList(last, { sites, env, cwd }) : undefined;
    if (kept !== undefined) {
      warnings.push(...error.problems, `${given}: the list is not right, and the one from before goes on`);
      return { file, entries: kept.entries, problem: error.message };
    }
    for (const text of error.problems) listWrong({ path: ["mirror"], text, isPlaced: true });
    return { file, entries: [], isWrong: true };
  }
};

const listenOf = ({ listen = {} }: Settings, report: Report): Config["listen"] => {
  const admin = listen.admin ?? [{ host: "127.0.0.1", port: 9180 }];
  if (admin.length > 1) report({ path: ["listen", "admin"], text: `expected one address, found ${admin.length}` });
  return {
    dns: listen.dns ?? [{ host: "0.0.0.0", port: 53 }],
    https: listen.https ?? [{ host: "0.0.0.0", port: 443 }],
    http: listen.http ?? [{ host: "0.0.0.0", port: 80 }],
    proxy: listen.proxy ?? [],
    admin: admin[0],
  };
};

const authorityOf = ({ ca = {} }: Settings, files: Files, report: Report): Config["ca"] => {
  const certificate = files.path(ca.certificate ?? "./certs/ca.crt");
  const key = files.path(ca.key ?? "./keys/ca.key");
  if (certificate === key) report({ path: ["ca", "key"], text: "expected a file apart from the certificate's, which is public" });
  const constraints = ca.constraints ?? [];
  return { certificate, key, constraints: constraints.length === 1 && constraints[0] === "none" ? "none" : constraints };
};

/** `layover.yaml:12:5 sites.ghcr.io.acess: …`; with no file, or a key from the environment, that is the place. */
const locate =
  (source: Source, overlay: Overlay) =>
  ({ path, text, isPlaced }: Problem): string => {
    if (isPlaced) return text;
    const variable = overlay.variable(path);
    const place = variable === undefined ? source.where(path) : `environment ${variable}`;
    return `${[place, path.join(".")].filter((part) => part !== "").join(" ")}: ${text}`;
  };

const elsewhereThan = (known: readonly Problem[]) => {
  const paths = new Set(known.map(({ path }) => path.join(".")));
  return ({ path }: Problem) => !paths.has(path.join("."));
};

/** A secret in the file itself is read by all who may read the file. */
const literalSecrets = ({ tree, file, where }: Source): string[] => {
  if (file === undefined) return [];
  const holders: KeyPath[] = [
    ["defaults"],
    ...Object.keys(tree["sites"] ?? {}).map((site) => ["sites", site]),
    ...Object.keys(tree["notify"] ?? {}).map((index) => ["notify", Number(index)]),
  ];
  return holders.flatMap((holder) =>
    SECRETS.flatMap(({ at, isOne, instead }) => {
      const path = [...holder, ...at];
      const value = valueAt(tree, path);
      const isLiteral = typeof value === "string" && !value.includes("${") && isOne(value);
      return isLiteral ? [`${where(path)} ${path.join(".")}: a secret in the file itself; ${instead}\${NAME} keeps it out`] : [];
    }),
  );
};

const SECRETS = [
  { at: ["credentials", "password"], isOne: () => true, instead: "passwordFile or " },
  { at: ["credentials", "token"], isOne: () => true, instead: "tokenFile or " },
  { at: ["secret"], isOne: () => true, instead: "secretFile or " },
  { at: ["httpProxy"], isOne: (value: string) => /:\/\/[^/]*:[^/]*@/.test(value), instead: "" },
  { at: ["clientCertificate", "key"], isOne: (value: string) => value.includes("-----BEGIN"), instead: "a file or " },
];
