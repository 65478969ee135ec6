// A bundle as it lies in its file: an OCI image layout in a tar (image-spec, image-layout.md), and beside it what `docker load` reads. The same plan
// is the same bytes, and where each of them lies is known before the first is written.
import type { BundleRoot, DockerImage, ExportPlan } from "../admin/answers.ts";
import { END, headerOf, paddingOf } from "../lib/tar.ts";
import type { Digest } from "../oci/digest.ts";
import { blobPath, CONTAINERD_NAME, DOCKER, INDEX, INDEX_TYPE, LAYOUT, LAYOUT_TEXT, REF_NAME } from "../oci/image-layout.ts";

export type Piece = { readonly bytes: Buffer } | { readonly digest: Digest; readonly size: number };

export const sizeOf = (piece: Piece): number => ("bytes" in piece ? piece.bytes.length : piece.size);

/** Who reads it as it comes knows first what is to come. */
export const piecesOf = ({ roots, docker, blobs }: Pick<ExportPlan, "roots" | "docker" | "blobs">): Piece[] => {
  const algorithms = [...new Set(blobs.map(({ digest }) => digest.slice(0, digest.indexOf(":"))))].sort();
  return [
    ...file(LAYOUT, LAYOUT_TEXT),
    ...file(INDEX, JSON.stringify(indexOf(roots))),
    ...(docker.length === 0 ? [] : file(DOCKER, JSON.stringify(docker.map(dockerEntry)))),
    ...["blobs/", ...algorithms.map((algorithm) => `blobs/${algorithm}/`)].map((name) => ({ bytes: headerOf(name, 0) })),
    ...blobs.flatMap(({ digest, size }) => blob(digest as Digest, size)),
    { bytes: END },
  ];
};

const file = (name: string, text: string): Piece[] => {
  const bytes = Buffer.from(text);
  return [{ bytes: Buffer.concat([headerOf(name, bytes.length), bytes, Buffer.alloc(paddingOf(bytes.length))]) }];
};

const blob = (digest: Digest, size: number): Piece[] => [
  { bytes: headerOf(blobPath(digest), size) },
  { digest, size },
  ...(paddingOf(size) === 0 ? [] : [{ bytes: Buffer.alloc(paddingOf(size)) }]),
];

/** skopeo and podman find an image by the first annotation, containerd and Docker by the second. */
const indexOf = (roots: readonly BundleRoot[]): object => ({
  schemaVersion: 2,
  mediaType: INDEX_TYPE,
  manifests: roots.map(({ reference, mediaType, digest, size }) => ({
    mediaType,
    digest,
    size,
    ...(reference !== undefined && { annotations: { [REF_NAME]: reference, [CONTAINERD_NAME]: reference } }),
  })),
});

const dockerEntry = ({ name, config, layers }: DockerImage): object => ({
  Config: blobPath(config as Digest),
  RepoTags: [name],
  Layers: layers.map((layer) => blobPath(layer as Digest)),
});
