// What the images of a bundle are to be called here: what their annotations say, or what the administrator does.
import type { Digest } from "../oci/digest.ts";
import { digestNamedBy } from "../oci/digest-tag.ts";
import type { LayoutRoot } from "../oci/image-layout.ts";
import type { Contents } from "./contents.ts";

export interface NamedImage {
  /** `ghcr.io/acme/app:1`, `ghcr.io/acme/app@sha256:…`. */
  readonly reference: string;
  readonly repository: string;
  readonly digest: Digest;
}

/** Throws Error where it cannot be told. */
export const namedIn = (contents: Contents, as: string | undefined): NamedImage[] => {
  const named = as === undefined ? contents.roots.flatMap(byAnnotation) : [...renamed(contents, as)];
  const nameless = contents.roots.filter(({ digest, names }) => names.length > 0 && !named.some((one) => one.digest === digest));
  if (named.length > 0 && nameless.length === 0) return withReferrers(contents, named);
  const said = nameless.flatMap(({ names }) => names).slice(0, 5);
  throw new Error(
    `the bundle does not say which registry's ${said.length === 0 ? "its image is" : `${said.join(", ")} is`}: --as ghcr.io/acme/app:1 does, for one image`,
  );
};

const byAnnotation = ({ digest, names }: LayoutRoot): NamedImage[] => {
  const whole = names.find((name) => /^(?:[^/]*[.:][^/]*|localhost)\/./.test(name));
  return whole === undefined ? [] : [imageOf(whole, digest)];
};

const imageOf = (reference: string, digest: Digest): NamedImage => ({ reference, repository: repositoryOf(reference), digest });

const repositoryOf = (reference: string): string => reference.replace(/@.*$/s, "").replace(/:[^/:]*$/, "");

const tagIn = (name: string): string => name.slice(name.lastIndexOf(":") + 1);

const isOfDigest = (tag: string): boolean => digestNamedBy(tag) !== undefined;

/** The one image under another name, and its signatures' tags beside it. */
function* renamed({ roots, manifests }: Contents, as: string): Generator<NamedImage> {
  const signatures = roots.filter(({ names }) => names.some((name) => isOfDigest(tagIn(name))));
  const images = roots.filter((root) => !signatures.includes(root) && manifests.get(root.digest)?.subject === undefined);
  const digests = new Set(images.map(({ digest }) => digest));
  if (digests.size !== 1)
    throw new Error(
      `--as is for a bundle with one image, and this one has ${digests.size}: ${images
        .flatMap(({ names }) => names)
        .slice(0, 10)
        .join(", ")}`,
    );
  const image = imageOf(as, images[0]!.digest);
  yield image;
  for (const { digest, names } of signatures)
    for (const tag of new Set(names.map(tagIn))) if (isOfDigest(tag)) yield imageOf(`${image.repository}:${tag}`, digest);
}

/** What is named by nothing but its `subject` goes where that goes. */
const withReferrers = ({ roots, manifests }: Contents, named: readonly NamedImage[]): NamedImage[] => {
  const places = new Map<Digest, Set<string>>();
  const put = (digest: Digest, repository: string): void => {
    const known = places.get(digest) ?? new Set<string>();
    if (known.has(repository)) return;
    places.set(digest, known.add(repository));
    for (const child of manifests.get(digest)?.children ?? []) put(child, repository);
    for (const one of referring.get(digest) ?? []) put(one, repository);
  };
  const unnamed = roots.filter(({ digest }) => !named.some((one) => one.digest === digest));
  const referring = new Map<Digest, Digest[]>();
  for (const { digest } of unnamed) {
    const subject = manifests.get(digest)?.subject;
    if (subject !== undefined) referring.set(subject, [...(referring.get(subject) ?? []), digest]);
  }
  for (const { digest, repository } of named) put(digest, repository);
  const found = unnamed.flatMap(({ digest }) =>
    [...(places.get(digest) ?? [])].map((repository) => imageOf(`${repository}@${digest}`, digest)),
  );
  return [...named, ...found];
};
