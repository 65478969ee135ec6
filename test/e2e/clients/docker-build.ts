// `docker build` of Docker Engine 20.10, with the builder that it always had, and with the BuildKit inside it. Its cache is an
// image: whoever wants to use it names it, and the old builder has to have pulled it.
import { Engine } from "../engine.ts";
import { outcome } from "../part.ts";
import { type Builder, contextOf, logIn, type Recipe } from "./builds.ts";
import { digestIn, Place, type Start } from "./client.ts";

const start =
  (kit: "0" | "1"): Start<Builder> =>
  async (dir, network) => {
    const engine = await Engine.start("classic", dir, dir, network);
    const place = await Place.make(dir, network);
    const env = { DOCKER_HOST: `unix://${dir}/sock`, DOCKER_BUILDKIT: kit };
    const docker = async (...args: string[]): Promise<string> => {
      const ran = await place.run(["/usr/bin/docker", ...args], { env });
      if (ran.code !== 0) throw new Error(outcome(ran));
      return ran.err + ran.out;
    };
    const build = async (recipe: Recipe): Promise<string> => {
      const { to, cacheFrom } = recipe;
      const progress = kit === "1" ? ["--progress=plain", "--build-arg=BUILDKIT_INLINE_CACHE=1"] : [];
      const cache = cacheFrom ? ["--cache-from", cacheFrom] : [];
      return docker("build", "--network=none", ...progress, ...cache, "--tag", to ?? "built", await contextOf(recipe, place));
    };
    return {
      async build(recipe) {
        const { to, cacheFrom, cacheTo } = recipe;
        if (cacheFrom && kit === "0") await docker("pull", cacheFrom);
        const log = await build(recipe);
        if (!to) return { log, digest: undefined };
        const digest = digestIn(await docker("push", to));
        if (!cacheTo) return { log, digest };
        await docker("tag", to, cacheTo);
        await docker("push", cacheTo);
        return { log, digest };
      },
      login: (user, host) => logIn(place, user, host),
      stop: () => engine.stop(),
    };
  };

export const dockerBuildClassic = start("0");
export const dockerBuildKit = start("1");
