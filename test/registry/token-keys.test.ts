// Keys by URL: a server that is slow, away or lies keeps nobody waiting for long, and takes no good key away.
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { silent } from "../../src/lib/log.ts";
import { type FetchedKeysOptions, fetchedKeys } from "../../src/registry/token-keys.ts";
import { voucher } from "../../src/registry/vouch.ts";
import { claimsAt, ecSigner, jwks, macced, pemOf, SERVICE, type Signer, signed } from "./signer.ts";

const HOUR = 3_600_000;
const first = ecSigner();
const second = ecSigner();

type Answer = string | Error | Promise<string>;

const world = (answer: Answer, file = join(folder(), "keys.json"), url = "https://tokens.example/keys") => {
  const state = { answer, now: Date.UTC(2026, 10, 23), monotonic: 0, asked: 0, atOnce: 0, mostAtOnce: 0 };
  const fetch = async (): Promise<string> => {
    state.asked += 1;
    state.atOnce += 1;
    state.mostAtOnce = Math.max(state.mostAtOnce, state.atOnce);
    try {
      if (state.answer instanceof Error) throw state.answer;
      return await state.answer;
    } finally {
      state.atOnce -= 1;
    }
  };
  const options: FetchedKeysOptions = {
    ...{ url, fetch, file, keepFor: 24 * HOUR, log: silent },
    clock: () => state.now,
    now: () => state.monotonic + performance.now(),
  };
  const keys = fetchedKeys(options);
  const vouching = voucher({
    keys,
    audience: () => Promise.resolve(SERVICE),
    secret: Buffer.alloc(32, 7),
    clock: () => state.now,
  });
  let count = 0;
  return {
    ...{ state, keys, file, vouching },
    pass: (ms: number) => {
      state.now += ms;
      state.monotonic += ms;
    },
    isRight: async (by: Signer, kid?: string) => {
      count += 1;
      const token = signed(by, kid === undefined ? {} : { kid }, claimsAt(state.now, { jti: String(count) }));
      return (await vouching.check(`Bearer ${token}`, token)) !== undefined;
    },
  };
};

