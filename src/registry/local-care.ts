// What whoever looks after a hosted site can be told of it. There is no upstream: nothing can be fetched ahead, or asked again.
import { OciError } from "../oci/error.ts";
import type { Care } from "./care.ts";
import { type ExplainParts, type Explanation, explain } from "./explain.ts";
import { offlineHealth } from "./offline.ts";
import { sharedRights } from "./rights.ts";

export type LocalCareParts = Omit<ExplainParts, "rights" | "health">;

export const localCare = (parts: LocalCareParts): Care => ({
  explain: (repo, reference) => explainLocal(parts, repo, reference),
  warm: async (_repo, reference) => {
    const { code, message } = noUpstream(parts);
    return { reference, manifests: 0, blobs: 0, held: 0, fetched: 0, failures: [{ reference, code, message }] };
  },
  refresh: () => Promise.reject(noUpstream(parts)),
});

const noUpstream = ({ site }: LocalCareParts): OciError =>
  new OciError("UNSUPPORTED", `${site.host} is hosted here: there is no upstream to ask`);

export const explainLocal = async (parts: LocalCareParts, ...image: Parameters<Care["explain"]>): Promise<Explanation> => {
  const explanation = await explain({ ...parts, rights: sharedRights, health: offlineHealth }, ...image);
  const { held, now } = explanation;
  const isOpen = parts.site.users === undefined;
  const isThere = held?.isHeld === true && held.mediaType !== undefined;
  return {
    ...explanation,
    upstream: "none",
    anonymous: isOpen ? "live" : "none",
    now:
      now.outcome === "refused" ? now : isThere ? served(isOpen) : { outcome: "unreachable", why: "nothing is hosted under it" },
  };
};

const served = (isOpen: boolean): Explanation["now"] => ({
  outcome: "served",
  why: `it is hosted here, for ${isOpen ? "all who reach it" : "whoever logs in"}`,
});
