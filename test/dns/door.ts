// A whole DNS door on 127.0.0.1 for the tests: ghcr.io is ours, the rest goes to the given relay.
import type { Query } from "../../src/dns/prescreen.ts";
import { type DnsOptions, serveDns } from "../../src/dns/server.ts";
import { createZone } from "../../src/dns/zone.ts";
import { HostTable } from "../../src/lib/host-table.ts";
import { silent } from "../../src/lib/log.ts";
import { replyTo } from "./message.ts";

export const echoRelay = { forward: async ({ message }: Query) => replyTo(message, ["192.0.2.7"]) };

export const openDoor = async (given: Partial<DnsOptions> = {}) => {
  const zone = createZone({
    names: new HostTable([["ghcr.io", { failOpen: true }]]),
    addressesFor: () => ["10.0.0.1"],
    hijackFor: () => true,
    healthy: () => true,
  });
  const door = await serveDns({ listen: ["127.0.0.1:0"], zone, relay: echoRelay, clients: () => true, log: silent, ...given });
  return { ...door, address: door.addresses[0]!, zone, [Symbol.asyncDispose]: () => door.close() };
};
