// The halves apart: two DNS for a farm of two front ends, one of which dies, hangs, is bypassed, or is another program altogether.
import { expect, it } from "vitest";
import { freePort } from "../front.ts";
import { layover } from "./command.ts";
import { eventually, internet, REAL, Serving } from "./serving.ts";

const ONE = "127.0.0.21";
const OTHER = "127.0.0.22";
/** Within which a front end that hangs is to be found out, and some for a busy machine. */
const FOUND_OUT = 4_500;

interface Farm {
  readonly fronts: Serving[];
  readonly dns: Serving[];
}

const farm = async (listen: (port: number, host: string) => object): Promise<Farm> => {
  const resolvers = await internet();
  const port = await freePort();
  const admin = await freePort();
  const sites = { "kept.example": { failOpen: false } };
  const front = async (host: string) => {
    const doors = { dns: [], admin: `${host}:${admin}`, ...listen(port, host) };
    return Serving.make({ sites, resolvers, listen: doors }, ["--only", "front"], { host, http: `${host}:${port}` });
  };
  const dns = async () => {
    const doors = { admin: [], ...listen(port, "0.0.0.0") };
    // a list of the mirror that is not there just now is no affair of theirs
    return Serving.make({ sites, resolvers, answer: [ONE, OTHER], listen: doors, mirror: "./absent.yaml" }, ["--only", "dns"]);
  };
  const made = { fronts: [await front(ONE), await front(OTHER)], dns: [await dns(), await dns()] };
  for (const each of [...made.fronts, ...made.dns]) each.start();
  return made;
};

/** What a name leads to, asked so often that every front end that is answered would have come first once. */
const firsts = async (dns: Serving, name = "ghcr.io"): Promise<string[]> => {
  const all = await Promise.all(Array.from({ length: 24 }, () => dns.address(name)));
  return [...new Set(all)].toSorted();
};

const lead = (dns: Serving, to: readonly string[], ms: number): Promise<number> =>
  eventually(`names to lead to ${to.join()}`, ms, async () => (await firsts(dns)).join() === to.join());

it("answers with those that are well, in changing order; with none, names fail open but for those that do not", async () => {
  const { fronts, dns } = await farm((port, host) => ({ http: `${host}:${port}`, https: `${host}:0` }));
  for (const half of dns) await lead(half, [ONE, OTHER], 15_000);

  fronts[0]!.kill("SIGKILL");
  for (const half of dns) await lead(half, [OTHER], FOUND_OUT);
  fronts[1]!.kill("SIGSTOP");
  const hanging = await Promise.all(dns.map((half) => lead(half, [REAL], FOUND_OUT)));
  console.log(`a front end that hangs was found out after ${hanging.map(Math.round).join(" and ")} ms`);
  expect(await dns[0]!.addresses("kept.example")).toEqual([ONE, OTHER]);
  fronts[1]!.kill("SIGCONT");
  for (const half of dns) await lead(half, [OTHER], 8_000);

  fronts[0]!.start();
  for (const half of dns) await lead(half, [ONE, OTHER], 15_000);
  expect((await layover(["bypass", "on", "-c", "layover.yaml"], fronts[1]!.folder)).code).toBe(0);
  for (const half of dns) await lead(half, [ONE], FOUND_OUT);
  expect((await layover(["bypass", "off", "-c", "layover.yaml"], fronts[1]!.folder)).code).toBe(0);
  for (const half of dns) await lead(half, [ONE, OTHER], FOUND_OUT);

  // stopped in peace it goes on serving, and DNS knows at once
  fronts[0]!.kill("SIGTERM");
  for (const half of dns) await lead(half, [OTHER], 2_500);
  expect(await fronts[0]!.ended()).toMatchObject({ code: 0 });
}, 90_000);

it("asks by TLS where the plain door is off", async () => {
  const { fronts, dns } = await farm((port, host) => ({ http: [], https: `${host}:${port}` }));
  for (const half of dns) await lead(half, [ONE, OTHER], 15_000);
  fronts[1]!.kill("SIGSTOP");
  for (const half of dns) await lead(half, [ONE], FOUND_OUT);
}, 40_000);

it("takes up another configuration on SIGHUP, and keeps to its own where that is wrong", async () => {
  const { fronts, dns } = await farm((port, host) => ({ http: `${host}:${port}`, https: `${host}:0` }));
  const [half] = dns as [Serving, Serving];
  await lead(half, [ONE, OTHER], 15_000);
  const settings = half.settings;
  half.configure({ ...settings, answer: [OTHER], sites: { "new.example": {} }, clients: ["private"] });
  half.kill("SIGHUP");
  await lead(half, [OTHER], 10_000);
  expect(await half.address("new.example")).toBe(OTHER);
  half.configure({ ...settings, answr: [ONE] });
  half.kill("SIGHUP");
  await eventually("the complaint", 10_000, () => half.said("reload failed").length === 1);
  expect(await firsts(half)).toEqual([OTHER]);
  expect(fronts).toHaveLength(2);
}, 60_000);
