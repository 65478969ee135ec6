// What a bundle brings, taken in: bytes that are here already become a repository's, then tags are moved to them. A link is otherwise made by
// upstream's yes alone (DESIGN, Link): an import is the administrator's own word in its place. It gives nobody a right: who may read is decided as ever.
import type { Clock } from "../lib/clock.ts";
import { anatomyOf } from "../oci/anatomy.ts";
import type { Digest } from "../oci/digest.ts";
import { isDigestReference, type Repository, type Tag } from "../oci/reference.ts";
import { descriptorOf } from "../oci/referrer.ts";
import { MAX_MANIFEST } from "../oci/registry.ts";
import { parseSubmitted, type Submitted } from "../oci/submitted.ts";
import { storeManifest } from "../registry/keep-manifest.ts";
import { policyOf } from "../registry/policy.ts";
import { referrerOf } from "../registry/put-manifest.ts";
import { aHold } from "../registry/staying.ts";
import { goneAgain, refusingFull } from "../registry/upload.ts";
import type { Site, Sites } from "../sites.ts";
import type { BlobStore } from "../store/blobs.ts";
import type { FactStore, TagFact } from "../store/facts.ts";
import type { ImportCheck, ImportedManifest, ImportedTag } from "./answers.ts";
import { AdminError } from "./error.ts";
import { listReferrer, listTag } from "./import-listings.ts";
import type { ImportCheckInput, ImportManifestInput, ImportTagInput, Operations } from "./operations.ts";
import { type Image, parseImage, referenceOf, written } from "./references.ts";

export interface ImportParts {
  readonly sites: Sites;
  readonly blobs: BlobStore;
  readonly facts: FactStore;
  readonly clock: Clock;
}

type ImportOperations = Pick<Operations, "importCheck" | "importManifest" | "importTag">;

export const importOperations = (parts: ImportParts): ImportOperations => ({
  importCheck: (input) => check(parts, input),
  importManifest: (input) => importManifest(parts, input),
  importTag: (input) => importTag(parts, input),
});

const check = async (
  { sites, blobs }: ImportParts,
  { references = [], digests = [] }: ImportCheckInput,
): Promise<ImportCheck> => {
  const held: string[] = [];
  for (const digest of digests) if ((await blobs.stat(digest as Digest)) !== undefined) held.push(digest);
  const names = references.map((text) => {
    const image = parseImage(text, sites);
    const { site, repo } = image;
    const refusal = policyOf(site).refusal(repo, referenceOf(image));
    return {
      reference: written(site.host, repo, referenceOf(image)),
      site: site.host,
      readers: readersOf(site),
      ...(refusal !== undefined && { refusal: refusal.message }),
    };
  });
  return { held, names };
};

/** On a site that is offline nobody can be asked about a client's right: who had none before has none now. */
const readersOf = ({ kind, users, access, offline }: Site): ImportCheck["names"][number]["readers"] => {
  if (kind === "local") return users === undefined ? "all" : "users";
  if (access === "shared") return "all";
  return offline ? "nobody new" : "upstream";
};

/** A bundle that denies itself to its readers would only look imported. */
const allowedIn = (text: string, { sites }: ImportParts): Image => {
  const image = parseImage(text, sites);
  const refusal = policyOf(image.site).refusal(image.repo, referenceOf(image));
  if (refusal !== undefined) throw new AdminError("INVALID", refusal.message);
  return image;
};

const importManifest = async (parts: ImportParts, input: ImportManifestInput): Promise<ImportedManifest> => {
  const { site, repo, digest } = allowedIn(input.reference, parts);
  if (digest === undefined) throw new AdminError("INVALID", `${input.reference}: a manifest is imported by its digest`);
  const bytes = await parts.blobs.readAll(digest, MAX_MANIFEST);
  if (bytes === undefined) throw new AdminError("NOT_HELD", `${digest} is not here: it is sent before it is imported`);
  const submitted = parseSubmitted(bytes, typeFor(bytes, input.mediaType));
  const lacks = new Set(input.lacks);
  const needs = submitted.needs.filter((need) => !lacks.has(need));
  const manifests = new Set(anatomyOf(bytes).parts.flatMap((part) => (part.role === "manifest" ? [part.digest] : [])));
  if (submitted.needs.some((need) => lacks.has(need) && !manifests.has(need)))
    throw new AdminError("INVALID", `the bundle has not all that ${digest} consists of`);
  if (manifests.size > 0 && needs.length === 0) throw new AdminError("INVALID", `the bundle has nothing of what ${digest} names`);
  await mustHold(parts, digest, needs);
  await refusingFull(storeManifest(parts.blobs, bytes, digest, submitted.parts));
  const blobs = needs.filter((need) => !manifests.has(need));
  const manifest = { site, repo, digest, submitted, needs, size: bytes.length };
  await (site.kind === "local" ? hostIt(parts, manifest, blobs) : linkIt(parts, manifest, blobs));
  return { digest, links: blobs.length + 1 };
};

