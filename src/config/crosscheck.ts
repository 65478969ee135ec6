// What no key can know alone: names and addresses that clash with one another, and choices that are allowed but odd.
import { X509Certificate } from "node:crypto";
import { type Address, formatAddress, isWildcard } from "../lib/listen.ts";
import type { MirrorConfig } from "../mirrors.ts";
import type { Site } from "../sites.ts";
import type { MergedSite } from "./builtin.ts";
import type { Config } from "./config.ts";
import { isMirrored } from "./odd-mirror.ts";
import type { Problem } from "./problems.ts";

/** A name answers for one site only, and Layover's own names for none. */
export const clashingNames = (merged: readonly MergedSite[], sites: readonly Site[], own: readonly string[]): Problem[] => {
  const holders = new Map(own.map((name) => [name, "Layover's own name"]));
  return sites.flatMap((site, i) =>
    site.hijackNames.flatMap((name): Problem[] => {
      const holder = holders.get(name);
      holders.set(name, site.host);
      const path = name === site.host ? merged[i]!.at() : merged[i]!.at("aliases");
      return holder === undefined ? [] : [{ path, text: `the name ${name} is already taken: ${holder}` }];
    }),
  );
};

/** What is passed on untouched is nobody's here. Of a name and a suffix above it the name decides, so they go together. */
export const clashingPassthrough = (
  passthrough: readonly string[],
  sites: readonly Pick<Site, "host" | "hijackNames">[],
  own: readonly string[],
): Problem[] => {
  const taken = new Map([
    ...sites.flatMap((site) => [site.host, ...site.hijackNames].map((name) => [name, `the site ${site.host}`] as const)),
    ...own.map((name) => [name, "Layover's own name"] as const),
  ]);
  return passthrough.flatMap((name, i): Problem[] => {
    const holder = taken.get(name);
    const text = `the name ${name} is already taken: ${holder} (a site's own TLS is never passed on)`;
    return holder === undefined ? [] : [{ path: ["passthrough", i], text }];
  });
};

type Listen = Config["listen"];

/** Two doors on one TCP port would fail at start, with less to go by. */
export const clashingDoors = (listen: Listen): Problem[] => {
  const doors = Object.entries({ ...listen, admin: listen.admin === undefined ? [] : [listen.admin] }).flatMap(([key, list]) =>
    (list as readonly Address[]).map((address) => ({ key, address })),
  );
  return doors.flatMap(({ key, address }, i): Problem[] => {
    const earlier = doors.slice(0, i).find((door) => overlap(door.address, address));
    if (earlier === undefined) return [];
    const text = `${formatAddress(address)} is already taken by listen.${earlier.key} (${formatAddress(earlier.address)})`;
    return [{ path: ["listen", key], text }];
  });
};

const overlap = (a: Address, b: Address): boolean =>
  a.port === b.port &&
  a.port !== 0 &&
  (a.host === b.host || ((isWildcard(a.host) || isWildcard(b.host)) && a.host.includes(":") === b.host.includes(":")));

/** Sites whose settings are allowed, and probably not meant. */
export const oddSites = (sites: readonly Site[], mirror: MirrorConfig): string[] =>
  sites.flatMap((site) => [
    ...oddCredentials(site, isMirrored(site, mirror)),
    ...oddCertificate(site),
    ...(site.tokenKeys !== undefined && site.access === "shared"
      ? [`sites.${site.host}.tokenKeys: clients show no tokens here (access: shared), so these are not used`]
      : []),
  ]);

const oddCertificate = ({ host, clientCertificate }: Site): string[] => {
  if (clientCertificate === undefined) return [];
  const { validTo, validToDate } = new X509Certificate(clientCertificate.certificate);
  return validToDate.getTime() > Date.now() ? [] : [`sites.${host}.clientCertificate: has expired (${validTo})`];
};

const oddCredentials = (site: Site, isMirrored: boolean): string[] => {
  const at = `sites.${site.host}.credentials`;
  if (site.credentials === undefined) return [];
  const plain = site.upstreams.find((origin) => origin.protocol === "http:");
  return [
    ...(site.access === "client" && !isMirrored
      ? [
          `${at}: clients pull with their own (access: client), and no entry of \`mirror\` is about the site, so these are not used`,
        ]
      : []),
    ...(plain === undefined ? [] : [`${at}: go to ${plain.origin} without encryption`]),
  ];
};
