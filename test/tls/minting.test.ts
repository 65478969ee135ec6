// Names below a wildcard are the client's to choose: what they cost is bounded, and nobody else pays for it.
import { expect, it } from "vitest";
import { secureContexts } from "../../src/tls/sni.ts";
import { listen, openScratch, recorder, shake } from "./scratch.ts";

const world = async () => {
  const { log, lines } = recorder();
  const ca = await openScratch({ names: ["ghcr.io", "registry.gitlab.com", "layover", "lab.test"] });
  let now = 0;
  const contexts = secureContexts(ca, {
    allowed: (name) => name.endsWith(".lab.test") || name === "ghcr.io",
    isOfMany: (name) => name.endsWith(".lab.test"),
    ownName: "layover",
    clock: Date.now,
    monotonic: () => now,
    log,
  });
  const port = await listen(contexts.options, contexts.follow);
  return {
    ask: (servername: string, localAddress = "127.0.0.1") =>
      shake(port, { ca: ca.bundle, servername, localAddress } as Parameters<typeof shake>[1]),
    pass: (ms: number) => (now += ms),
    minted: () => lines.filter(({ msg }) => msg === "leaf minted").length,
    warnings: () => lines.filter(({ level }) => level === 40),
  };
};

it("mints 200 names at once and then 50 a second, and says so once; what is held or has a name of its own goes on", {
  timeout: 60_000,
}, async () => {
  const { ask, pass, minted, warnings } = await world();
  const from = (i: number) => `127.0.0.${1 + (i % 5)}`;
  for (let i = 0; i < 200; i += 1) await ask(`n${i}.lab.test`, from(i));
  expect(minted()).toBe(201);
  for (let i = 0; i < 20; i += 1) {
    await expect(ask(`more${i}.lab.test`, from(i))).rejects.toMatchObject({ code: "ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR" });
  }
  expect(minted()).toBe(201);
  expect(warnings()).toMatchObject([{ host: "more0.lab.test", times: 1 }]);
  await ask("n7.lab.test");
  await ask("ghcr.io");
  pass(100);
  for (let i = 0; i < 5; i += 1) await ask(`more${i}.lab.test`, "127.0.0.9");
  await expect(ask("last.lab.test", "127.0.0.9")).rejects.toThrow();
  expect(minted()).toBe(207);
  expect(warnings()).toHaveLength(1);
});

it("mints no client more than 50 at once and 10 a second: who invents names keeps nobody else from the names it needs", {
  timeout: 60_000,
}, async () => {
  const { ask, pass, minted, warnings } = await world();
  for (let i = 0; i < 50; i += 1) await ask(`n${i}.lab.test`);
  for (let i = 0; i < 20; i += 1) await expect(ask(`more${i}.lab.test`)).rejects.toThrow();
  expect(minted()).toBe(51);
  expect(warnings()).toMatchObject([{ client: "127.0.0.1" }]);
  await ask("needed.lab.test", "127.0.0.2");
  pass(100);
  await ask("more0.lab.test");
  await expect(ask("more1.lab.test")).rejects.toThrow();
});