/** Its own word goes before that of what names it. */
const typeFor = (bytes: Buffer, named: string | undefined): string | undefined => anatomyOf(bytes).mediaType ?? named;

const mustHold = async ({ blobs }: ImportParts, digest: Digest, needs: readonly Digest[]): Promise<void> => {
  for (const need of needs)
    if ((await blobs.stat(need)) === undefined)
      throw new AdminError("NOT_HELD", `${need}, which ${digest} names, is not here: it was not sent, or has had to make way`);
};

interface Manifest {
  readonly site: Site;
  readonly repo: Repository;
  readonly digest: Digest;
  readonly submitted: Submitted;
  readonly needs: readonly Digest[];
  readonly size: number;
}

/** As a push writes it, but that an index may go without some of its platforms. */
const hostIt = async ({ facts, clock }: ImportParts, manifest: Manifest, blobs: readonly Digest[]): Promise<void> => {
  const { site, repo, digest, submitted, needs, size } = manifest;
  const at = clock();
  const { mediaType } = submitted;
  for (const blob of blobs)
    if ((await facts.hosting.host({ site: site.host, repo, digest: blob }, { mediaType: undefined, at })).length > 0)
      throw goneAgain();
  const referrer = referrerOf(submitted, digest, size);
  const missing = await facts.hosting.host({ site: site.host, repo, digest }, { mediaType, at, needs, referrer });
  if (missing.length > 0)
    throw new AdminError("NOT_HELD", `${repo} has not all that ${digest} names: ${missing.slice(0, 5).join(", ")}`);
};

/** What it names first: whoever finds it linked finds the rest. */
const linkIt = async (parts: ImportParts, manifest: Manifest, blobs: readonly Digest[]): Promise<void> => {
  const { site, repo, digest, submitted, size } = manifest;
  const { facts } = parts;
  for (const blob of blobs) await facts.addLink({ site: site.host, repo, digest: blob }, { mediaType: undefined });
  await facts.addLink({ site: site.host, repo, digest }, { mediaType: submitted.mediaType });
  if (submitted.subject !== undefined)
    await listReferrer(parts, { site: site.host, repo }, submitted.subject, descriptorOf(submitted, digest, size));
};

/** So often somebody else can be faster. */
const TRIES = 5;

const importTag = async (parts: ImportParts, { reference, digest: text }: ImportTagInput): Promise<ImportedTag> => {
  const { site, repo, tag } = allowedIn(reference, parts);
  const digest = text as Digest;
  if (tag === undefined || isDigestReference(tag)) throw new AdminError("INVALID", `${reference} names no tag`);
  const link = await parts.facts.link({ site: site.host, repo, digest });
  const isOurs = link?.mediaType !== undefined && (site.kind !== "local" || link.hostedAt !== undefined);
  if (!isOurs || (await parts.blobs.stat(digest)) === undefined)
    throw new AdminError("NOT_HELD", `${digest} is not ${site.host}/${repo}'s: a manifest is imported before its tag`);
  const moved = await move(parts, site, repo, tag, digest);
  if (site.kind !== "local" && moved.outcome !== "held") await listTag(parts, { site: site.host, repo }, tag);
  return { reference: written(site.host, repo, tag), digest, ...moved };
};

const move = async (
  { facts, clock }: ImportParts,
  site: Site,
  repo: Repository,
  tag: Tag,
  digest: Digest,
): Promise<Pick<ImportedTag, "outcome" | "before" | "why">> => {
  const key = { site: site.host, repo, tag };
  for (let tries = 0; tries < TRIES; tries += 1) {
    const fact = await facts.tag(key);
    const before = fact?.digest !== undefined && { before: fact.digest };
    if (fact?.digest === digest) return { outcome: "same" };
    const why = keptBy(site, repo, tag, fact);
    if (why !== undefined) return { outcome: "held", ...before, why };
    if (await facts.moveTag(key, { digest, at: clock(), reason: "import" }, fact?.generation ?? 0))
      return { outcome: before === false ? "new" : "moved", ...before };
  }
  throw new AdminError("UNAVAILABLE", `${written(site.host, repo, tag)} is being moved by others`);
};

const keptBy = (site: Site, repo: Repository, tag: Tag, fact: TagFact | undefined): string | undefined => {
  if (fact?.hold !== undefined) return `${aHold(fact.hold)} holds it`;
  if (fact?.digest !== undefined && policyOf(site).of(repo, tag).pin) return "a rule of this site pins it";
  return undefined;
};
