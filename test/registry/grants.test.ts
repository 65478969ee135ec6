// Grants over a store that is ill: what has ended stays so, and is taken away as soon as the store lets it.
import { expect, it, onTestFinished } from "vitest";
import { silent } from "../../src/lib/log.ts";
import { parseRepository } from "../../src/oci/reference.ts";
import { grants } from "../../src/registry/grants.ts";
import { memoryFacts } from "../../src/store/memory-facts.ts";
import { MINUTE } from "./stack.ts";

const KEY = { site: "registry.example", repo: parseRepository("ann/app"), subject: "ann" };
const NOW = 1_000_000;

const world = () => {
  const facts = memoryFacts();
  const all = grants(facts, silent, { clock: () => NOW, keepFor: MINUTE });
  onTestFinished(() => all.close());
  const removeGrant = facts.removeGrant.bind(facts);
  const isIll = { now: false };
  facts.removeGrant = (key) => (isIll.now ? Promise.reject(new Error("disk is full")) : removeGrant(key));
  /** All that waits is told to the store. */
  const flush = () => all.any(KEY.site, KEY.subject, 0);
  return { facts, all, isIll, flush };
};

const GRANT = { ...KEY, grantedAt: NOW, expiresAt: NOW + MINUTE };

it("one that has ended is none, and is taken from the store once that is well again", async () => {
  const { facts, all, isIll, flush } = world();
  all.put(GRANT);
  await flush();
  isIll.now = true;
  await all.end(KEY);
  expect(await all.get(KEY)).toBeUndefined();
  await flush();
  expect(await facts.grant(KEY)).toEqual(GRANT);
  isIll.now = false;
  expect(await flush()).toBe(false);
  expect(await facts.grant(KEY)).toBeUndefined();
});

it("one that has been given again is not taken away for having ended before", async () => {
  const { facts, all, isIll, flush } = world();
  all.put(GRANT);
  await flush();
  isIll.now = true;
  await all.end(KEY);
  all.put(GRANT);
  isIll.now = false;
  await flush();
  expect(await all.get(KEY)).toEqual(GRANT);
  expect(await facts.grant(KEY)).toEqual(GRANT);
});
