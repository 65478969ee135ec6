// What the scripted upstream holds: repositories of tags, manifests and blobs in memory, and images made of random bytes.
import { createHash, randomBytes } from "node:crypto";

export const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
const OCI_LAYER = "application/vnd.oci.image.layer.v1.tar";

export type Algorithm = "sha256" | "sha512";

export interface Held {
  readonly digest: string;
  readonly bytes: Buffer;
}

export interface HeldManifest extends Held {
  readonly mediaType: string;
}

export interface Seed {
  readonly repo: string;
  readonly tag?: string;
  /** Each layer's bytes or how many random ones it has; a number alone is one layer. One of 1,000 bytes unless told. */
  readonly layers?: number | readonly (Buffer | number)[];
  /** The tag leads to an index of which the image is the only entry. */
  readonly index?: boolean;
}

export interface Image {
  readonly repo: string;
  readonly tag: string | undefined;
  /** The image's own manifest, also where an index is above it. */
  readonly manifest: HeldManifest;
  readonly index: HeldManifest | undefined;
  /** What the tag leads to: the index where there is one. */
  readonly top: HeldManifest;
  readonly config: Held;
  readonly layers: readonly Held[];
}

export interface Repo {
  readonly tags: Map<string, string>;
  readonly manifests: Map<string, HeldManifest>;
  readonly blobs: Map<string, Buffer>;
}

export const digestOf = (bytes: Buffer, algorithm: Algorithm = "sha256"): string =>
  `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;

export class Content {
  readonly repos = new Map<string, Repo>();
  /** The connection of the next upload that has so many bytes is torn. */
  tearUploadAt: number | undefined;
  /** Of an upload what came of a torn part stays, and only what is appended is taken; else a torn part is as if it had never come. */
  keepsTornParts = false;

  /** Made on first use. */
  repo(name: string): Repo {
    const known = this.repos.get(name) ?? { tags: new Map(), manifests: new Map(), blobs: new Map() };
    this.repos.set(name, known);
    return known;
  }

  seed({ repo, tag, layers = 1_000, index = false }: Seed): Image {
    const sizes = typeof layers === "number" ? [layers] : layers;
    const held = sizes.map((one) => this.putBlob(repo, typeof one === "number" ? randomBytes(one) : one));
    const rootfs = { type: "layers", diff_ids: held.map(({ digest }) => digest) };
    const config = this.putBlob(repo, Buffer.from(JSON.stringify({ architecture: "amd64", os: "linux", config: {}, rootfs })));
    const manifest = this.putManifest(repo, undefined, {
      config: { mediaType: OCI_CONFIG, digest: config.digest, size: config.bytes.length },
      layers: held.map(({ digest, bytes }) => ({ mediaType: OCI_LAYER, digest, size: bytes.length })),
    });
    const entry = { mediaType: OCI_MANIFEST, digest: manifest.digest, size: manifest.bytes.length };
    const manifests = [{ ...entry, platform: { os: "linux", architecture: "amd64" } }];
    const above = index ? this.putManifest(repo, undefined, { manifests }, OCI_INDEX) : undefined;
    const top = above ?? manifest;
    if (tag !== undefined) this.moveTag(repo, tag, top.digest);
    return { repo, tag, manifest, index: above, top, config, layers: held };
  }

  /** Content is the JSON's fields, or its bytes as they are. */
  putManifest(
    repo: string,
    tag: string | undefined,
    content: object | Buffer,
    mediaType = OCI_MANIFEST,
    algorithm: Algorithm = "sha256",
  ): HeldManifest {
    const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...content }));
    const manifest = { digest: digestOf(bytes, algorithm), bytes, mediaType };
    this.repo(repo).manifests.set(manifest.digest, manifest);
    if (tag !== undefined) this.moveTag(repo, tag, manifest.digest);
    return manifest;
  }

  removeManifest(repo: string, digest: string): void {
    this.repo(repo).manifests.delete(digest);
  }

  moveTag(repo: string, tag: string, digest: string): void {
    this.repo(repo).tags.set(tag, digest);
  }

  deleteTag(repo: string, tag: string): void {
    this.repo(repo).tags.delete(tag);
  }

  putBlob(repo: string, bytes: Buffer, algorithm: Algorithm = "sha256"): Held {
    const digest = digestOf(bytes, algorithm);
    this.repo(repo).blobs.set(digest, bytes);
    return { digest, bytes };
  }

  removeBlob(repo: string, digest: string): void {
    this.repo(repo).blobs.delete(digest);
  }
}
