// Our own credentials out of files that change and programs that are asked, towards a registry that refuses the old ones.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { type Logger, silent } from "../../src/lib/log.ts";
import { parseReference, parseRepository } from "../../src/oci/reference.ts";
import type { SiteCredentials } from "../../src/sites.ts";
import { asLayover } from "../../src/upstream/asker.ts";
import { credentialsOf } from "../../src/upstream/credentials.ts";
import { ownRealms } from "../../src/upstream/own-realms.ts";
import { Tokens } from "../../src/upstream/token.ts";
import { redirectTo, status } from "../faults/behaviours.ts";
import { type FaultOptions, faultUpstream } from "../faults/upstream.ts";
import { asking, failureOf, registryAt, transportFor } from "./asking.ts";
import { folder, helper } from "./helper-script.ts";

const query = { repo: parseRepository("ann/app"), reference: parseReference("1") };
const NEVER = new AbortController().signal;
const UPSTREAM = new URL("https://registry.example:5000");

const NOTES = 'echo "$1 $(cat)" >> "$asked"';
const says = (username: string, secret: string) => `echo '${JSON.stringify({ Username: username, Secret: secret })}'`;

const world = async (given: SiteCredentials, auth: FaultOptions["auth"], log: Logger = silent) => {
  const upstream = await faultUpstream({ auth: auth! });
  upstream.content.seed({ repo: "ann/app", tag: "1" });
  const time = { now: 100_000 };
  const transport = transportFor();
  const tokens = new Tokens(transport, Date.now);
  const credentials = credentialsOf(given, log, () => time.now);
  const asker = asLayover(ownRealms({ host: "registry.example", realms: [] }, silent), tokens, credentials);
  const registry = registryAt(upstream.url, asker, transport);
  return { upstream, time, credentials, pull: async () => (await registry.getManifest(query, asking())).bytes.length > 0 };
};

describe("a password in a file", () => {
  const rotating = async () => {
    const passwordFile = join(folder(), "password");
    writeFileSync(passwordFile, "pw\n");
    const users: Record<string, string> = { ann: "pw" };
    const made = await world({ username: "ann", password: "pw", passwordFile }, { kind: "basic", users });
    return { ...made, users, passwordFile };
  };

  it("that is replaced is used within the very question that upstream refuses the old one", async () => {
    const { upstream, users, passwordFile, time, pull } = await rotating();
    expect(await pull()).toBe(true);
    users["ann"] = "new";
    writeFileSync(passwordFile, " new \n");
    time.now += 1_500;
    upstream.clear();
    expect(await pull()).toBe(true);
    expect(upstream.requests().map(({ status: code }) => code)).toEqual([401, 200]);
  });

  it("that is replaced is used a few seconds later, before the old one is refused", async () => {
    const { upstream, users, passwordFile, time, pull } = await rotating();
    expect(await pull()).toBe(true);
    users["ann"] = "new";
    writeFileSync(passwordFile, "new");
    time.now += 5_000;
    upstream.clear();
    expect(await pull()).toBe(true);
    expect(upstream.requests().map(({ status: code }) => code)).toEqual([200]);
  });

  it("that is gone, or empty, leaves what it held before", async () => {
    const { passwordFile, time, pull } = await rotating();
    for (const spoil of [() => writeFileSync(passwordFile, "\n"), () => rmSync(passwordFile)]) {
      spoil();
      time.now += 10_000;
      expect(await pull()).toBe(true);
    }
  });

  it.each<[string, (file: string) => unknown]>([
    ["a directory", (file) => mkdirSync(file)],
    ["a pipe that nobody writes to", (file) => execFileSync("mkfifo", [file])],
    ["a device without end", (file) => symlinkSync("/dev/zero", file)],
    ["longer than any secret", (file) => writeFileSync(file, Buffer.alloc(20_000, "a"))],
    ["of several lines", (file) => writeFileSync(file, "to\r\nken: 1")],
    ["no text", (file) => writeFileSync(file, Buffer.from([0x74, 0, 0xff]))],
  ])("or a token, in whose place is %s, is as before, and nothing is told of what is there", async (_what, make) => {
    const tokenFile = join(folder(), "token");
    make(tokenFile);
    const lines: string[] = [];
    const log = pino({ base: null }, { write: (line: string) => void lines.push(line) });
    const { upstream, pull } = await world({ token: "before", tokenFile }, { kind: "none" }, log);
    expect(await pull()).toBe(true);
    expect(upstream.log.at(-1)?.headers.authorization).toBe("Bearer before");
    expect(lines.join()).toMatch(/cannot read|no token|longer than/);
    expect(lines.join()).not.toMatch(/ken: 1|aaaa/);
  });

  it("that stays as it is costs no question more", async () => {
    const { upstream, users, time, pull } = await rotating();
    users["ann"] = "other";
    for (let n = 0; n < 3; n += 1) expect((await failureOf(pull())).code).toBe("UNAUTHORIZED");
    expect(upstream.count()).toBe(4);
    time.now += 1_500;
    expect((await failureOf(pull())).code).toBe("UNAUTHORIZED");
    expect(upstream.count()).toBe(5);
  });
});

