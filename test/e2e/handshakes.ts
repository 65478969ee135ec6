// Clients that do nothing but handshakes at Layover's TLS door, one after the other, and keep account of them.
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "node:tls";
import { ADDRESS } from "./layover.ts";
import { run } from "./part.ts";

interface Try {
  /** Milliseconds. */
  readonly began: number;
  readonly ended: number;
  /** Why it failed. */
  readonly reason: string | undefined;
}

/** Until it is stopped, and for a minute at most. */
export const hammer = (attempt: () => Promise<string | undefined>, hands = 2) => {
  const tries: Try[] = [];
  let over = false;
  const deadline = Date.now() + 60_000;
  const work = async (): Promise<void> => {
    while (!over && Date.now() < deadline) {
      const began = Date.now();
      const reason = await attempt();
      tries.push({ began, ended: Date.now(), reason });
      await sleep(10);
    }
  };
  const done = Promise.all(Array.from({ length: hands }, work));
  const stop = async (): Promise<readonly Try[]> => {
    over = true;
    await done;
    return tries;
  };
  return { stop };
};

/** With the roots that the file holds at that moment. */
export const byNode = (name: string, roots: string) => async (): Promise<string | undefined> => {
  const ca = await readFile(roots, "utf8");
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const socket = connect({ host: ADDRESS, port: 443, servername: name, ca }, () => resolve(undefined));
  socket.on("error", (error) => resolve(error.message)).setTimeout(10_000, () => resolve("silent"));
  return promise.finally(() => socket.destroy());
};

export const byCurl = (name: string, roots: string) => async (): Promise<string | undefined> => {
  const target = ["--resolve", `${name}:443:${ADDRESS}`, `https://${name}/v2/`];
  const { code, err } = await run(["curl", "-sS", "-o", "/dev/null", "--max-time", "10", "--cacert", roots, ...target]);
  return code === 0 ? undefined : err;
};

export const byOpenssl = (name: string, roots: string) => async (): Promise<string | undefined> => {
  const trust = ["-no-CApath", "-no-CAstore", "-CAfile", roots, "-x509_strict", "-verify_return_error", "-verify_hostname", name];
  const { code, err } = await run(["openssl", "s_client", "-connect", `${ADDRESS}:443`, "-servername", name, "-brief", ...trust]);
  return code === 0 ? undefined : err;
};
