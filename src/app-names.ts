// How our own connections find names: by the configured resolvers, never by the system's, which may be ourselves.
import type { Config } from "./config/config.ts";
import type { Logger } from "./lib/log.ts";
import { parseResolver } from "./lib/resolver-address.ts";
import { type Names, plainNames } from "./upstream/plain-names.ts";

type NamesConfig = Pick<Config, "resolvers" | "splits" | "trust">;

export const namesOf = (config: NamesConfig, log: Logger): Names => {
  const { resolvers, splits } = config;
  const all = [...resolvers, ...splits.flatMap((one) => one.resolvers)];
  return all.every((one) => parseResolver(one).kind === "plain") ? plainNames(resolvers, splits) : encryptedNames(config, log);
};

/** What speaks to them is loaded with the first name. */
const encryptedNames = (config: NamesConfig, log: Logger): Names => {
  const open = async () => {
    const [{ openResolvers }, { addressesOf }] = await Promise.all([import("./dns/resolvers.ts"), import("./dns/names.ts")]);
    return { resolvers: await openResolvers(config, log), addressesOf };
  };
  let opened: ReturnType<typeof open> | undefined;
  return {
    find: async (host, family) => {
      opened ??= open();
      const { resolvers, addressesOf } = await opened;
      return addressesOf(host, family, resolvers);
    },
    close: () => void opened?.then(({ resolvers }) => resolvers.close()),
  };
};
