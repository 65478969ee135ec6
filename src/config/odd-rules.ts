// Rules that are allowed and do nothing: never reached, or with keys that another key of theirs leaves without effect.
import type { Rule, Site } from "../sites.ts";

const EVERYTHING = new Set(["**", "**:*", "**:**"]);

/** Rules that several sites have, as from `defaults`, are told of once. */
export const oddRules = (sites: readonly Site[]): string[] => {
  const told = new Set<string>();
  return sites.flatMap((site) => {
    const rules = JSON.stringify(site.rules);
    if (told.has(rules)) return [];
    told.add(rules);
    return site.rules.flatMap((rule, i) =>
      oddness(rule, site.rules.slice(0, i)).map((odd) => `sites.${site.host}.rules.${i}: ${odd}`),
    );
  });
};

/** What still counts: a pinned tag has to have come from somewhere. */
const BESIDE = { deny: new Set(["match", "deny"]), pin: new Set(["match", "pin", "deny", "onMissing"]) };

const oddness = (rule: Rule, earlier: readonly Rule[]): string[] => {
  const same = earlier.findIndex(({ match }) => match === rule.match);
  if (same !== -1) return [`is never reached: rule ${same} has the same pattern, and the first match wins`];
  const all = earlier.findIndex((one) => EVERYTHING.has(one.match) && !leavesDigests(one, rule));
  if (all !== -1) return [`is never reached: rule ${all} matches everything, and the first match wins`];
  const key = rule.deny === true ? "deny" : rule.pin === true ? "pin" : undefined;
  const idle = Object.keys(rule).filter((other) => key !== undefined && !BESIDE[key].has(other));
  return idle.length === 0 ? [] : [`${idle.join(", ")} has no effect beside ${key}`];
};

/** A pattern with a tag leaves digests to the next one that is about whole repositories. */
const leavesDigests = (all: Rule, rule: Rule): boolean => all.match.includes(":") && !rule.match.includes(":");
