// An HTTP proxy towards the internet, which wants to know who asks: tinyproxy.
import { readFile, writeFile } from "node:fs/promises";
import { Place, type Start } from "./clients/client.ts";

const [ADDRESS, PORT] = ["10.77.0.10", 8888];
const [USER, PASSWORD] = ["builds", "the-secret-of-the-proxy"];
export const PROXY = { url: `http://${USER}:${PASSWORD}@${ADDRESS}:${PORT}`, secret: PASSWORD };

export type HttpProxy = {
  /** Where connections were asked for, host and port, each as often as it was. */
  asked(): Promise<string[]>;
  stop(): Promise<void>;
};

/** It looks up names on `network`. */
export const httpProxy: Start<HttpProxy> = async (dir, network) => {
  const place = await Place.make(dir, network);
  const log = `${dir}/asked`;
  const settings = [`Listen ${ADDRESS}`, `Port ${PORT}`, `BasicAuth ${USER} ${PASSWORD}`, "LogLevel Connect", `LogFile "${log}"`];
  await writeFile(`${dir}/tinyproxy.conf`, [...settings, ""].join("\n"));
  const ready = ["curl", "-s", "-o", "/dev/null", `http://${ADDRESS}:${PORT}/`];
  const daemon = await place.daemon(["tinyproxy", "-d", "-c", `${dir}/tinyproxy.conf`], ready);
  return {
    async asked() {
      const text = await readFile(log, "utf8");
      return [...text.matchAll(/ CONNECT (\S+) HTTP/g)].map(([, where]) => where!);
    },
    stop: () => daemon.stop(),
  };
};
