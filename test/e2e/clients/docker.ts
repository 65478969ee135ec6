// Docker Engines: 20.10, and 29 with either image store. They read /etc/docker/certs.d.
import { Engine, type Kind } from "../engine.ts";
import { outcome, type Ran } from "../part.ts";
import { type Client, digestIn, type Start } from "./client.ts";

const must = async (ran: Promise<Ran>): Promise<string> => {
  const done = await ran;
  if (done.code !== 0) throw new Error(outcome(done));
  return done.out;
};

const docker =
  (kind: Kind, settings: object = {}): Start =>
  async (dir, network): Promise<Client> => {
    const engine = await Engine.start(kind, dir, dir, network, settings);
    let user: string | undefined;
    return {
      async pull(reference) {
        await must(engine.pull(reference, user));
        return digestIn(await must(engine.docker(["image", "inspect", "-f", "{{index .RepoDigests 0}}", reference])));
      },
      async push(image, reference) {
        await engine.load(image, reference);
        return digestIn(await must(engine.push(reference, user)));
      },
      async login(name, host, secret) {
        await must(engine.login(name, host, secret));
        user = name;
      },
      async logout(host) {
        if (user !== undefined) await must(engine.logout(user, host));
      },
      stop: () => engine.stop(),
    };
  };

/** The image store that all older ones have. */
export const CLASSIC_STORE = { features: { "containerd-snapshotter": false } };
/** Debian's 20.10. */
export const docker20 = docker("classic");
/** The newest as it comes, with containerd's image store. */
export const docker29 = docker("containerd");
export const docker29classic = docker("containerd", CLASSIC_STORE);
