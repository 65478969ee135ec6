// The front-end half of `serve`: alone, or as the child of the half that owns DNS, which it tells of the configuration and of itself.
import { loadApart } from "../config/apart.ts";
import type { Config } from "../config/config.ts";
import type { Site } from "../sites.ts";
import { announce } from "./announce.ts";
import { DRAIN, ended, keepCompiled, prepare, tellParent } from "./half.ts";
import { BEAT, type ParentConfig } from "./supervise.ts";

/** Ends the process when it is told to. Rejects with what the user has to mend. */
export const serveFront = async (file: string | undefined): Promise<void> => {
  const over = ended();
  const preparing = prepare(loadApart(file, over));
  const loading = import("../app.ts"); // while the other process reads
  loading.catch(() => undefined); // it is waited for below
  const prepared = await preparing;
  if (prepared === undefined) process.exit(0); // nothing has begun that would have to end well
  const { config, log } = prepared;
  const hasParent = process.send !== undefined;
  void tellParent({ kind: "config", config: forParent(config) });
  const { frontEnd } = await loading;
  const front = await Promise.race([frontEnd(config, log), over]);
  if (front === undefined) process.exit(0);
  const ready = { kind: "ready", ...front.identity, bypassed: front.isBypassed() } as const;
  if (!hasParent) announce(config, log, ready, []);
  void tellParent(ready);
  const beat = setInterval(() => void front.condition().then((now) => tellParent({ kind: "beat", ...now })), BEAT);
  keepCompiled();
  await over;
  clearInterval(beat);
  await front.close(DRAIN);
  process.exit(0);
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
