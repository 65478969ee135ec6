// What can be asked of the sites, whose upstreams answer: through the running server alone, but for explain.
import { isOciError } from "../oci/error.ts";
import { isDigestReference, type Tag } from "../oci/reference.ts";
import type { Care } from "../registry/care.ts";
import type { Explanation } from "../registry/explain.ts";
import { failureOf } from "../registry/warm.ts";
import type { Site, Sites } from "../sites.ts";
import type { Explained, RefreshAnswer, RefreshedImage, WarmAnswer, WarmedImage } from "./answers.ts";
import { holdOf, isoOf } from "./cache-list.ts";
import { AdminError } from "./error.ts";
import type { Call, Operations, ReferenceInput, ReferencesInput, WarmInput } from "./operations.ts";
import { type Image, parseImage, referenceOf, written } from "./references.ts";

export interface SiteParts {
  readonly sites: Sites;
  readonly careOf: (site: Site) => Care;
}

export const siteOperations = (parts: SiteParts): Pick<Operations, "explain" | "warm" | "refresh"> => ({
  explain: (input) =>
    explainImage(parts.sites, (image) => parts.careOf(image.site).explain(image.repo, referenceOf(image)), input),
  warm: (input, call) => warm(parts, input, call),
  refresh: (input, call) => refresh(parts, input, call),
});

/** `explain` is how one image of any site is explained. */
export const explainImage = async (
  sites: Sites,
  explain: (image: Image) => Promise<Explanation>,
  { reference }: ReferenceInput,
): Promise<Explained> => {
  const image = parseImage(reference, sites);
  return explainedOf(image, await explain(image));
};

const nameOf = (image: Image): string => written(image.site.host, image.repo, referenceOf(image));

/** Credentials go to the one site that they are for. Throws AdminError. */
const imagesOf = ({ sites }: SiteParts, { references, credential }: ReferencesInput): Image[] => {
  const images = references.map((reference) => parseImage(reference, sites));
  if (credential !== undefined && new Set(images.map(({ site }) => site)).size > 1)
    throw new AdminError("INVALID", "credentials are for one site: ask for the images of one at a time");
  return images;
};

const warm = async (parts: SiteParts, input: WarmInput, { signal, progress }: Call): Promise<WarmAnswer> => {
  const { platforms, credential } = input;
  const images = imagesOf(parts, input);
  const warmed: WarmedImage[] = [];
  for (const image of images) {
    const name = nameOf(image);
    const at = images.length === 1 ? name : `${name} (${warmed.length + 1} of ${images.length})`;
    const report = await parts.careOf(image.site).warm(image.repo, referenceOf(image), {
      signal,
      progress: ({ done, total }) => progress({ done, total, unit: "bytes", at }),
      ...(platforms !== undefined && { platforms }),
      ...(credential !== undefined && { credential }),
    });
    // by the same name as the image: a tag alone says little
    const failures = report.failures.map((one) => (one.reference === report.reference ? { ...one, reference: name } : one));
    warmed.push({ ...report, failures, reference: name });
  }
  return { images: warmed };
};

const refresh = async (parts: SiteParts, input: ReferencesInput, { signal, progress }: Call): Promise<RefreshAnswer> => {
  const { credential } = input;
  const images = imagesOf(parts, input);
  const fixed = images.find((image) => isDigestReference(referenceOf(image)));
  if (fixed !== undefined) throw new AdminError("INVALID", `${nameOf(fixed)} is a digest, which never moves`);
  const refreshed: RefreshedImage[] = [];
  for (const image of images) {
    const name = nameOf(image);
    progress({ done: refreshed.length, total: images.length, unit: "images", at: name });
    const options = { signal, ...(credential !== undefined && { credential }) };
    refreshed.push(await refreshOne(parts.careOf(image.site), image, name, options));
  }
  return { images: refreshed };
};

const refreshOne = async (
  care: Care,
  image: Image,
  name: string,
  options: Parameters<Care["refresh"]>[2],
): Promise<RefreshedImage> => {
  try {
    const { before, after, upstream, pinned } = await care.refresh(image.repo, referenceOf(image) as Tag, options);
    const outcome =
      before === upstream ? "same" : after !== upstream ? (pinned ? "pinned" : "unkept") : before === undefined ? "new" : "moved";
    return { reference: name, outcome, upstream, ...(before !== undefined && { before }), ...(after !== undefined && { after }) };
  } catch (error) {
    options.signal.throwIfAborted();
    return {
      reference: name,
      outcome: isOciError(error) && error.isUnknown ? "gone" : "failed",
      failure: failureOf(name, error),
    };
  }
};

const explainedOf = (image: Image, { held, now, ...explanation }: Explanation): Explained => ({
  ...explanation,
  reference: nameOf(image),
  ...(held !== undefined && { held: heldOf(held) }),
  now: { outcome: now.outcome, ...(now.for !== undefined && { forMs: now.for }), why: now.why },
});

/** Its age is the reader's to reckon. */
const heldOf = (held: NonNullable<Explanation["held"]>): NonNullable<Explained["held"]> => {
  const { digest, isHeld, size, mediaType, checkedAt, doubted, hold } = held;
  return {
    digest,
    isHeld,
    ...(size !== undefined && { size }),
    ...(mediaType !== undefined && { mediaType }),
    ...(checkedAt !== undefined && { checkedAt: isoOf(checkedAt) }),
    ...(doubted !== undefined && { doubted }),
    ...holdOf({ hold }),
  };
};
