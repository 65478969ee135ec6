import { expect, it } from "vitest";
import { checkHelpers } from "../../src/cli/doctor-helper.ts";
import type { Site } from "../../src/sites.ts";
import { helper } from "../upstream/helper-script.ts";

const site = {
  access: "shared",
  offline: false,
  credentials: { helper: "test" },
  upstreams: [new URL("https://r.example:5000")],
};
const check = (changes: Partial<Site> = {}) => checkHelpers([{ ...site, ...changes } as unknown as Site], 300);

it("a helper that has credentials is well", async () => {
  const asked = helper(`cat >> "$asked"; echo '{"Username":"ann","Secret":"hunter2"}'`);
  expect(await check()).toEqual([
    { check: "helper", status: "ok", text: "docker-credential-test has credentials for r.example:5000" },
  ]);
  expect(asked()).toEqual(["r.example:5000"]);
});

it.each([
  ["has none", "echo credentials not found in native keychain; exit 1", /gives no credentials for r.example:5000: it has none/],
  ["is slow", "sleep 60", /does not answer in time/],
])("one that %s is not", async (_how, script, text) => {
  helper(script);
  const mend = "run: echo r.example:5000 | docker-credential-test get, as the server's user";
  expect(await check()).toEqual([{ check: "helper", status: "fail", text: expect.stringMatching(text), mend }]);
});

it("one that is not used is not asked", async () => {
  const asked = helper('cat >> "$asked"');
  expect([...(await check({ access: "client" })), ...(await check({ offline: true }))]).toEqual([]);
  expect(asked()).toEqual([]);
});