const folder = (): string => {
  const path = mkdtempSync(join(tmpdir(), "layover-keys-"));
  // what has just come may still be being kept
  onTestFinished(() => rmSync(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 20 }));
  return path;
};
const kept = (file: string) => expect.poll(() => existsSync(file)).toBe(true);
/** As far as nothing but promises is waited for. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 30));

describe("keys by URL", () => {
  it("are asked for once, whoever comes, and kept for themselves alone", async () => {
    const { state, isRight, file } = world(jwks([first, { kid: "1" }]));
    expect(await Promise.all(Array.from({ length: 20 }, () => isRight(first, "1")))).toEqual(Array(20).fill(true));
    expect(state).toMatchObject({ asked: 1, mostAtOnce: 1 });
    await kept(file);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it("may be PEM as well", async () => {
    expect(await world(pemOf(first)).isRight(first)).toBe(true);
  });

  it("are asked for anew when a token is of a key that is not known, and at most every half a minute", async () => {
    const { state, isRight, pass } = world(jwks([first, { kid: "1" }]));
    expect(await isRight(first, "1")).toBe(true);
    state.answer = jwks([first, { kid: "1" }], [second, { kid: "2" }]);
    for (let i = 0; i < 20; i += 1) expect(await isRight(second, "2")).toBe(false);
    expect(state.asked).toBe(1);
    pass(30_000);
    expect(await isRight(second, "2")).toBe(true);
    expect(await isRight(first, "1")).toBe(true);
    expect(state.asked).toBe(2);
  });

  it("are asked for anew where another key has come under the same name", async () => {
    const { state, isRight, pass } = world(jwks([first, { kid: "1" }]));
    expect(await isRight(first, "1")).toBe(true);
    state.answer = jwks([second, { kid: "1" }]);
    pass(30_000);
    expect(await isRight(second, "1")).toBe(true);
    expect(await isRight(first, "1")).toBe(false);
  });

  it("that are withdrawn take along what they had signed, within minutes", async () => {
    const { state, keys, vouching, pass } = world(jwks([first], [second]));
    const token = signed(first, {}, claimsAt(state.now, { exp: state.now / 1_000 + 24 * 3_600 }));
    expect(await vouching.check(`Bearer ${token}`, "one")).toBeDefined();
    expect(vouching.peek("one")).toBeDefined();
    state.answer = jwks([second]);
    pass(11 * 60_000);
    keys.now();
    await settled();
    expect(vouching.peek("one")).toBeUndefined();
    expect(await vouching.check(`Bearer ${token}`, "one")).toBeUndefined();
  });

  it.each([
    ["that cannot be reached", new Error("connection refused")],
    ["whose server says nothing of keys", "{}"],
    ["whose server says what is no JSON", "<!doctype html>"],
    ["whose server has no keys", jwks()],
    ["whose server gives secrets", JSON.stringify({ keys: [{ kty: "oct", k: "c2VjcmV0", kid: "1" }] })],
    ["whose server gives private keys", JSON.stringify({ keys: [first.privateKey.export({ format: "jwk" })] })],
    ["whose server gives a private key as PEM", first.privateKey.export({ type: "pkcs8", format: "pem" }) as string],
    ["whose server gives thousands", jwks(...Array.from({ length: 101 }, () => [first] as const))],
  ])("%s stay as they were, for a day", async (_name, answer) => {
    const { state, isRight, pass } = world(jwks([first, { kid: "1" }]));
    expect(await isRight(first, "1")).toBe(true);
    state.answer = answer;
    for (let hour = 1; hour < 24; hour += 4) {
      pass(4 * HOUR - 60_000);
      expect(await isRight(first, "1")).toBe(true);
      await settled();
    }
    pass(2 * HOUR);
    expect(await isRight(first, "1")).toBe(false);
    state.answer = jwks([first, { kid: "1" }]);
    pass(30_000);
    expect(await isRight(first, "1")).toBe(true);
  });

  it("are nothing that a secret could be made of", async () => {
    const { state, vouching } = world(JSON.stringify({ keys: [{ kty: "oct", k: Buffer.from("secret").toString("base64url") }] }));
    const token = macced("secret", {}, claimsAt(state.now));
    expect(await vouching.check(`Bearer ${token}`, "one")).toBeUndefined();
  });

  it("that do not come keep nobody waiting for longer than a second, and serve once they have", async () => {
    let come: (text: string) => void = () => undefined;
    const late = new Promise<string>((resolve) => {
      come = resolve;
    });
    const { state, isRight } = world(late);
    const timed = async (): Promise<number> => {
      const began = performance.now();
      expect(await Promise.all([isRight(first), isRight(first)])).toEqual([false, false]);
      return performance.now() - began;
    };
    expect(await timed()).toBeLessThan(2_000);
    expect(Math.min(await timed(), await timed(), await timed())).toBeLessThan(500);
    come(jwks([first]));
    await settled();
    expect(await isRight(first)).toBe(true);
    expect(state.asked).toBe(1);
  });

  it("outlive a restart while their server is away, but not a change of the URL, nor a file that is spoilt", async () => {
    const { file, isRight } = world(jwks([first]));
    expect(await isRight(first)).toBe(true);
    await kept(file);
    const away = new Error("away");
    expect(await world(away, file).isRight(first)).toBe(true);
    expect(await world(away, file, "https://other.example/keys").isRight(first)).toBe(false);
    writeFileSync(file, readFileSync(file, "utf8").slice(0, 40));
    expect(await world(away, file).isRight(first)).toBe(false);
    writeFileSync(file, "null");
    expect(await world(jwks([first]), file).isRight(first)).toBe(true);
  });

  it("come back with a clock that was wrong for a while", async () => {
    const { state, isRight, pass } = world(jwks([first]));
    expect(await isRight(first)).toBe(true);
    state.answer = new Error("away");
    for (const wrong of [30 * 24 * HOUR, -30 * 24 * HOUR]) {
      pass(wrong);
      expect(await isRight(first)).toBe(false);
      pass(-wrong);
      expect(await isRight(first)).toBe(true);
    }
  });

  it("are used where they cannot be kept", async () => {
    expect(await world(jwks([first]), "/proc/nowhere/keys.json").isRight(first)).toBe(true);
  });
});
