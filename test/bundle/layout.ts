// Image layouts as others make them: a folder with blobs by digest, and an index that names the roots.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { digestOf } from "../../src/oci/digest.ts";
import { emptyFolder } from "../cli/command.ts";

const OCI = "application/vnd.oci.image";
export const MANIFEST_TYPE = `${OCI}.manifest.v1+json`;
export const INDEX_TYPE = `${OCI}.index.v1+json`;
const CONFIG_TYPE = `${OCI}.config.v1+json`;
const REF = "org.opencontainers.image.ref.name";

export const descriptor = (bytes: Buffer, mediaType: string, more: object = {}) => ({
  mediaType,
  digest: digestOf(bytes),
  size: bytes.length,
  ...more,
});

const json = (value: object): Buffer => Buffer.from(JSON.stringify(value));

export interface Made {
  readonly manifest: Buffer;
  readonly blobs: readonly Buffer[];
}

export const image = (seed: string, size = 5_000, more: object = {}): Made => {
  const config = json({ os: "linux", seed });
  const layer = Buffer.alloc(size, `layer ${seed}`);
  const manifest = json({
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: descriptor(config, CONFIG_TYPE),
    layers: [descriptor(layer, `${OCI}.layer.v1.tar+gzip`)],
    ...more,
  });
  return { manifest, blobs: [config, layer, manifest] };
};

/** What it belongs to is not a part of it. */
export const signatureOf = (subject: Buffer): Made =>
  image(`signature of ${digestOf(subject)}`, 100, {
    artifactType: "application/vnd.test.signature",
    subject: descriptor(subject, MANIFEST_TYPE),
  });

/** Of `amd64`, and of `arm64`, which is left out where it says so. */
export const multi = (seed: string, isSparse = false): Made & { readonly children: readonly Made[] } => {
  const children = [image(`${seed} amd64`), image(`${seed} arm64`)];
  const manifest = json({
    schemaVersion: 2,
    mediaType: INDEX_TYPE,
    manifests: children.map((child, i) =>
      descriptor(child.manifest, MANIFEST_TYPE, { platform: { os: "linux", architecture: i === 0 ? "amd64" : "arm64" } }),
    ),
  });
  const held = isSparse ? children.slice(0, 1) : children;
  return { manifest, children, blobs: [...held.flatMap(({ blobs }) => blobs), manifest] };
};

/** The folder of a layout with these roots, by their names; `""`: it has none. */
export const layout = (roots: readonly (readonly [string, Made])[], folder = emptyFolder()): string => {
  mkdirSync(join(folder, "blobs/sha256"), { recursive: true });
  writeFileSync(join(folder, "oci-layout"), '{"imageLayoutVersion": "1.0.0"}');
  const manifests = roots.map(([name, { manifest }]) => {
    const type = (JSON.parse(manifest.toString()) as { mediaType: string }).mediaType;
    return descriptor(manifest, type, name === "" ? {} : { annotations: { [REF]: name } });
  });
  writeFileSync(join(folder, "index.json"), json({ schemaVersion: 2, manifests }));
  for (const bytes of roots.flatMap(([, { blobs }]) => blobs))
    writeFileSync(join(folder, "blobs/sha256", digestOf(bytes).slice("sha256:".length)), bytes);
  return folder;
};
