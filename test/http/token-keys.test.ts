// A whole front end with `tokenKeys`: from a file, and from a URL at a server whose certificate the site's own roots vouch for.
import { createPublicKey } from "node:crypto";
import { writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { mintLeaf } from "../../src/tls/leaf.ts";
import { anchorOf, makeRoot } from "../../src/tls/root.ts";
import { status } from "../faults/behaviours.ts";
import type { Logged } from "../faults/log.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { Front, HOST } from "../front.ts";
import { access, claimsAt, ecSigner, jwks, pemOf, type Signer, signed } from "../registry/signer.ts";

const SERVICE = "fault.example";
const REPO = "team/app";
const ours = ecSigner();

let count = 0;
const token = (by: Signer, changes: Record<string, unknown> = {}): { authorization: string } => {
  count += 1;
  const claims = claimsAt(Date.now(), { aud: SERVICE, access: [access(REPO, "pull")], jti: String(count), ...changes });
  return { authorization: `Bearer ${signed(by, { kid: "1" }, claims)}` };
};

const world = async (tokenKeys: string, more: object = {}, keysFile?: string) => {
  const users = { ann: "ann's" };
  const upstream = await faultUpstream({ auth: { kind: "bearer", users, owners: { [REPO]: "ann" } } });
  const { layers, top } = upstream.content.seed({ repo: REPO, tag: "v1" });
  const front = new Front(upstream.url.origin, { tokenKeys, ...more });
  if (keysFile !== undefined) writeFileSync(join(front.folder, "token.pem"), keysFile);
  await front.start();
  const opaque = async () => {
    const query = new URLSearchParams({ service: SERVICE, scope: `repository:${REPO}:pull` });
    const authorization = `Basic ${Buffer.from("ann:ann's").toString("base64")}`;
    const answer = await fetch(new URL(`/token?${query.toString()}`, upstream.url), { headers: { authorization } });
    return { authorization: `Bearer ${((await answer.json()) as { token: string }).token}` };
  };
  const paths = [`/v2/${REPO}/manifests/v1`, `/v2/${REPO}/manifests/${top.digest}`, `/v2/${REPO}/blobs/${layers[0]!.digest}`];
  const pull = async (headers: Record<string, string>) => {
    const answers = [];
    for (const path of paths) answers.push((await front.ask(path, { headers })).status);
    return answers;
  };
  const fill = async () => {
    await front.ask("/v2/");
    expect(await pull(await opaque())).toEqual([200, 200, 200]);
  };
  const isAsked = ({ authorization }: { authorization: string }) =>
    upstream.count((one: Logged) => one.headers.authorization === authorization) > 0;
  return { upstream, front, pull, fill, isAsked };
};

describe("tokenKeys in a file", () => {
  it.each([
    ["a JWKS", jwks([ours, { kid: "1" }])],
    ["a public key", pemOf(ours)],
  ])("as %s spare the questions, in an outage and after a restart as well", async (_name, text) => {
    const { upstream, front, pull, fill, isAsked } = await world("./token.pem", {}, text);
    await fill();
    const other = { sub: "another" };
    for (const one of [token(ours), token(ours, other)]) {
      expect(await pull(one)).toEqual([200, 200, 200]);
      expect(isAsked(one)).toBe(false);
    }
    const forged = token(ecSigner());
    expect(await pull(forged)).toEqual([401, 401, 401]);
    expect(isAsked(forged)).toBe(true);
    upstream.fault(/^\/v2\//, status(503));
    expect(await pull(token(ours))).toEqual([200, 200, 200]);
    expect(await pull(forged)).toEqual([503, 503, 503]);
    await front.stop();
    await upstream.stop();
    await front.start();
    expect(await pull(token(ours, other))).toEqual([200, 200, 200]);
    expect(await pull(token(ours, { access: [access("team/other", "pull")] }))).toEqual([503, 503, 503]);
    expect((await front.ask("/v2/", { headers: token(ours) })).status).toBe(200);
    expect((await front.ask("/v2/", { headers: token(ecSigner()) })).status).toBe(503);
  });

  it("need the registry's service, which is asked for where nobody has heard it", async () => {
    const { upstream, pull, isAsked } = await world("./token.pem", {}, jwks([ours, { kid: "1" }]));
    const first = token(ours);
    expect(await pull(first)).toEqual([401, 401, 401]);
    expect(isAsked(first)).toBe(true);
    expect(upstream.count(/^\/v2\/$/)).toBe(1);
  });
});

describe("tokenKeys at a URL", () => {
  const root = makeRoot({ names: "all", now: Date.now(), hostname: "tokens" });
  const { chain, key } = mintLeaf(root, ["127.0.0.1"], Date.now());
  const tls = { cert: chain, key: key.export({ type: "pkcs8", format: "pem" }) as string };

  const serve = async (answer: (res: ServerResponse) => void) => {
    const asked: string[] = [];
    const listener = (req: IncomingMessage, res: ServerResponse) => {
      asked.push(`${req.url} ${"authorization" in req.headers}`);
      answer(res);
    };
    const server = createServer(tls, listener);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/keys?a=b`, asked, server };
  };

  it("are got by way of the site's own roots, and outlive their server and a restart", async () => {
    const { url, asked, server } = await serve((res) => res.end(jwks([ours, { kid: "1" }])));
    const { upstream, front, pull, fill, isAsked } = await world(
      url,
      { trust: "./token.pem" },
      anchorOf(root).certificate.toString(),
    );
    await fill();
    const one = token(ours);
    expect(await pull(one)).toEqual([200, 200, 200]);
    expect(isAsked(one)).toBe(false);
    expect(asked).toEqual(["/keys?a=b false"]);
    await front.stop();
    server.closeAllConnections();
    server.close();
    await upstream.stop();
    await front.start();
    expect(await pull(token(ours))).toEqual([200, 200, 200]);
  });

  it.each([
    ["without these roots", {}, (res: ServerResponse) => res.end(jwks([ours, { kid: "1" }]))],
    [
      "over a redirect to plain HTTP",
      { trust: "./token.pem" },
      (res: ServerResponse) => res.writeHead(302, { location: "http://127.0.0.1:9/" }).end(),
    ],
    ["of endless length", { trust: "./token.pem" }, (res: ServerResponse) => res.end(`{"keys":[]${" ".repeat(2 ** 21)}}`)],
    [
      "that breaks off",
      { trust: "./token.pem" },
      (res: ServerResponse) => {
        res.writeHead(200, { "content-length": "1000" }).write('{"keys":[');
        setTimeout(() => res.destroy(), 20);
      },
    ],
    ["with an error", { trust: "./token.pem" }, (res: ServerResponse) => res.writeHead(500).end(jwks([ours, { kid: "1" }]))],
    ["of another key", { trust: "./token.pem" }, (res: ServerResponse) => res.end(jwks([ecSigner(), { kid: "1" }]))],
  ])("%s vouch for nothing", async (_name, more, answer) => {
    const { url } = await serve(answer);
    const { pull, fill, isAsked } = await world(url, more, anchorOf(root).certificate.toString());
    await fill();
    const one = token(ours);
    expect(await pull(one)).toEqual([401, 401, 401]);
    expect(isAsked(one)).toBe(true);
  });

  it("that never come delay a pull by a second, once", async () => {
    const { url } = await serve(() => undefined);
    const { pull, fill } = await world(url, { trust: "./token.pem" }, anchorOf(root).certificate.toString());
    await fill();
    const timed = async (): Promise<number> => {
      const began = performance.now();
      expect(await pull(token(ours))).toEqual([401, 401, 401]);
      return performance.now() - began;
    };
    expect(await timed()).toBeLessThan(4_000);
    expect(Math.min(await timed(), await timed(), await timed())).toBeLessThan(900);
  });
});

describe("certificates in a file", () => {
  it("check the tokens of a distribution registry, which bring theirs along", async () => {
    const root = makeRoot({ names: "all", now: Date.now(), hostname: "tokens" });
    const { chain, key } = mintLeaf(root, [HOST], Date.now());
    const { pull, fill, isAsked } = await world("./token.pem", {}, anchorOf(root).certificate.toString());
    await fill();
    const signer = { privateKey: key, publicKey: createPublicKey(key), algorithm: "ES256" };
    const x5c = chain
      .split(/-----[A-Z ]+-----/)
      .map((text) => text.replaceAll(/\s/g, ""))
      .filter(Boolean);
    const claims = claimsAt(Date.now(), { aud: SERVICE, access: [access(REPO, "pull")] });
    const one = { authorization: `Bearer ${signed(signer, { x5c }, claims)}` };
    expect(await pull(one)).toEqual([200, 200, 200]);
    expect(isAsked(one)).toBe(false);
  });
});
