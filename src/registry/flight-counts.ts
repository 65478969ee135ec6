// What is counted of flights, from the start of the process on.
import { Counters } from "../lib/counters.ts";
import { REASONS } from "./flight-end.ts";

const FLIGHT_COUNTS = [
  ...(["begun", "joined", "resumed", "retried", "parked", "abandoned", "landed", "alone"] as const),
  ...REASONS.map((reason) => `failed.${reason}` as const),
] as const;

export type FlightCount = (typeof FLIGHT_COUNTS)[number];
export type FlightCounts = Counters<FlightCount>;

export const flightCounts = (): FlightCounts => new Counters(FLIGHT_COUNTS);
