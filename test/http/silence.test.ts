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
  return { front, loginOf, pairs };
};

const asked = async (front: Front, method: string, path: string, headers: Record<string, string>) => {
  const answer: Answer = await front.ask(`/v2/alice/app/${path}`, { method, headers });
  const { date: _date, ...rest } = answer.headers;
  return { status: answer.status, headers: rest, body: answer.body.toString() };
};

describe.each(["bearer", "basic"] as const)("where logins are %s", (kind) => {
  it.each(["nobody", "bob"])("%s is told the same of what is held and of what is not", async (who) => {
    const { front, loginOf, pairs } = await world({ kind, ...ACCOUNTS });
    const headers: Record<string, string> = who === "nobody" ? {} : { authorization: await loginOf(who) };
    for (const method of ["GET", "HEAD"])
      for (const [held, not] of pairs) {
        const answer = await asked(front, method, held, headers);
        expect([401, 403]).toContain(answer.status);
        expect(answer, `${method} ${held}`).toEqual(await asked(front, method, not, headers));
      }
  });
});
