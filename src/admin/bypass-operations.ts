// The operations of a bypass, by a running server or on the data folder alone; and which names it is about.
import type { Site } from "../sites.ts";
import type { BypassAnswer } from "./answers.ts";
import type { BypassTimes } from "./bypass.ts";
import type { BypassInput, Operations } from "./operations.ts";

/** What turns it on and off. */
export interface BypassSwitch {
  look(): Promise<BypassTimes | undefined>;
  on(forMs: number | undefined): Promise<void>;
  off(): Promise<void>;
}

type BypassSite = Pick<Site, "host" | "hijackNames" | "kind" | "offline" | "rules" | "onMissing" | "failOpen">;

export const bypassOperations = (
  sites: readonly BypassSite[],
  bypass: BypassSwitch,
): Pick<Operations, "bypass" | "bypassOn" | "bypassOff"> => {
  const answer = async (): Promise<BypassAnswer> => {
    const times = await bypass.look();
    return {
      on: times !== undefined,
      ...times,
      released: sites.filter(({ failOpen }) => failOpen).flatMap(namesOf),
      stays: sites
        .filter(({ failOpen }) => !failOpen)
        .flatMap((site) => namesOf(site).map((name) => ({ name, why: whyItStays(site) }))),
    };
  };
  return {
    bypass: answer,
    async bypassOn({ forMs }: BypassInput) {
      await bypass.on(forMs);
      return answer();
    },
    async bypassOff() {
      await bypass.off();
      return answer();
    },
  };
};

/** A wildcard has no names but those that are asked for. */
const namesOf = ({ host, hijackNames }: BypassSite): readonly string[] => (hijackNames.length > 0 ? hijackNames : [host]);

const whyItStays = ({ kind, offline, rules, onMissing }: BypassSite): BypassAnswer["stays"][number]["why"] => {
  if (kind === "local") return "hosted";
  if (offline) return "offline";
  if (onMissing === "refuse" || rules.some((rule) => rule.onMissing === "refuse")) return "refuse";
  return rules.some(({ pin }) => pin === true) ? "pinned" : "failOpen";
};
