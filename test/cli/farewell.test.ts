// The last minute of `serve`: names lead elsewhere at once, who still comes is served, and nobody is waited for in vain.
import { request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { internet, OURS, REAL, Serving } from "./serving.ts";

/** A client that holds an answer of ours: the status it gets. */
const comes = ({ http }: Serving): Promise<number> =>
  new Promise((resolve, reject) => {
    const options = { agent: false, headers: { host: "ghcr.io" }, signal: AbortSignal.timeout(2_000) };
    request(`http://${http}/v2/`, options, (answer) => {
      answer.resume().on("end", () => resolve(answer.statusCode!));
    })
      .on("error", reject)
      .end();
  });

const started = async (): Promise<Serving> => (await Serving.make({ resolvers: await internet() })).started();

it("leads names to their real addresses at once, and serves who still comes while anybody does", async () => {
  const serving = await started();
  await serving.leads(OURS, 2_000);
  expect(await comes(serving)).toBe(308);
  serving.kill("SIGTERM");
  const ended = serving.ended();
  await serving.leads(REAL, 1_000);
  for (let times = 0; times < 5; times += 1) {
    await sleep(1_000);
    expect(await comes(serving)).toBe(308);
    expect(await serving.address()).toBe(REAL);
  }
  expect(await serving.readyz()).toMatchObject({ status: 503, body: expect.stringContaining('"reason":"shutting down"') });
  const quiet = performance.now();
  expect(await ended).toMatchObject({ code: 0 });
  expect(performance.now() - quiet).toBeLessThan(6_000);
}, 30_000);

it("waits for nobody where no client can hold an answer, and for a few seconds where none comes", async () => {
  const idle = await started();
  idle.kill("SIGTERM");
  const { code, ms } = await idle.ended();
  expect(code).toBe(0);
  expect(ms).toBeLessThan(2_500);
  const alone = await started();
  await alone.leads(OURS, 2_000);
  alone.kill("SIGTERM");
  const last = await alone.ended();
  expect(last.code).toBe(0);
  expect(last.ms).toBeGreaterThan(2_500);
  expect(last.ms).toBeLessThan(7_000);
}, 30_000);

it("hurries at a second signal, and at the keyboard's", async () => {
  const serving = await started();
  await serving.leads(OURS, 2_000);
  serving.kill("SIGTERM");
  await serving.leads(REAL, 1_000);
  serving.kill("SIGTERM");
  const second = await serving.ended();
  expect(second.code).toBe(0);
  expect(second.ms).toBeLessThan(1_500);
  serving.start();
  await serving.ready();
  await serving.leads(OURS, 2_000);
  serving.kill("SIGINT");
  const keyboard = await serving.ended();
  expect(keyboard.code).toBe(0);
  expect(keyboard.ms).toBeLessThan(2_500);
}, 30_000);

it("is the same for a front end alone, which cannot know who holds an answer", async () => {
  const front = await (await Serving.make({ listen: { dns: [] } }, ["--only", "front"])).started();
  front.kill("SIGTERM");
  for (let times = 0; times < 4; times += 1) {
    expect(await comes(front)).toBe(308);
    await sleep(1_000);
  }
  expect((await front.readyz()).status).toBe(503);
  const { code, ms } = await front.ended();
  expect(code).toBe(0);
  expect(ms).toBeLessThan(5_000);
}, 30_000);
