// The states that a tag has been in, and how people name one of them.
import { type Digest, isDigest } from "../oci/digest.ts";
import { isTag, type Repository, type Tag } from "../oci/reference.ts";
import type { Site, Sites } from "../sites.ts";
import type { FactStore, TagFact, TagKey, TagMove } from "../store/facts.ts";
import { AdminError } from "./error.ts";
import { parseImage, referenceOf, written } from "./references.ts";

/** Moves that are looked at: far more than anybody goes back. */
const MAX_MOVES = 200;
/** Digests that begin alike: more than are told of. */
const FEW = 20;

export interface NamedTag {
  readonly site: Site;
  readonly repo: Repository;
  readonly tag: Tag;
  readonly key: TagKey;
  /** With the site's own name. */
  readonly name: string;
}

/** Throws UNKNOWN_SITE, INVALID where it is no tag. */
export const parseTag = (text: string, sites: Sites): NamedTag => {
  const image = parseImage(text, sites);
  const { site, repo, digest } = image;
  if (digest !== undefined) throw new AdminError("INVALID", `${text}: expected a tag, found a digest, which never moves`);
  const tag = referenceOf(image) as Tag;
  return { site, repo, tag, key: { site: site.host, repo, tag }, name: written(site.host, repo, tag) };
};

export interface Past {
  readonly fact: TagFact | undefined;
  /** Newest first: line 1 is the first. */
  readonly moves: readonly TagMove[];
}

export const movesOf = async (facts: FactStore, { key }: NamedTag, limit = MAX_MOVES): Promise<Past> => ({
  fact: await facts.tag(key),
  moves: await facts.tagHistory(key, limit),
});

/** Throws NOT_HELD where nothing was ever known of it. */
export const pastOf = async (facts: FactStore, named: NamedTag, limit?: number): Promise<Past> => {
  const past = await movesOf(facts, named, limit);
  if (past.fact?.digest !== undefined || past.moves.length > 0) return past;
  throw new AdminError(
    "NOT_HELD",
    `nothing is known of ${named.name}: \`layover tags ls ${named.site.host}/${named.repo}\` tells what is`,
  );
};

/** The newest digest in it that is another; of what came before `other` where that is in it. */
export const otherThan = ({ moves }: Past, other: Digest | undefined): Digest | undefined => {
  const since = other === undefined ? -1 : moves.findIndex(({ digest }) => digest === other);
  return moves.slice(since + 1).find(({ digest }) => digest !== undefined && digest !== other)?.digest;
};

/** Throws INVALID for what can be none, or several, NOT_HELD for what is not known. */
export const stateNamed = async (facts: FactStore, named: NamedTag, past: Past, text: string): Promise<Digest> => {
  const plain = text.trim();
  if (isDigest(plain)) return plain;
  if (plain.startsWith(":")) return (await tagged(facts, named, plain.slice(1))) ?? unknown(named, text);
  if (/^\d{1,4}$/.test(plain)) return onLine(named, past, Number(plain));
  const found = new Set(await beginning(facts, named, past, plain));
  // what looks like the beginning of a digest may be a tag all the same: builds are called after commits
  const other = await tagged(facts, named, plain);
  if (other !== undefined) found.add(other);
  if (found.size > 1) throw ambiguous(text, [...found]);
  return [...found][0] ?? unknown(named, text);
};

const onLine = ({ name }: NamedTag, { moves }: Past, line: number): Digest => {
  const move = moves[line - 1];
  if (move === undefined)
    throw new AdminError("INVALID", `the history of ${name} has no line ${line}; a tag of that name is written :${line}`);
  if (move.digest === undefined) throw new AdminError("INVALID", `with line ${line} the tag was taken away: it is no state`);
  return move.digest;
};

const PREFIX = /^(?:(sha256|sha512):)?([0-9a-f]{6,128})$/;

/** Those of the history first; else of the manifests that the repository is known to have. */
const beginning = async (
  facts: FactStore,
  { site, repo }: NamedTag,
  { moves }: Past,
  text: string,
): Promise<readonly Digest[]> => {
  const [, algorithm, hex] = PREFIX.exec(text) ?? [];
  if (hex === undefined) return [];
  const prefixes = (algorithm === undefined ? ["sha256", "sha512"] : [algorithm]).map((one) => `${one}:${hex}`);
  const isIt = (digest: Digest | undefined): digest is Digest =>
    digest !== undefined && prefixes.some((prefix) => digest.startsWith(prefix));
  const past = moves.map(({ digest }) => digest).filter(isIt);
  if (past.length > 0) return past;
  const found: Digest[] = [];
  for (const prefix of prefixes) {
    const links = await facts.inventory.links(site.host, repo, { after: prefix as Digest, limit: FEW });
    found.push(...links.filter(({ digest, mediaType }) => mediaType !== undefined && isIt(digest)).map(({ digest }) => digest));
  }
  return found;
};

const tagged = async (facts: FactStore, { key }: NamedTag, text: string): Promise<Digest | undefined> =>
  isTag(text) ? (await facts.tag({ ...key, tag: text }))?.digest : undefined;

const ambiguous = (text: string, digests: readonly Digest[]): AdminError =>
  new AdminError("INVALID", `${text} may be each of ${digests.slice(0, FEW).join(", ")}; a tag is written :${text}`);

const unknown = ({ site, repo, tag }: NamedTag, text: string): never => {
  throw new AdminError(
    "NOT_HELD",
    `${text.slice(0, 200)} is no line of \`layover tags history ${written(site.host, repo, tag)}\`, no tag of ${repo}, and no digest of it that is known here`,
  );
};