describe("a credential helper", () => {
  it("is asked for the host once, whoever wants it at the same time, and its password is used", async () => {
    const asked = helper(`${NOTES}\nsleep 0.2\n${says("ann", "pw")}`);
    const { upstream, pull, time } = await world({ helper: "test" }, { kind: "basic", users: { ann: "pw" } });
    expect(await Promise.all(Array.from({ length: 10 }, pull))).toEqual(Array.from({ length: 10 }, () => true));
    time.now += 299_000;
    expect(await pull()).toBe(true);
    expect(asked()).toEqual([`get ${upstream.url.host}`]);
    time.now += 2_000;
    expect(await pull()).toBe(true);
    expect(asked()).toHaveLength(2);
  });

  it("that hangs keeps nobody for long from what it has said before", async () => {
    const slow = join(folder(), "slow");
    const asked = helper(`${NOTES}\n[ -e ${slow} ] && sleep 60\n${says("ann", "pw")}`);
    const { pull, time } = await world({ helper: "test" }, { kind: "basic", users: { ann: "pw" } });
    expect(await pull()).toBe(true);
    writeFileSync(slow, "");
    time.now += 301_000;
    const began = performance.now();
    expect(await Promise.all([pull(), pull(), pull()])).toEqual([true, true, true]);
    expect(performance.now() - began).toBeLessThan(5_000);
    expect(asked()).toHaveLength(2);
  });

  it("is asked for the Hub by the name that Docker gives it", async () => {
    const asked = helper(`${NOTES}\n${says("ann", "pw")}`);
    const credentials = credentialsOf({ helper: "test" }, silent);
    expect(await credentials.for(new URL("https://registry-1.docker.io"), NEVER)).toEqual({ username: "ann", password: "pw" });
    expect(await credentials.for(UPSTREAM, NEVER)).toEqual({ username: "ann", password: "pw" });
    expect(asked()).toEqual(["get https://index.docker.io/v1/", "get registry.example:5000"]);
  });

  it("is asked for each of a site's upstreams, and what it said of one goes to no other", async () => {
    helper(`host=$(cat)\nprintf '{"Username":"ann","Secret":"%s"}' "$host"`);
    const users: Record<string, string> = {};
    const second = await faultUpstream({ auth: { kind: "basic", users } });
    second.content.seed({ repo: "ann/app", tag: "1" });
    users["ann"] = second.url.host;
    const first = await faultUpstream({ auth: { kind: "basic" } });
    const credentials = credentialsOf({ helper: "test" }, silent);
    const realms = ownRealms({ host: "registry.example", realms: [] }, silent);
    const transport = transportFor();
    const asker = asLayover(realms, new Tokens(transport, Date.now), credentials);
    const registry = registryAt([first.url, second.url], asker, transport);
    first.fault(({ hasAuthorization }) => hasAuthorization, status(502));
    expect((await registry.getManifest(query, asking())).bytes.length).toBeGreaterThan(0);
    const sent = [first, second].map((one) => one.requests(({ hasAuthorization }) => hasAuthorization)[0]!.headers.authorization);
    expect(sent).toEqual([first, second].map(({ url }) => `Basic ${Buffer.from(`ann:${url.host}`).toString("base64")}`));
  });

  it("is asked anew when upstream refuses what it said, and not at each further refusal", async () => {
    const users: Record<string, string> = { AWS: "one" };
    const secret = join(folder(), "secret");
    writeFileSync(secret, "one");
    const asked = helper(`${NOTES}\nprintf '{"Username":"AWS","Secret":"%s"}' "$(cat ${secret})"`);
    const { pull, time } = await world({ helper: "test" }, { kind: "basic", users });
    expect(await pull()).toBe(true);
    users["AWS"] = "two";
    writeFileSync(secret, "two");
    time.now += 10_000;
    expect(await pull()).toBe(true);
    users["AWS"] = "three";
    for (let n = 0; n < 3; n += 1) expect((await failureOf(pull())).code).toBe("UNAUTHORIZED");
    expect(asked()).toHaveLength(2);
    time.now += 10_000;
    expect((await failureOf(pull())).code).toBe("UNAUTHORIZED");
    expect(asked()).toHaveLength(3);
  });

  it("may have an identity token, which buys tokens at the realm by POST", async () => {
    helper(says("<token>", "identity & token"));
    const auth = { kind: "bearer", owners: { "ann/app": "ann" }, identities: { "identity & token": "ann" } } as const;
    const { upstream, pull } = await world({ helper: "test" }, auth);
    expect(await pull()).toBe(true);
    expect(await pull()).toBe(true);
    expect(upstream.requests(/token/).map(({ method, path, hasAuthorization }) => [method, path, hasAuthorization])).toEqual([
      ["POST", "/token", false],
    ]);
  });

  it("whose identity token is refused, redirected or shown a realm of somebody else's gives it to nobody", async () => {
    helper(says("<token>", "old"));
    const other = await faultUpstream();
    const auth = { kind: "bearer", owners: { "ann/app": "ann" }, identities: {} } as const;
    const { upstream, pull } = await world({ helper: "test" }, auth);
    expect((await failureOf(pull())).code).toBe("UNAUTHORIZED");
    upstream.fault(/token/, redirectTo(new URL("/token", other.url).href, 307));
    expect((await failureOf(pull())).code).toBe("UPSTREAM_INVALID");
    upstream.fault(/v2/, status(401, { "www-authenticate": `Bearer realm="${other.url.origin}/token"` }));
    expect((await failureOf(pull())).code).toBe("UPSTREAM_INVALID");
    expect(other.count()).toBe(0);
  });

  it.each([
    ["is not there", undefined, "there is no such program on the PATH"],
    ["fails", "echo hunter2; echo hunter2 >&2; exit 3", "it ends with 3"],
    ["is killed", "kill -9 $$", "it ends with SIGKILL"],
    ["has none", "echo credentials not found in native keychain; exit 1", "it has none"],
    ["says no JSON", "echo hunter2", "what it says is no credential"],
    ["says no secret", says("ann", ""), "what it says is no credential"],
    ["says too much", "while :; do echo hunter2hunter2hunter2; done", "it says more than any credential is"],
    ["reads nothing and says nothing", "exec <&-", "what it says is no credential"],
  ])("that %s is an outage with a reason, and no secret in it", async (_how, script, reason) => {
    if (script !== undefined) helper(script);
    const lines: string[] = [];
    const log = pino({ base: null }, { write: (line: string) => void lines.push(line) });
    const { upstream, pull } = await world({ helper: "test" }, { kind: "basic", users: { ann: "pw" } }, log);
    const failure = await failureOf(pull());
    expect(failure).toMatchObject({ code: "UPSTREAM_UNREACHABLE", isOutage: true });
    expect(failure.message).toBe(`docker-credential-test gives no credentials for ${upstream.url.host}: ${reason}`);
    expect((await failureOf(pull())).message).toBe(failure.message);
    expect(upstream.count()).toBe(0);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(reason);
    expect(`${lines[0]}${failure.message}`).not.toContain("hunter2");
  });

  it("that fails later leaves what it said before", async () => {
    helper(`if [ -s "$asked" ]; then exit 1; fi\n${NOTES}\n${says("ann", "pw")}`);
    const { pull, time } = await world({ helper: "test" }, { kind: "basic", users: { ann: "pw" } });
    expect(await pull()).toBe(true);
    time.now += 400_000;
    expect(await pull()).toBe(true);
  });

  it("that hangs, with what it has started, ends when nobody waits any more", async () => {
    const asked = helper(`sleep 60 &\necho "$! $$" >> "$asked"\nwait`);
    const leaving = new AbortController();
    const credentials = credentialsOf({ helper: "test" }, silent);
    const waiting = credentials.for(UPSTREAM, leaving.signal);
    await expect.poll(asked).toHaveLength(1);
    const reason = new Error("left");
    leaving.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    const isAlive = (pid: number) => {
      try {
        return process.kill(pid, 0);
      } catch {
        return false;
      }
    };
    const pids = asked()[0]!.split(" ").map(Number);
    await expect.poll(() => pids.filter((pid) => isAlive(pid) && !isZombie(pid))).toEqual([]);
  });
});

/** Nobody may be there to reap what has lost its parent. */
const isZombie = (pid: number): boolean => {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.startsWith("Z");
  } catch {
    return true;
  }
};
