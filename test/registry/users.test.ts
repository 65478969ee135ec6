// Users of a hosted site: what is remembered and for how long, what a flood of wrong passwords costs the others, and a file that changes.
import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hashSync } from "bcryptjs";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { Bcrypt, BcryptBusy } from "../../src/lib/bcrypt.ts";
import { isOciError } from "../../src/oci/error.ts";
import { ownContext } from "../../src/oci/own-context.ts";
import { admitUsers } from "../../src/registry/users.ts";
import { logged } from "../store/keeping.ts";

vi.mock(import("node:fs/promises"), { spy: true });

const MINUTE = 60_000;

const basic = (user: string, password: string) => `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;

const usersOf = (text: string) => {
  const folder = mkdtempSync(join(tmpdir(), "layover-users-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "htpasswd");
  writeFileSync(file, text);
  const real = new Bcrypt();
  onTestFinished(() => real.close());
  const compared: string[] = [];
  const bcrypt = {
    compare: (password: string, hash: string, asker: string) => {
      compared.push(password);
      return real.compare(password, hash, asker);
    },
  };
  let now = 1_000_000;
  const pass = (ms: number): void => {
    now += ms;
  };
  const { log, lines } = logged();
  const admit = admitUsers({ host: "images.example", file, subjectKey: Buffer.alloc(32), bcrypt, clock: () => now, log });
  const signal = new AbortController().signal;
  const ask = async (credential: string | undefined, client = "10.0.0.1"): Promise<string> => {
    try {
      await admit({ ...ownContext("test", signal, { ...(credential !== undefined && { credential }) }), client });
      return "in";
    } catch (error) {
      return isOciError(error) ? error.code : String(error);
    }
  };
  return { file, ask, compared, lines, pass };
};

describe("users", () => {
  it("are hashed once for minutes, and the wrong ones for seconds", async () => {
    const { ask, compared, pass } = usersOf(`alice:${hashSync("open", 4)}\n`);
    for (let turn = 0; turn < 3; turn += 1) expect(await ask(basic("alice", "open"))).toBe("in");
    for (let turn = 0; turn < 3; turn += 1) expect(await ask(basic("alice", "shut"))).toBe("UNAUTHORIZED");
    expect(compared).toEqual(["open", "shut"]);
    pass(11_000);
    expect(await ask(basic("alice", "open"))).toBe("in");
    expect(await ask(basic("alice", "shut"))).toBe("UNAUTHORIZED");
    expect(compared).toEqual(["open", "shut", "shut"]);
    pass(5 * MINUTE);
    expect(await ask(basic("alice", "open"))).toBe("in");
    expect(compared).toHaveLength(4);
  });

  it("who bring the same at once are hashed once, and who do not exist are hashed too", async () => {
    const { ask, compared } = usersOf(`alice:${hashSync("open", 4)}\n`);
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(basic("alice", "open"))));
    expect(new Set(answers)).toEqual(new Set(["in"]));
    expect(compared).toEqual(["open"]);
    expect(await ask(basic("nobody", "open"))).toBe("UNAUTHORIZED");
    expect(compared).toEqual(["open", "open"]);
  });

  it.each([
    undefined,
    "Basic Og==",
    "Basic",
    "Basic !!!",
    "Bearer e30.e30.e30",
    basic("", "open"),
    `Basic ${"A".repeat(20_000)}`,
  ])("without a login, as in %j, cost nothing", async (credential) => {
    const { ask, compared } = usersOf(`alice:${hashSync("open", 4)}\n`);
    expect(await ask(credential)).toBe("UNAUTHORIZED");
    expect(compared).toEqual([]);
  });

  it("are those of the file as it is, and of the last good one while it is not", async () => {
    const { ask, file, lines, pass } = usersOf(`alice:${hashSync("open", 4)}\n`);
    expect(await ask(basic("alice", "open"))).toBe("in");
    for (const spoil of [() => writeFileSync(file, "alice"), () => unlinkSync(file)]) {
      spoil();
      pass(2_000);
      expect(await ask(basic("alice", "open"))).toBe("in");
      pass(2_000);
      expect(await ask(basic("alice", "open"))).toBe("in");
    }
    expect(lines).toHaveLength(2);
    writeFileSync(file, `bob:${hashSync("sesame", 4)}\n`);
    pass(2_000);
    expect(await ask(basic("alice", "open"))).toBe("UNAUTHORIZED");
    expect(await ask(basic("bob", "sesame"))).toBe("in");
  });

  it("are those of the file also when it could not be read at first, and nothing of it has changed since", async () => {
    const { ask, lines, pass } = usersOf(`alice:${hashSync("open", 4)}\n`);
    vi.mocked(open).mockRejectedValueOnce(new Error("permission denied"));
    expect(await ask(basic("alice", "open"))).toBe("UNAVAILABLE");
    expect(lines).toHaveLength(1);
    pass(2_000);
    expect(await ask(basic("alice", "open"))).toBe("in");
  });

  it("are let in while another floods the door with wrong passwords, and the event loop goes on", async () => {
    const { ask } = usersOf(`alice:${hashSync("open", 10)}\n`);
    await ask(basic("warm", "up"));
    const before = performance.eventLoopUtilization();
    const flood = Array.from({ length: 100 }, (_, i) => ask(basic("alice", `guess ${i}`), "10.6.6.6"));
    expect(await ask(basic("alice", "open"), "10.0.0.1")).toBe("in");
    const outcomes = await Promise.all(flood);
    const { utilization } = performance.eventLoopUtilization(before);
    expect(outcomes.filter((code) => code === "TOOMANYREQUESTS").length).toBeGreaterThan(80);
    expect(outcomes).not.toContain("in");
    // all of it, were they hashed here: a tenth of a second each
    expect(utilization).toBeLessThan(0.5);
  });
});

describe("bcrypt", () => {
  it("asks no more once it is closed, and lets nobody wait", async () => {
    const bcrypt = new Bcrypt();
    const hash = hashSync("open", 10);
    const asked = Promise.allSettled(Array.from({ length: 5 }, () => bcrypt.compare("open", hash, "a")));
    await bcrypt.close();
    for (const { status } of await asked) expect(status).toBe("rejected");
    await expect(bcrypt.compare("open", hash, "a")).rejects.toThrow(BcryptBusy);
  });
});
