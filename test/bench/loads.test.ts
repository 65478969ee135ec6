import { describe, expect, it } from "vitest";
import { parseDnsperf } from "./dnsperf.ts";
import { parseWrk } from "./wrk.ts";

const WRK = `Running 2s test @ https://ghcr.io/v2/bench/app/manifests/1.0
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   521.11us  203.02us   6.48ms   89.56%
    Req/Sec    30.85k     1.66k   33.04k    85.00%
  61387 requests in 2.00s, 84.30MB read
Requests/sec:  30677.02
Transfer/sec:     42.13MB
`;

const DNSPERF = `DNS Performance Testing Tool
Version 2.10.0

[Status] Testing complete (time limit)

Statistics:

  Queries sent:         90412
  Queries completed:    90410 (100.00%)
  Queries lost:         2 (0.00%)

  Response codes:       NOERROR 90409 (100.00%), SERVFAIL 1 (0.00%)
  Average packet size:  request 32, response 41
  Run time (s):         2.000071
  Queries per second:   45203.395000

  Average Latency (s):  0.001965 (min 0.000062, max 0.022158)
`;

describe("wrk", () => {
  it("counts requests, time and what was read", () => {
    expect(parseWrk(WRK)).toEqual({ requests: 61_387, seconds: 2, failed: 0, mebibytes: 84.3 });
  });

  it("counts every kind of failure", () => {
    const text = WRK.replace(
      "Requests/sec",
      "  Socket errors: connect 1, read 2, write 3, timeout 4\n  Non-2xx or 3xx responses: 5\nRequests/sec",
    );
    expect(parseWrk(text).failed).toBe(15);
  });

  it("knows its units of time and size", () => {
    const of = (line: string) => parseWrk(WRK.replace("61387 requests in 2.00s, 84.30MB read", line));
    expect(of("7 requests in 1.50m, 2.00GB read")).toMatchObject({ seconds: 90, mebibytes: 2048 });
    expect(of("7 requests in 500.00ms, 512.00KB read")).toMatchObject({ seconds: 0.5, mebibytes: 0.5 });
  });

  it("does not take silence for a result", () => {
    expect(() => parseWrk("unable to connect to ghcr.io:https Connection refused")).toThrow("Connection refused");
  });
});

describe("dnsperf", () => {
  it("counts answers, good ones and lost ones", () => {
    expect(parseDnsperf(DNSPERF)).toEqual({ completed: 90_410, lost: 2, good: 90_409, perSecond: 45_203.395 });
  });

  it("does not take silence for a result", () => {
    expect(() => parseDnsperf("Error: sending packet: Network is unreachable")).toThrow("unreachable");
  });

  it("finds no good answers only where it says none", () => {
    expect(() => parseDnsperf(DNSPERF.replace("NOERROR 90409", "SERVFAIL 90409"))).toThrow("nothing of use");
  });
});
