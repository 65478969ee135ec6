// Images made without any registry: busybox in one layer, random bytes in another, so that byte counts mean something.
import { createHash, randomBytes } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";

export type Blob = { digest: string; bytes: Buffer };
export type Layer = Blob & { tar: Buffer };
type Entry = { path: string; body?: Buffer; link?: string };

const INDEX = "application/vnd.oci.image.index.v1+json";
const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const CONFIG = "application/vnd.oci.image.config.v1+json";
const LAYER = "application/vnd.oci.image.layer.v1.tar+gzip";
const BUSYBOX = "/usr/bin/busybox";
/** What this machine runs, in the words of image configurations. */
const NATIVE = process.arch === "arm64" ? "arm64" : "amd64";
const FOREIGN = ["arm64", "amd64", "s390x"].filter((each) => each !== NATIVE);

export const sha256 = (bytes: Buffer): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
const blob = (bytes: Buffer): Blob => ({ digest: sha256(bytes), bytes });

// POSIX ustar: a 512 byte header, then the body padded to whole blocks.
const header = ({ path, body, link }: Entry): Buffer => {
  const head = Buffer.alloc(512);
  const octal = (value: number, length: number) => `${value.toString(8).padStart(length - 1, "0")}\0`;
  head.write(path, 0, 100);
  head.write(octal(0o755, 8) + octal(0, 8) + octal(0, 8) + octal(body?.length ?? 0, 12) + octal(0, 12), 100);
  head.write(`        ${link ? "2" : "0"}`, 148);
  head.write(link ?? "", 157, 100);
  head.write("ustar\x0000", 257);
  head.write(
    octal(
      head.reduce((sum, byte) => sum + byte, 0),
      7,
    ),
    148,
  );
  return head;
};

export const tar = (entries: readonly Entry[]): Buffer =>
  Buffer.concat([
    ...entries.flatMap((entry) => [header(entry), entry.body ?? Buffer.alloc(0), Buffer.alloc(-(entry.body?.length ?? 0) & 511)]),
    Buffer.alloc(1024),
  ]);

const layer = (entries: readonly Entry[]): Layer => {
  const bytes = tar(entries);
  return { ...blob(gzipSync(bytes, { level: 1 })), tar: bytes };
};

const describe = (mediaType: string, { digest, bytes }: Blob) => ({ mediaType, digest, size: bytes.length });

export class Image {
  readonly config: Blob;
  readonly layers: readonly Layer[];
  readonly manifest: Blob;
  readonly mediaType = MANIFEST;

  readonly architecture: string;

  private constructor(layers: readonly Layer[], architecture: string) {
    this.layers = layers;
    this.architecture = architecture;
    const rootfs = { type: "layers", diff_ids: layers.map(({ tar }) => sha256(tar)) };
    const history = layers.map(() => ({ created: "2025-01-01T00:00:00Z", created_by: "lab" }));
    const runs = { Entrypoint: ["/bin/busybox"], Env: ["PATH=/bin"] };
    const facts = { created: "2025-01-01T00:00:00Z", architecture, os: "linux" };
    this.config = blob(Buffer.from(JSON.stringify({ ...facts, config: runs, rootfs, history })));
    const parts = { config: describe(CONFIG, this.config), layers: layers.map((each) => describe(LAYER, each)) };
    this.manifest = blob(Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, ...parts })));
  }

  /** A new image that shares no blob with any other; `size` is that of its random layer. */
  static async make(size = 20 * 1024 * 1024, architecture = NATIVE): Promise<Image> {
    const busybox = { path: "bin/busybox", body: await readFile(BUSYBOX) };
    const system = [busybox, { path: "bin/sh", link: "busybox" }, { path: "serial", body: randomBytes(16) }];
    return new Image([layer(system), layer([{ path: "random", body: randomBytes(size) }])], architecture);
  }

  /** An image of just these layers: the same bytes each time. */
  static of(layers: readonly Layer[], architecture: string): Image {
    return new Image(layers, architecture);
  }

  get blobs(): readonly Blob[] {
    return [this.config, ...this.layers];
  }

  /** Bytes of its config and layers: what a cold pull moves. */
  get size(): number {
    return this.blobs.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  /** Writes what `docker load` reads, under a name. */
  async save(path: string, name: string): Promise<void> {
    const manifest = [{ Config: "config.json", RepoTags: [name], Layers: this.layers.map((_, n) => `${n}.tar`) }];
    const layers = this.layers.map((each, n) => ({ path: `${n}.tar`, body: each.tar }));
    const body = Buffer.from(JSON.stringify(manifest));
    await writeFile(path, tar([{ path: "config.json", body: this.config.bytes }, ...layers, { path: "manifest.json", body }]));
  }

  /** Writes an OCI layout, which skopeo reads as `oci:<dir>:<tag>`. */
  async layout(dir: string, tag: string): Promise<void> {
    await mkdir(`${dir}/blobs/sha256`, { recursive: true });
    for (const { digest, bytes } of [...this.blobs, this.manifest])
      await writeFile(`${dir}/blobs/${digest.replace(":", "/")}`, bytes);
    const annotations = { "org.opencontainers.image.ref.name": tag };
    await writeFile(`${dir}/oci-layout`, JSON.stringify({ imageLayoutVersion: "1.0.0" }));
    await writeFile(
      `${dir}/index.json`,
      JSON.stringify({ schemaVersion: 2, manifests: [{ ...describe(MANIFEST, this.manifest), annotations }] }),
    );
  }
}

/** A multi-platform image: one for this machine, and others that no client here has a use for. */
export class Index {
  readonly wanted: Image;
  readonly images: readonly Image[];
  readonly manifest: Blob;
  readonly mediaType = INDEX;

  private constructor(foreign: readonly Image[], wanted: Image) {
    this.wanted = wanted;
    this.images = [...foreign, wanted];
    const manifests = this.images.map(({ manifest, architecture }) => ({
      ...describe(MANIFEST, manifest),
      platform: { architecture, os: "linux" },
    }));
    this.manifest = blob(Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests })));
  }

  static async make(size: number): Promise<Index> {
    return new Index(await Promise.all(FOREIGN.map((each) => Image.make(size, each))), await Image.make(size));
  }
}
