// What `serve` says when it is up: a banner for people, one line for programs.
import type { Config } from "../config/config.ts";
import { describeAnswers } from "../lib/answers.ts";
import { isWildcard } from "../lib/listen.ts";
import { isReadable, type Logger } from "../lib/log.ts";
import type { FrontReady } from "./supervise.ts";

type Announced = Pick<Config, "log" | "answer" | "answerIn" | "listen" | "warnings"> & {
  readonly ca: Pick<Config["ca"], "certificate">;
};

export const announce = (config: Announced, log: Logger, ready: FrontReady, dns: readonly string[]): void => {
  const answer = answerOf(config);
  const { names, fingerprints, addresses: doors, admin } = ready;
  if (isReadable(config.log)) process.stdout.write(banner(config, ready, answer, dns));
  else
    log.info(
      { names, answer, dns, doors, admin, ca: config.ca.certificate, fingerprints, next: "layover setup docker" },
      "ready",
    );
  for (const warning of config.warnings) log.warn(warning);
};

/** What hijacked names lead to; in words where it depends on the client. */
const answerOf = (config: Announced): string => {
  const [only, ...others] = config.listen.https.map(({ host }) => host);
  const isOne = only !== undefined && others.length === 0 && !isWildcard(only);
  return describeAnswers(config, isOne ? only : "the address by which each client reaches this machine");
};

const banner = (
  config: Announced,
  { names, fingerprints, addresses, admin }: FrontReady,
  answer: string,
  dns: readonly string[],
): string => `
Layover stands in for   ${names.join(", ")}
and answers with        ${answer}
DNS                     ${dns.join(", ") || "off"}
doors                   ${addresses.join(", ")}
admin                   ${admin ?? "off"}
CA certificate          ${config.ca.certificate}
${fingerprints.map((fingerprint) => `SHA-256                 ${fingerprint}`).join("\n")}

Next, on a Docker host: point its DNS here and let it trust the CA; this prints how:
  npm run -s layover -- setup docker        (or: curl http://<this machine>/setup/docker)

`;
