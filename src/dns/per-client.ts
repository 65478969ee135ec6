// What is always the same for a client, by its address, found out once while it keeps asking.
import { LRUCache } from "lru-cache";

const KEPT = 4_096;

export const perClient = <T extends boolean | string | object>(find: (address: string) => T): ((address: string) => T) => {
  const known = new LRUCache<string, T>({ max: KEPT });
  return (address) => {
    const held = known.get(address);
    if (held !== undefined) return held;
    const found = find(address);
    known.set(address, found);
    return found;
  };
};
