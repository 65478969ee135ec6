// Clients that build: BuildKit by buildctl, and buildx with BuildKit behind it (driver remote) or an engine (driver docker).
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { Engine, type Network } from "../engine.ts";
import type { Part } from "../part.ts";
import { type Client, digestIn, Place, password, type Start } from "./client.ts";
import { ofBuildkit } from "./mirrors.ts";

/** `to` names an image, `cacheFrom` and `cacheTo` build caches, all of them at registries. */
export type Recipe = { dockerfile: string; to?: string; cacheFrom?: string; cacheTo?: string; file?: Buffer };
/** What the builder said, and the digest of what it pushed. */
export type Built = { log: string; digest: string | undefined };
export type Builder = {
  build(recipe: Recipe): Promise<Built>;
  login(user: string, host: string): Promise<void>;
  stop(): Promise<void>;
};

type Files = { context: string; metadata: string };
/** A recipe as one tool's command line. */
type Command = (recipe: Recipe, files: Files) => string[];

const cache = (ref: string) => `type=registry,ref=${ref}`;

const buildctl =
  (socket: string): Command =>
  ({ to, cacheFrom, cacheTo }, { context, metadata }) => [
    ...["buildctl", "--addr", `unix://${socket}`, "build", "--progress=plain", "--metadata-file", metadata],
    ...[
      "--frontend=dockerfile.v0",
      "--opt",
      "force-network-mode=none",
      "--local",
      `context=${context}`,
      "--local",
      `dockerfile=${context}`,
    ],
    ...(to ? ["--output", `type=image,name=${to},push=true`] : []),
    ...(cacheTo ? ["--export-cache", `${cache(cacheTo)},mode=max`] : []),
    ...(cacheFrom ? ["--import-cache", cache(cacheFrom)] : []),
  ];

const buildx =
  (builder: string): Command =>
  ({ to, cacheFrom, cacheTo }, { context, metadata }) => [
    ...["/usr/bin/docker", "buildx", "build", "--builder", builder, "--progress=plain", "--metadata-file", metadata],
    ...["--network=none", "--provenance=false"],
    ...(to ? ["--push", "--tag", to] : ["--output=type=cacheonly"]),
    ...(cacheTo ? ["--cache-to", `${cache(cacheTo)},mode=max`] : []),
    ...(cacheFrom ? ["--cache-from", cache(cacheFrom)] : []),
    context,
  ];

/** The folder that is built: a Dockerfile, and beside it the recipe's file. */
export const contextOf = async ({ dockerfile, file }: Recipe, place: Place): Promise<string> => {
  const context = place.fresh();
  await mkdir(context);
  await writeFile(`${context}/Dockerfile`, dockerfile);
  if (file) await writeFile(`${context}/file`, file);
  return context;
};

/** What `docker login` leaves behind. */
export const logIn = async (place: Place, user: string, host: string): Promise<void> => {
  const auth = Buffer.from(`${user}:${password(user)}`).toString("base64");
  await writeFile(`${place.env["DOCKER_CONFIG"]}/config.json`, JSON.stringify({ auths: { [host]: { auth } } }));
};

const builderOf = (place: Place, command: Command, env: Record<string, string>, stop: () => Promise<void>): Builder => ({
  async build(recipe) {
    const [context, metadata] = [await contextOf(recipe, place), place.fresh()];
    const { code, out, err } = await place.run(command(recipe, { context, metadata }), { env });
    if (code !== 0) throw new Error(err + out);
    const facts = JSON.parse(await readFile(metadata, "utf8").catch(() => "{}")) as Record<string, string>;
    return { log: err + out, digest: facts["containerimage.digest"] };
  },
  login: (user, host) => logIn(place, user, host),
  stop,
});

/** buildkitd is told of the CA registry by registry. */
export const startBuildkit = async (place: Place, network: Network, ...more: string[]): Promise<Part> => {
  const { dir, socket } = place;
  const hosts = network.ca?.hosts ?? [];
  // one table a registry: of a mirror's own name its mirror's is all there is
  const named = network.mirror === undefined ? hosts : [];
  const settings = named.map((host) => `[registry."${host}"]\n  ca = ["/etc/docker/certs.d/${host}/ca.crt"]\n`);
  await writeFile(`${dir}/buildkitd.toml`, settings.join("") + ofBuildkit(network));
  const argv = ["buildkitd", "--addr", `unix://${socket}`, "--root", `${dir}/root`, "--config", `${dir}/buildkitd.toml`];
  const worker = ["--containerd-worker=false", "--oci-worker-net=host", "--otel-socket-path", `${dir}/otel`];
  return place.daemon([...argv, ...worker, ...more], ["buildctl", "--addr", `unix://${socket}`, "debug", "workers"]);
};

const installBuildx = async (place: Place): Promise<void> => {
  const plugins = `${place.env["DOCKER_CONFIG"]}/cli-plugins`;
  await mkdir(plugins, { recursive: true });
  await symlink(`${process.env["LAYOVER_LAB"]}/bin/docker-buildx`, `${plugins}/docker-buildx`);
};

export const buildkit: Start<Builder> = async (dir, network) => {
  const place = await Place.make(dir, network);
  const daemon = await startBuildkit(place, network);
  return builderOf(place, buildctl(place.socket), {}, () => daemon.stop());
};

export const buildxRemote: Start<Builder> = async (dir, network) => {
  const place = await Place.make(dir, network);
  const daemon = await startBuildkit(place, network);
  await installBuildx(place);
  await place.must(["/usr/bin/docker", "buildx", "create", "--name=lab", "--driver=remote", `unix://${place.socket}`]);
  return builderOf(place, buildx("lab"), {}, () => daemon.stop());
};

/** The BuildKit inside Docker Engine 29, which reads /etc/docker/certs.d. */
export const buildxDocker: Start<Builder> = async (dir, network) => {
  const engine = await Engine.start("containerd", dir, dir, network);
  const place = await Place.make(dir, network);
  await installBuildx(place);
  return builderOf(place, buildx("default"), { DOCKER_HOST: `unix://${dir}/sock` }, () => engine.stop());
};

/** A builder as one more client: it pulls by building FROM an image, and pushes what it has made. */
export const client =
  (start: Start<Builder>): Start =>
  async (dir, network): Promise<Client> => {
    const builder = await start(dir, network);
    return {
      async pull(reference) {
        const { log } = await builder.build({ dockerfile: `FROM ${reference}\nRUN true\n` });
        return digestIn(log.slice(log.indexOf(`FROM ${reference}`)));
      },
      async push(image, reference) {
        const system = { dockerfile: "FROM scratch\nADD file /\n", file: image.layers[0]!.bytes };
        const { digest } = await builder.build({ ...system, to: reference });
        return digest ?? "";
      },
      login: (user, host) => builder.login(user, host),
      stop: () => builder.stop(),
    };
  };
