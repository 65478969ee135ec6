// Split DNS: names at and under some zones are asked of resolvers of their own, and of those alone, for others know nothing or too much.
import { ZoneTable } from "../lib/zone-table.ts";
import type { Forwarder } from "./answer.ts";

export const split = (zones: Iterable<readonly [string, Forwarder]>, rest: Forwarder): Forwarder => {
  const table = new ZoneTable(zones);
  return { forward: (query) => (table.find(query.qname) ?? rest).forward(query) };
};
