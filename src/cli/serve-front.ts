// The front-end half of `serve`: alone, or as the child of the half that owns DNS, which it tells of the configuration and of itself.

import type { FrontEnd } from "../app.ts";
import { loadApart } from "../config/apart.ts";
import type { Config } from "../config/config.ts";
import type { Logger } from "../lib/log.ts";
import type { Site } from "../sites.ts";
import { announce } from "./announce.ts";
import { ending } from "./ending.ts";
import { farewell } from "./farewell.ts";
import { keepCompiled, prepare, tellParent } from "./half.ts";
import { onReload } from "./reload.ts";
import { BEAT, type ParentConfig } from "./supervise.ts";

/** Ends the process when it is told to. Rejects with what the user has to mend. */
export const serveFront = async (file: string | undefined): Promise<void> => {
  const end = ending();
  const preparing = prepare(loadApart(file, end.begun));
  const loading = import("../app.ts"); // while the other process reads
  loading.catch(() => undefined); // it is waited for below
  const prepared = await preparing;
  if (prepared === undefined) process.exit(0); // nothing has begun that would have to end well
  const { config, log } = prepared;
  const hasParent = process.send !== undefined;
  void tellParent({ kind: "config", config: forParent(config) });
  const { frontEnd } = await loading;
  const front = await Promise.race([frontEnd(config, log), end.begun]);
  if (front === undefined) process.exit(0);
  const ready = { kind: "ready", ...front.identity, bypassed: front.isBypassed() } as const;
  if (!hasParent) {
    announce(config, log, ready, []);
    onReload(end, log, () => stays(log));
  }
  void tellParent(ready);
  const tell = telling(front);
  setInterval(tell, BEAT); // to the end: a parent that hears nothing would not wait for it
  keepCompiled();
  await end.begun;
  front.depart();
  tell();
  await farewell(front, end);
  process.exit(0);
};

/** Nobody would answer in its place: whoever restarts it has others that do. */
const stays = async (log: Logger): Promise<void> => {
  log.warn("a front end alone takes up other files by a restart: reload has changed nothing");
};

/** A store that hangs is asked once, and the beat misses: the parent hears the silence. */
const telling = ({ condition }: Pick<FrontEnd, "condition">): (() => void) => {
  let isAsking = false;
  const once = async () => {
    if (isAsking) return;
    isAsking = true;
    const now = await condition();
    isAsking = false;
    await tellParent({ kind: "beat", ...now });
  };
  return () => void once();
};

/** Named one by one: nothing secret leaves this process. */
const forParent = ({
  listen,
  names,
  answer,
  answerIn,
  hijackFor,
  resolvers,
  splits,
  trust,
  clients,
  log,
  warnings,
  ca,
  sites,
  wildcards,
  excluded,
  passthrough,
}: Config): ParentConfig => ({
  ...{ listen, names, answer, answerIn, hijackFor, resolvers, splits, trust, clients, log, warnings, excluded, passthrough },
  ca: { certificate: ca.certificate },
  sites: sites.map(forDns),
  wildcards: wildcards.map(forDns),
});

const forDns = ({ host, hijackNames, failOpen }: Site) => ({ host, hijackNames, failOpen });
