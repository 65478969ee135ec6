// Who may not read a repository learns nothing of what others have pulled from it: on the wire, what is held and what is not look alike.
import { describe, expect, it } from "vitest";
import type { Auth } from "../faults/auth.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { type Answer, type Front, startFront } from "../front.ts";

const basic = (name: string) => `Basic ${Buffer.from(`${name}:secret`).toString("base64")}`;
const ACCOUNTS = { users: { alice: "secret", bob: "secret" }, owners: { "alice/app": "alice" } };
const NOWHERE = `sha256:${"0".repeat(64)}`;

const world = async (auth: Auth) => {
  const upstream = await faultUpstream({ auth });
  const { top, layers } = upstream.content.seed({ repo: "alice/app", tag: "v1" });
  const front = await startFront(upstream, { grantFor: "1h" });
  const loginOf = async (name: string): Promise<string> => {
    if (auth.kind !== "bearer") return basic(name);
    const url = new URL("/token?service=fault.example&scope=repository:alice/app:pull", upstream.url);
    const { token } = (await (await fetch(url, { headers: { authorization: basic(name) } })).json()) as { token: string };
    return `Bearer ${token}`;
  };
  const alice = { authorization: await loginOf("alice") };
  for (const path of ["manifests/v1", `manifests/${top.digest}`, `blobs/${layers[0]!.digest}`])
    expect((await front.ask(`/v2/alice/app/${path}`, { headers: alice })).status).toBe(200);
  const pairs: [held: string, not: string][] = [
    ["manifests/v1", "manifests/v2"],
    [`manifests/${top.digest}`, `manifests/${NOWHERE}`],
    [`blobs/${layers[0]!.digest}`, `blobs/${NOWHERE}`],
  ];
  return { upstream, front, loginOf, pairs };
};

const asked = async (front: Front, method: string, path: string, headers: Record<string, string>) => {
  const answer: Answer = await front.ask(`/v2/alice/app/${path}`, { method, headers });
  // when to come again depends on chance, and on how often upstream was looked for
  const { date: _date, "retry-after": _later, ...rest } = answer.headers;
  return { status: answer.status, headers: rest, body: answer.body.toString() };
};

const expectAlike = async ({ front, pairs }: Awaited<ReturnType<typeof world>>, headers: Record<string, string>) => {
  const statuses = new Set<number>();
  for (const method of ["GET", "HEAD"])
    for (const [held, not] of pairs) {
      const answer = await asked(front, method, held, headers);
      statuses.add(answer.status);
      expect(answer, `${method} ${held}`).toEqual(await asked(front, method, not, headers));
    }
  return [...statuses];
};

describe.each(["bearer", "basic"] as const)("where logins are %s", (kind) => {
  it.each(["nobody", "bob"])("%s is told the same of what is held and of what is not", async (who) => {
    const made = await world({ kind, ...ACCOUNTS });
    const headers: Record<string, string> = who === "nobody" ? {} : { authorization: await made.loginOf(who) };
    expect([[401], [403]]).toContainEqual(await expectAlike(made, headers));
  });

  it.each(["nobody", "bob"])("%s is told the same offline, and while upstream is away", async (who) => {
    const made = await world({ kind, ...ACCOUNTS });
    const headers: Record<string, string> = who === "nobody" ? {} : { authorization: await made.loginOf(who) };
    await made.front.ask("/v2/");
    await made.front.stop();
    await made.front.start({ site: { offline: true } });
    const isAsked = kind === "basic" && who === "nobody";
    expect(await expectAlike(made, headers)).toEqual([isAsked ? 401 : 404]);
    await made.front.stop();
    await made.front.start({ upstream: "http://127.0.0.1:9" });
    await made.front.ask("/v2/alice/app/manifests/v3");
    expect(await expectAlike(made, headers)).toEqual([isAsked ? 401 : 503]);
  });
});
