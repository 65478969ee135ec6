// What a unit of systemd has to know of this installation: where its parts are, what it writes to and listens on.
import { fileURLToPath } from "node:url";
import type { Config } from "../config/config.ts";
import { foldersOf, type Service } from "../setup/service.ts";
import { IN_PEACE } from "./ending.ts";

export const serviceOf = ({ file, data, ca, listen }: Config, only: Service["only"]): Service => {
  const doors = [...listen.https, ...listen.http, ...listen.proxy, ...(listen.admin ? [listen.admin] : [])];
  const addresses = [...(only === "front" ? [] : listen.dns), ...(only === "dns" ? [] : doors)];
  return {
    only,
    node: process.execPath,
    script: fileURLToPath(new URL("../../scripts/layover.mjs", import.meta.url)),
    config: file,
    folders: foldersOf(data, ca.certificate, ca.key),
    lowPorts: addresses.some(({ port }) => port < 1_024),
    drain: IN_PEACE.grace + IN_PEACE.drain,
  };
};
