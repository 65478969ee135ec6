// The doors of one kind, on all their addresses: one that this machine does not have yet is opened when it comes.
import { isIPv4, isIPv6 } from "node:net";
import { type Address, explainListenError } from "../lib/listen.ts";
import { listenEach } from "../lib/listen-each.ts";
import type { Logger } from "../lib/log.ts";
import { SetupError } from "../lib/setup-error.ts";
import type { Door } from "./exchange.ts";
import { type DoorOptions, openDoor } from "./server.ts";

export interface Doors {
  /** Of those that were open at the start. */
  readonly addresses: readonly Address[];
  /** No new requests; what is under way goes on until `signal`. */
  drain(signal: AbortSignal): Promise<void>;
}

/** Throws SetupError. */
export const openDoors = async (
  kind: Door | "proxy",
  places: readonly Address[],
  options: Omit<DoorOptions, "door" | "address" | "ipv6Only">,
  log: Logger,
): Promise<Doors> => {
  const key = `listen.${kind}`;
  const door = kind === "proxy" ? "http" : kind;
  const hasIPv4 = places.some(({ host }) => isIPv4(host));
  const { opened, stop } = await listenEach(places, {
    open: (address) => openDoor({ door, address, ipv6Only: isIPv6(address.host) && hasIPv4, ...options }),
    close: (one) => one.drain(AbortSignal.timeout(0)),
    ...{ key, log },
  }).catch((error: unknown) => {
    throw new SetupError(explainListenError(error, { key, what: kind.toUpperCase(), transport: "tcp" }));
  });
  return {
    addresses: opened.map(({ address }) => address),
    async drain(signal) {
      await stop();
      await Promise.all(opened.map((one) => one.drain(signal)));
    },
  };
};
