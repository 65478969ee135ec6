// What differs between two images: their configurations and their layers.
import { anatomyOf, type NamedPart } from "../oci/anatomy.ts";
import type { Digest } from "../oci/digest.ts";
import { type ImageConfig, parseImageConfig } from "../oci/image-config.ts";
import { MAX_MANIFEST } from "../oci/registry.ts";
import type { BlobStore } from "../store/blobs.ts";
import type { ConfigChange, ImageDiff, LayerEntry, TagDiff } from "./tags-answers.ts";

export type NotHeld = TagDiff["notHeld"][number];

interface Image {
  readonly layers: readonly NamedPart[];
  readonly config: ImageConfig | undefined;
}

/** `undefined`: one of the two is not here, which is in `notHeld`. */
export const diffImages = async (
  blobs: Pick<BlobStore, "readAll">,
  platform: string | undefined,
  [from, to]: readonly [Digest, Digest],
  notHeld: NotHeld[],
): Promise<ImageDiff | undefined> => {
  const before = await imageOf(blobs, "from", from, notHeld);
  const after = await imageOf(blobs, "to", to, notHeld);
  if (before === undefined || after === undefined) return undefined;
  return {
    ...(platform !== undefined && { platform }),
    ...{ from, to },
    config: before.config === undefined || after.config === undefined ? [] : diffConfigs(before.config, after.config),
    layers: diffLayers(before.layers, after.layers),
  };
};

const imageOf = async (
  blobs: Pick<BlobStore, "readAll">,
  side: "from" | "to",
  digest: Digest,
  notHeld: NotHeld[],
): Promise<Image | undefined> => {
  const bytes = await blobs.readAll(digest, MAX_MANIFEST);
  if (bytes === undefined) {
    notHeld.push({ side, digest, what: "manifest" });
    return undefined;
  }
  const { parts } = anatomyOf(bytes);
  const config = parts.find(({ role }) => role === "config");
  const configured = config === undefined ? undefined : await blobs.readAll(config.digest, MAX_MANIFEST);
  if (config !== undefined && configured === undefined) notHeld.push({ side, digest: config.digest, what: "config" });
  return {
    layers: parts.filter(({ role }) => role === "layer"),
    config: configured === undefined ? undefined : parseImageConfig(configured),
  };
};

const diffLayers = (before: readonly NamedPart[], after: readonly NamedPart[]): ImageDiff["layers"] => {
  const [had, has] = [byDigest(before), byDigest(after)];
  const shared = [...has.values()].filter(({ digest }) => had.has(digest));
  return {
    shared: { count: shared.length, bytes: shared.reduce((sum, { size = 0 }) => sum + size, 0) },
    removed: [...had.values()].filter(({ digest }) => !has.has(digest)).map(layerOf),
    added: [...has.values()].filter(({ digest }) => !had.has(digest)).map(layerOf),
  };
};

const byDigest = (layers: readonly NamedPart[]) => new Map(layers.map((layer) => [layer.digest, layer] as const));

const layerOf = ({ digest, size }: NamedPart): LayerEntry => ({ digest, ...(size !== undefined && { size }) });

const diffConfigs = (before: ImageConfig, after: ImageConfig): ConfigChange[] => [
  ...(["created", "platform", "user", "workdir", "entrypoint", "cmd"] as const).flatMap((what) =>
    change(what, undefined, before[what], after[what]),
  ),
  ...named("env", before.env, after.env),
  ...named("label", before.labels, after.labels),
  ...named("port", before.ports, after.ports),
  ...named("volume", before.volumes, after.volumes),
];

type Named = ReadonlyMap<string, string>;

const named = (what: ConfigChange["what"], before: Named, after: Named): ConfigChange[] =>
  [...new Set([...before.keys(), ...after.keys()])]
    .sort()
    .flatMap((name) => change(what, name, before.get(name), after.get(name)));

const change = (
  what: ConfigChange["what"],
  name: string | undefined,
  from: string | undefined,
  to: string | undefined,
): ConfigChange[] =>
  from === to
    ? []
    : [{ what, ...(name !== undefined && { name }), ...(from !== undefined && { from }), ...(to !== undefined && { to }) }];
