// Whether an address and port lead back to this very process: the loop guard of everything that connects out.
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { leadingTo } from "./address-reach.ts";
import { type Address, isWildcard } from "./listen.ts";

/** `listening` are the addresses of our doors. Interfaces that appear later are seen. */
export const ownAddresses =
  (listening: readonly Address[]) =>
  (address: string, port: number): boolean =>
    listening.some(
      (door) =>
        door.port === port && (leadingTo(door.host) === leadingTo(address) || (isWildcard(door.host) && isLocalAddress(address))),
    );

interface Doors {
  readonly https: readonly Address[];
  readonly http: readonly Address[];
  readonly proxy: readonly Address[];
  readonly admin: Address | undefined;
}

/** Every one that speaks TCP with clients. */
export const doorAddresses = ({ https, http, proxy, admin }: Doors): Address[] => [
  ...[...https, ...http, ...proxy],
  ...(admin === undefined ? [] : [admin]),
];

export const isLocalAddress = (text: string): boolean => {
  const address = leadingTo(text);
  if (address === "::1" || (isIP(address) === 4 && address.startsWith("127."))) return true;
  return Object.values(networkInterfaces()).some((list) => list?.some((own) => own.address === address) ?? false);
};
