// Which entries of the mirror are meant: by their names, or by an image that they mirror, and then only that.
import { narrowed, type Part } from "../mirror/narrowed.ts";
import { selectsRepo, selectsTag } from "../mirrors/select.ts";
import type { MirrorEntry } from "../mirrors.ts";
import type { Sites } from "../sites.ts";
import { AdminError } from "./error.ts";
import { type Image, parseImage } from "./references.ts";

export interface Picked {
  readonly entry: MirrorEntry;
  /** `undefined`: the whole entry. */
  readonly only: Part | undefined;
}

const TOLD = 20;

/** Each once, in their order; all of them where no names are given. Throws INVALID for what is none. */
export const pickEntries = (names: readonly string[] | undefined, entries: readonly MirrorEntry[], sites: Sites): Picked[] => {
  if (entries.length === 0)
    throw new AdminError("INVALID", "nothing is mirrored here: the configuration has no entries under `mirror:`");
  if (names === undefined) return entries.map((entry) => ({ entry, only: undefined }));
  const picked = names.flatMap((name) => pick(name, entries, sites));
  const whole = new Set(picked.filter(({ only }) => only === undefined).map(({ entry }) => entry));
  const keys = new Set<string>();
  return picked.filter(({ entry, only }) => {
    if (only !== undefined && whole.has(entry)) return false;
    const key = JSON.stringify([entry.name, only]);
    return !keys.has(key) && keys.add(key);
  });
};

/** As an entry of its own. */
export const asEntry = ({ entry, only }: Picked): MirrorEntry => narrowed(entry, only);

const pick = (name: string, entries: readonly MirrorEntry[], sites: Sites): readonly Picked[] => {
  const named = entries.find((entry) => entry.name === name);
  if (named !== undefined) return [{ entry: named, only: undefined }];
  const image = imageIn(name, sites);
  const found = image === undefined ? [] : mirroring(image, entries);
  if (found.length > 0) return found;
  const known = entries.slice(0, TOLD).map((entry) => JSON.stringify(entry.name));
  const more = entries.length > TOLD ? ` and ${entries.length - TOLD} more` : "";
  const what = image === undefined ? "is no entry of the mirror" : "is no entry of the mirror, and none mirrors it";
  throw new AdminError("INVALID", `${JSON.stringify(name.slice(0, 300))} ${what}: there are ${known.join(", ")}${more}`);
};

/** `undefined`: no image; what else it might be is said with the entries that there are. */
const imageIn = (text: string, sites: Sites): Image | undefined => {
  try {
    return parseImage(text, sites);
  } catch {
    return undefined;
  }
};

const mirroring = ({ site, repo, tag, digest }: Image, entries: readonly MirrorEntry[]): Picked[] => {
  if (digest !== undefined) throw new AdminError("INVALID", `a sync is of tags: ${repo}@${digest} never moves`);
  return entries
    .filter((entry) => entry.source.site === site.host && selectsRepo(entry)(repo))
    .filter((entry) => tag === undefined || selectsTag(entry.tags)(tag))
    .map((entry) => ({ entry, only: { repository: repo, tag } }));
};
