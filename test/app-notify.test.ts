// Webhooks over real sockets: what goes out, by which way, and what becomes of it when the other side is ill.
import { createHmac } from "node:crypto";
import { writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { openNotices } from "../src/app-notify.ts";
import { type Logger, silent } from "../src/lib/log.ts";
import { MirrorCounts } from "../src/mirror/counts.ts";
import { changeMessage, type MirrorMessage } from "../src/mirror/message.ts";
import { Webhook, type WebhookParts } from "../src/mirror/webhook.ts";
import type { MirrorWebhook } from "../src/mirrors.ts";
import { post } from "../src/upstream/post.ts";
import { emptyFolder } from "./cli/command.ts";
import { fakeResolver } from "./dns/resolver.ts";
import { faultProxy } from "./faults/proxy.ts";
import { digestOf, failed, reportOf, synced } from "./mirror/synced.ts";
import { type Behave, receiver } from "./receiver.ts";
import { transportFor } from "./upstream/asking.ts";
import { answering } from "./upstream/names.ts";
import { certified, rootPem } from "./upstream/secure.ts";

const answer =
  (...all: readonly (readonly [number, Record<string, string>?])[]): Behave =>
  (_req, res, nth) => {
    const [status, headers = {}] = all[Math.min(nth, all.length - 1)]!;
    res.writeHead(status, headers).end("what it says");
  };

const logged = () => {
  const lines: { text: string; [field: string]: unknown }[] = [];
  const note = (fields: object, text: string) => void lines.push({ ...fields, text });
  return { lines, log: { ...silent, debug: note, info: note, warn: note, error: note } as unknown as Logger };
};
const NOW = Date.UTC(2026, 10, 24, 8, 0, 0);
const hookAt = (url: URL, more: Partial<MirrorWebhook> = {}): MirrorWebhook => ({
  ...{ url, on: ["change", "failure"], secret: undefined, secretFile: undefined, ...more },
});
const QUICK = { attempts: 3, first: 20, most: 50, longest: 5_000 };
const openHook = (hook: MirrorWebhook, more: Partial<WebhookParts> = {}) => {
  const { lines, log } = logged();
  const counts = new MirrorCounts().webhooks;
  const transport = transportFor();
  const parts = { counts, log, clock: () => NOW, retry: QUICK, ...more };
  const webhook = new Webhook(hook, {
    post: (letter, signal) => post(transport, letter, signal, () => NOW),
    ...parts,
  });
  onTestFinished(() => webhook.close());
  return { webhook, counts, lines };
};
const messageOf = (run: string): MirrorMessage => changeMessage({ entry: "apps", run }, [], 1);

const setUp = async (webhooks: readonly MirrorWebhook[], more: { httpProxy?: URL; trust?: string } = {}) => {
  const resolver = await fakeResolver(answering({ A: ["127.0.0.1"] }));
  onTestFinished(() => resolver[Symbol.asyncDispose]());
  const listen = { dns: [], https: [], http: [], proxy: [], admin: undefined };
  const config = { resolvers: [resolver.text], splits: [], trust: more.trust, httpProxy: more.httpProxy, listen };
  const { lines, log } = logged();
  const notices = openNotices(config, { webhooks, clock: () => NOW, log, via: "1.1 layover-test", version: "1.2.3" });
  onTestFinished(() => notices.close());
  return { ...notices, lines, resolver };
};

describe("a webhook", () => {
  it("is told of changes and failures, as JSON that a chat can show, and whose it is", async () => {
    const { heard, url } = await receiver();
    const { events, counts } = await setUp([hookAt(url("/hook?token=t0ken"), { secret: "s3cret" })]);
    events.failed(failed("2"), "9");
    events.changed(synced("1"), "9");
    events.ended(reportOf("9", [synced("1"), failed("2")]));
    await expect.poll(() => heard.length).toBe(2);
    const [failure, change] = heard.map(({ body }) => JSON.parse(body) as MirrorMessage);
    expect(failure).toMatchObject({ event: "failure", entry: "apps", run: "9", tag: "2", code: "UPSTREAM_UNREACHABLE" });
    expect(change).toMatchObject({
      event: "change",
      run: "9",
      count: 1,
      changes: [{ tag: "1", from: digestOf(1), to: digestOf(2) }],
    });
    const { method, path, headers, body } = heard[1]!;
    expect({ method, path, type: headers["content-type"], agent: headers["user-agent"] }).toEqual({
      ...{ method: "POST", path: "/hook?token=t0ken", type: "application/json", agent: "layover/1.2.3" },
    });
    expect(headers["layover-timestamp"]).toBe(String(NOW / 1_000));
    const signed = createHmac("sha256", "s3cret")
      .update(`${NOW / 1_000}.${body}`)
      .digest("hex");
    expect(headers["layover-signature"]).toBe(`sha256=${signed}`);
    await expect.poll(() => counts.webhooks).toEqual({ sent: 2, failed: 0, dropped: 0 });
  });

  it("hears of nothing but what it wants to know, and is not signed without a secret", async () => {
    const { heard, url } = await receiver();
    const { events } = await setUp([hookAt(url("/a"), { on: ["failure"] }), hookAt(url("/b"), { on: ["change"] })]);
    events.failed(failed("2"), "9");
    events.changed(synced("1"), "9");
    events.ended(reportOf("9", []));
    await expect.poll(() => heard.length).toBe(2);
    const told = heard.map(({ path, body }) => [path, (JSON.parse(body) as MirrorMessage).event]);
    expect(Object.fromEntries(told)).toEqual({ "/a": "failure", "/b": "change" });
    expect(heard[0]!.headers["layover-signature"]).toBeUndefined();
  });

  it("gets a name and password of its URL as a header, and nothing of its URL but the host is ever logged", async () => {
    const { heard, url, port } = await receiver(answer([403]));
    const secret = url("/services/T0/B0/xyzzy?key=q9");
    Object.assign(secret, { username: "us%20er", password: "hunter2" });
    const { webhook, lines, counts } = openHook(hookAt(secret, { secret: "s3cret" }));
    webhook.send(messageOf("1"));
    await expect.poll(() => counts.failed).toBe(1);
    expect(heard[0]!.headers.authorization).toBe(`Basic ${Buffer.from("us er:hunter2").toString("base64")}`);
    expect(lines).toMatchObject([{ webhook: `127.0.0.1:${port}`, why: "it answers 403", tries: 1 }]);
    expect(JSON.stringify(lines)).not.toMatch(/xyzzy|q9|hunter2|us.?er|s3cret|T0/);
  });

  it("is signed with what its file says now, and not told at all while that cannot be read", async () => {
    const { heard, url } = await receiver();
    const file = join(emptyFolder(), "secret");
    const { webhook, counts, lines } = openHook(hookAt(url(), { secretFile: file }));
    webhook.send(messageOf("1"));
    await expect.poll(() => counts.failed).toBe(1);
    expect(lines[0]).toMatchObject({ why: `its secret cannot be read: ${file} there is no such file`, tries: 3 });
    for (const secret of ["one", "two"]) {
      writeFileSync(file, `${secret}\n`);
      webhook.send(messageOf(secret));
      await expect.poll(() => heard.at(-1)?.body).toContain(`"run":"${secret}"`);
      const { headers, body } = heard.at(-1)!;
      const signed = createHmac("sha256", secret)
        .update(`${NOW / 1_000}.${body}`)
        .digest("hex");
      expect(headers["layover-signature"]).toBe(`sha256=${signed}`);
    }
    expect(heard).toHaveLength(2);
  });
});

describe("a webhook that is ill", () => {
  it.each([
    ["5xx", answer([500], [503], [200]), 3, "sent"],
    ["5xx for ever", answer([502]), 3, "failed"],
    ["429, for as long as it says", answer([429, { "retry-after": "1" }], [200]), 2, "sent"],
    ["429, for longer than is waited", answer([429, { "retry-after": "3600" }], [200]), 1, "failed"],
    ["another 4xx", answer([404], [200]), 1, "failed"],
    ["a redirect", answer([307, { location: "/elsewhere" }], [200]), 1, "failed"],
    ["a torn connection", ((req, res, nth) => (nth === 0 ? void req.socket.destroy() : void res.end())) as Behave, 2, "sent"],
  ] as const)("%s", async (_name, behave, tries, outcome) => {
    const { heard, url } = await receiver(behave);
    const { webhook, counts } = openHook(hookAt(url()));
    webhook.send(messageOf("1"));
    await expect.poll(() => counts.sent + counts.failed, { timeout: 5_000 }).toBe(1);
    expect(counts).toMatchObject({ [outcome]: 1 });
    expect(heard.map(({ path }) => path)).toEqual(Array(tries).fill("/hook"));
    expect(new Set(heard.map(({ body }) => body)).size).toBe(1);
  });

  it("holds up nobody: so many wait for it, and no more", async () => {
    const stalled: ServerResponse[] = [];
    const { heard, url } = await receiver((_req, res) => void stalled.push(res));
    const { webhook, counts, lines } = openHook(hookAt(url()));
    const began = performance.now();
    for (let nth = 0; nth < 500; nth += 1) webhook.send(messageOf(String(nth)));
    expect(performance.now() - began).toBeLessThan(500);
    expect(counts.dropped).toBeGreaterThanOrEqual(399);
    expect(lines.filter(({ text }) => text.includes("too many"))).toHaveLength(1);
    await expect.poll(() => heard.length).toBe(1);
    const closing = performance.now();
    await webhook.close();
    expect(performance.now() - closing).toBeLessThan(4_500);
    expect(heard).toHaveLength(1);
    expect(counts.sent + counts.failed + counts.dropped).toBe(500);
    webhook.send(messageOf("late"));
    expect(counts.sent + counts.failed + counts.dropped).toBe(500);
  }, 10_000);

  it("is still told of what waits when we close, each once", async () => {
    const { heard, url } = await receiver(answer([503]));
    const { webhook, counts } = openHook(hookAt(url()), { retry: { attempts: 3, first: 60_000, most: 60_000, longest: 60_000 } });
    for (const run of ["1", "2", "3"]) webhook.send(messageOf(run));
    await expect.poll(() => heard.length).toBe(1);
    await webhook.close();
    expect(heard.map(({ body }) => (JSON.parse(body) as MirrorMessage).run)).toEqual(["1", "1", "2", "3"]);
    expect(counts).toEqual({ sent: 0, failed: 3, dropped: 0 });
  });
});

describe("the way to a webhook", () => {
  it("is found by our own resolvers, and trusts what upstreams are trusted by", async () => {
    const { heard, port } = await receiver(undefined, certified(["hooks.example"]));
    const hook = hookAt(new URL(`https://hooks.example:${port}/hook`));
    const trusted = await setUp([hook], { trust: rootPem });
    trusted.events.failed(failed("1"), "1");
    await expect.poll(() => trusted.counts.webhooks.sent).toBe(1);
    expect(trusted.resolver.asked.length).toBeGreaterThan(0);
    const wary = await setUp([hook]);
    wary.events.failed(failed("1"), "1");
    await wary.close();
    expect(wary.counts.webhooks.failed).toBe(1);
    expect(wary.lines.at(-1)).toMatchObject({ why: expect.stringMatching(/cannot be reached: .*(ISSUER|SIGN|VERIFY)/) });
    expect(heard).toHaveLength(1);
  });

  it("leads through the proxy that is the way out, but for this machine's own", async () => {
    const { heard, port, url } = await receiver();
    const proxy = await faultProxy({ login: "builds:hunter2" });
    const { events, counts } = await setUp([hookAt(new URL(`http://hooks.example:${port}/out`)), hookAt(url("/here"))], {
      httpProxy: proxy.url,
    });
    events.failed(failed("1"), "1");
    await expect.poll(() => counts.webhooks.sent).toBe(2);
    expect(proxy.targets).toEqual([`hooks.example:${port}`]);
    expect(heard.map(({ path }) => path).toSorted()).toEqual(["/here", "/out"]);
  });
});
