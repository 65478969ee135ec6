// The mirror door: which site a request on Layover's own name is for, and what is answered there, to whom, by real doors over fault upstreams.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { hashSync } from "bcryptjs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { mirrored } from "../../src/http/mirror.ts";
import { isOciError } from "../../src/oci/error.ts";
import { parseRequest } from "../../src/oci/request.ts";
import type { Site } from "../../src/sites.ts";
import { siteTable } from "../../src/sites.ts";
import { header, status } from "../faults/behaviours.ts";
import { digestOf } from "../faults/content.ts";
import { type FaultUpstream, faultUpstream } from "../faults/upstream.ts";
import { type Answer, type Ask, Front, freePort, HOST } from "../front.ts";
import { bytesOf } from "../pushing.ts";

const HUB = "registry-1.docker.io";
const OWN = "layover";

const named = (host: string, ...more: string[]) =>
  ({ host, hijackNames: [host], lookupNames: [host, ...more] }) as unknown as Site;
const table = siteTable([named(HUB, "index.docker.io", "docker.io"), named("ghcr.io"), named("corp.example"), named("registry")]);

const told = (target: string): string => {
  const [path = "", query] = target.split("?");
  try {
    const found = mirrored(table, path, new URLSearchParams(query));
    if (found === undefined) return "nobody's";
    const rest = found.query.size === 0 ? "" : `?${found.query.toString()}`;
    return `${found.site.host} ${found.path}${rest}`;
  } catch (error) {
    if (!isOciError(error)) throw error;
    return error.code;
  }
};

describe("a request on Layover's own name", () => {
  it.each([
    ["/v2", "nobody's"],
    ["/v2/", "nobody's"],
    ["/v2/?ns=ghcr.io", "ghcr.io /v2/"],
    ["/v2/?ns=elsewhere.example", "NAME_UNKNOWN"],
    ["/v2/ghcr.io/", "ghcr.io /v2/"],
    // Docker's registry-mirrors, and what a person types
    ["/v2/library/ubuntu/manifests/latest", `${HUB} /v2/library/ubuntu/manifests/latest`],
    ["/v2/ubuntu/manifests/latest", `${HUB} /v2/library/ubuntu/manifests/latest`],
    ["/v2/ubuntu-24.04/manifests/latest", `${HUB} /v2/library/ubuntu-24.04/manifests/latest`],
    ["/v2/ghcr.io/manifests/latest", "ghcr.io /v2/manifests/latest"],
    ["/v2/ubuntu/tags/list?n=5", `${HUB} /v2/library/ubuntu/tags/list?n=5`],
    ["/v2/docker.io/ubuntu/manifests/latest", `${HUB} /v2/library/ubuntu/manifests/latest`],
    ["/v2/docker.io/acme/app/manifests/v1", `${HUB} /v2/acme/app/manifests/v1`],
    ["/v2/index.docker.io/acme/app/manifests/v1", `${HUB} /v2/acme/app/manifests/v1`],
    ["/v2/ghcr.io/acme/app/manifests/v1", "ghcr.io /v2/acme/app/manifests/v1"],
    ["/v2/ghcr.io/app/manifests/v1", "ghcr.io /v2/app/manifests/v1"],
    ["/v2/ghcr.io:443/acme/app/manifests/v1", "ghcr.io /v2/acme/app/manifests/v1"],
    // a name without a dot is the Hub's to have, but with a port it is a host
    ["/v2/registry/app/manifests/v1", `${HUB} /v2/registry/app/manifests/v1`],
    ["/v2/registry:443/app/manifests/v1", "registry /v2/app/manifests/v1"],
    // containerd and BuildKit
    ["/v2/library/ubuntu/manifests/latest?ns=docker.io", `${HUB} /v2/library/ubuntu/manifests/latest`],
    ["/v2/acme/app/manifests/v1?ns=ghcr.io", "ghcr.io /v2/acme/app/manifests/v1"],
    ["/v2/acme/app/manifests/v1?ns=GHCR.io:443", "ghcr.io /v2/acme/app/manifests/v1"],
    ["/v2/acme/app/referrers/sha256:0?artifactType=a&ns=ghcr.io", "ghcr.io /v2/acme/app/referrers/sha256:0?artifactType=a"],
    // with `override_path`, or a mirror that has a path, the same name comes twice
    ["/v2/ghcr.io/acme/app/manifests/v1?ns=ghcr.io", "ghcr.io /v2/acme/app/manifests/v1"],
    ["/v2/docker.io/ubuntu/manifests/v1?ns=docker.io", `${HUB} /v2/library/ubuntu/manifests/v1`],
    // a repository that is called as another site is: `ns` says whose it is
    ["/v2/docker.io/library/app/manifests/v1?ns=corp.example", "corp.example /v2/docker.io/library/app/manifests/v1"],
    ["/v2/corp.example/docker.io/app/manifests/v1", "corp.example /v2/docker.io/app/manifests/v1"],
    // nothing that is looked up is ever dialled
    ["/v2/acme/app/manifests/v1?ns=elsewhere.example", "NAME_UNKNOWN"],
    ["/v2/acme/app/manifests/v1?ns=ghcr.io:5000", "NAME_UNKNOWN"],
    ["/v2/acme/app/manifests/v1?ns=169.254.169.254", "NAME_UNKNOWN"],
    ["/v2/acme/app/manifests/v1?ns=", "NAME_UNKNOWN"],
    ["/v2/elsewhere.example/app/manifests/v1", "NAME_UNKNOWN"],
    ["/v2/ghcr.io:5000/acme/app/manifests/v1", "NAME_UNKNOWN"],
    ["/v2/acme/app/manifests/v1?ns=ghcr.io&ns=docker.io", "NAME_INVALID"],
    ["/v2/acme/app/manifests/v1?ns=ghcr.io&ns=ghcr.io", "NAME_INVALID"],
    // odd spellings
    ["/v2/GHCR.io/acme/app/manifests/v1", "NAME_INVALID"],
    ["/v2/ghcr.io./acme/app/manifests/v1", "NAME_INVALID"],
    ["/v2//ghcr.io/acme/app/manifests/v1", "NAME_INVALID"],
    ["/v2/acme/../ghcr.io/app/manifests/v1", "NAME_INVALID"],
    ["/v2/./ghcr.io/app/manifests/v1", "NAME_INVALID"],
    ["/v2/ghcr.io/../acme/app/manifests/v1", "NAME_INVALID"],
    ["/v2/ghcr%2Eio/acme/app/manifests/v1", "NAME_INVALID"],
    ["/v2/ghcr.io%2Facme/app/manifests/v1", "NAME_INVALID"],
    ["/v2/ghcr.io\\acme/app/manifests/v1", "NAME_INVALID"],
  ])("%s is %s", (target, expected) => expect(told(target)).toBe(expected));

  it("is for Docker Hub only where that is a site", () => {
    const without = siteTable([named("ghcr.io")]);
    expect(() => mirrored(without, "/v2/library/ubuntu/manifests/v1", new URLSearchParams())).toThrow(/docker\.io/);
  });

  it("whatever it says, leads to a site of the table, and a path of that site's that leads back here as it came", () => {
    const part = fc.constantFrom("ghcr.io", "docker.io", "corp.example", "acme", "app", "..", "%2e", "", "v2", "x.y", "a:443");
    const ns = fc.option(fc.constantFrom("ghcr.io", "docker.io", "corp.example", "x.y", "", "ghcr.io:443"), { nil: undefined });
    const noun = fc.constantFrom("manifests/v1", "tags/list", "blobs/uploads/");
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), noun, ns, (parts, last, name) => {
        const query = new URLSearchParams(name === undefined ? {} : { ns: name });
        const path = `/v2/${parts.join("/")}/${last}`;
        let found: ReturnType<typeof mirrored>;
        try {
          found = mirrored(table, path, query);
        } catch (error) {
          return isOciError(error) && error.status >= 400 && error.status < 500;
        }
        if (found === undefined) return false;
        const isNamed =
          name === undefined ? parts[0] === found.site.host || found.site.host === HUB || parts[0] === "a:443" : true;
        const [back = "", backQuery] = found.outward(found.path).split("?");
        const again = mirrored(table, back, new URLSearchParams(backQuery))!;
        const asks = ({ path: own, query: more }: { path: string; query: URLSearchParams }) => {
          try {
            return JSON.stringify(parseRequest("GET", own, more));
          } catch (error) {
            return String(error);
          }
        };
        return isNamed && again.site === found.site && asks(again) === asks(found);
      }),
    );
  });
});

const start = async (upstream: FaultUpstream, site: object = {}, others: object = {}) => {
  const front = new Front(upstream.url.origin, site, { [HUB]: { upstream: upstream.url.origin }, ...others });
  await front.start();
  const ask = (path: string, more: Ask = {}) => front.ask(path, { host: OWN, ...more });
  return { front, ask };
};

const codeOf = ({ body }: Answer): string => (JSON.parse(body.toString()) as { errors: [{ code: string }] }).errors[0].code;
const basic = (name: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`,
});
const GUARDED = { auth: { kind: "bearer", users: { ann: "pw" }, owners: { "ann/app": "ann" } } } as const;

describe("a pull", () => {
  it.each([
    ["of an image with its registry's name in front", "/v2/registry.test/acme/app", "", "acme/app"],
    ["by ns", "/v2/acme/app", `?ns=${HOST}`, "acme/app"],
    ["of Docker's mirror", "/v2/acme/app", "", "acme/app"],
    ["of a bare name", "/v2/ubuntu", "", "library/ubuntu"],
    ["of a bare name on the Hub", "/v2/docker.io/ubuntu", "", "library/ubuntu"],
  ])("%s is cold once, then warm", async (_what, name, query, repo) => {
    const upstream = await faultUpstream();
    const { top, layers } = upstream.content.seed({ repo, tag: "v1", layers: 100_000 });
    const { ask, front } = await start(upstream);
    for (const verdict of ["MISS", "HIT"]) {
      const manifest = await ask(`${name}/manifests/v1${query}`);
      expect(manifest).toMatchObject({ status: 200, headers: { "x-cache": verdict, "docker-content-digest": top.digest } });
      const blob = await ask(`${name}/blobs/${layers[0]!.digest}${query}`);
      expect(blob).toMatchObject({ status: 200, headers: { "x-cache": verdict } });
      expect(digestOf(blob.body)).toBe(layers[0]!.digest);
    }
    expect(upstream.count(/\/blobs\//)).toBe(1);
    expect(upstream.log.some(({ path }) => path.includes("ns="))).toBe(false);
    // over plain HTTP too, by a name and by an address
    for (const host of [OWN, "192.0.2.7"]) expect((await front.page(`${name}/manifests/v1${query}`, host)).status).toBe(200);
  });

  it("is of a site's own content, whatever another site holds under the same name", async () => {
    const [one, other] = [await faultUpstream(), await faultUpstream()];
    const first = one.content.seed({ repo: "acme/app", tag: "v1", layers: 1_000 });
    const second = other.content.seed({ repo: "acme/app", tag: "v1", layers: 1_000 });
    const { ask } = await start(one, {}, { "other.test": { upstream: other.url.origin } });
    for (let round = 0; round < 2; round += 1) {
      expect((await ask(`/v2/${HOST}/acme/app/manifests/v1`)).headers["docker-content-digest"]).toBe(first.top.digest);
      expect((await ask("/v2/other.test/acme/app/manifests/v1")).headers["docker-content-digest"]).toBe(second.top.digest);
      expect((await ask("/v2/acme/app/manifests/v1?ns=other.test")).headers["docker-content-digest"]).toBe(second.top.digest);
    }
    const blob = first.layers[0]!.digest;
    expect((await ask(`/v2/${HOST}/acme/app/blobs/${blob}`)).status).toBe(200);
    expect((await ask(`/v2/other.test/acme/app/blobs/${blob}`)).status).toBe(404);
  });

  it("goes on from page to page through the same door", async () => {
    const upstream = await faultUpstream();
    for (const tag of ["a", "b", "c"]) upstream.content.seed({ repo: "library/app", tag, layers: 10 });
    const { ask } = await start(upstream, {}, {});
    for (const [path, query] of [
      ["/v2/app/tags/list", ""],
      ["/v2/docker.io/app/tags/list", ""],
      [`/v2/${HOST}/library/app/tags/list`, ""],
      ["/v2/library/app/tags/list", `&ns=${HOST}`],
    ]) {
      const seen: string[] = [];
      let next: string | undefined = `${path}?n=1${query}`;
      for (let page = 0; next !== undefined && page < 5; page += 1) {
        const answer: Answer = await ask(next);
        expect(answer.status).toBe(200);
        seen.push(...(JSON.parse(answer.body.toString()) as { tags: string[] }).tags);
        next = /<(.+)>/.exec(String(answer.headers["link"] ?? ""))?.[1];
      }
      expect(seen).toEqual(["a", "b", "c"]);
    }
  });
});

describe("whoever asks", () => {
  it("is welcome, whether anybody can be asked or not", async () => {
    const upstream = await faultUpstream(GUARDED);
    const { ask, front } = await start(upstream);
    await upstream.stop();
    for (const headers of [{}, basic("ann", "pw")]) {
      expect(await ask("/v2/", { headers })).toMatchObject({
        status: 200,
        headers: { "docker-distribution-api-version": "registry/2.0" },
      });
      expect(await ask(`/v2/?ns=${HOST}`, { headers })).toMatchObject({ status: 200 });
    }
    expect((await front.page("/v2/")).status).toBe(200);
    expect((await ask("/v2/?ns=elsewhere.example")).status).toBe(404);
    expect((await ask("/v2/", { host: "elsewhere.example", servername: OWN })).status).toBe(421);
  });

  it("gets what is public without a token of his own, and nothing that is private, cached or not, with whatever he shows", async () => {
    const upstream = await faultUpstream(GUARDED);
    const open = upstream.content.seed({ repo: "open/app", tag: "v1", layers: 5_000 });
    const secret = upstream.content.seed({ repo: "ann/app", tag: "v1", layers: 5_000 });
    const { ask, front } = await start(upstream);
    expect((await ask(`/v2/${HOST}/open/app/manifests/v1`)).headers["docker-content-digest"]).toBe(open.top.digest);
    // ann pulls hers under the registry's own name, so that it is held
    const token = await fetch(`${upstream.url.origin}/token?service=fault.example&scope=repository:ann/app:pull`, {
      headers: basic("ann", "pw"),
    });
    const bearer = { authorization: `Bearer ${((await token.json()) as { token: string }).token}` };
    for (const part of [`manifests/v1`, `blobs/${secret.layers[0]!.digest}`])
      expect((await front.ask(`/v2/ann/app/${part}`, { headers: bearer })).status).toBe(200);
    upstream.clear();
    for (const headers of [{}, basic("ann", "pw"), bearer])
      for (const part of [`manifests/v1`, `manifests/${secret.top.digest}`, `blobs/${secret.layers[0]!.digest}`, "tags/list"]) {
        const answer = await ask(`/v2/${HOST}/ann/app/${part}`, { headers });
        expect(answer.status).toBe(404);
        expect(answer.headers["www-authenticate"]).toBeUndefined();
        expect((await ask(`/v2/ann/app/${part}?ns=${HOST}`, { headers })).status).toBe(404);
        // by way of what everybody may read
        expect((await ask(`/v2/${HOST}/open/app/${part}`, { headers })).status).toBe(
          part === "manifests/v1" || part === "tags/list" ? 200 : 404,
        );
      }
    const shown = upstream.log.filter(({ path, hasAuthorization }) => path.startsWith("/token") && hasAuthorization);
    expect(shown).toEqual([]);
  });

  it("gets what Layover's own credentials may read, where a site says so", async () => {
    const upstream = await faultUpstream(GUARDED);
    upstream.content.seed({ repo: "ann/app", tag: "v1", layers: 5_000 });
    const { ask } = await start(upstream, { access: "shared", credentials: { username: "ann", password: "pw" } });
    expect((await ask(`/v2/${HOST}/ann/app/manifests/v1`, { headers: basic("bob", "secret") })).status).toBe(200);
    expect((await ask(`/v2/${HOST}/nobody/app/manifests/v1`)).status).toBe(404);
  });

  it("is held to the site's rules", async () => {
    const upstream = await faultUpstream();
    upstream.content.seed({ repo: "acme/app", tag: "v1", layers: 10 });
    const { ask } = await start(upstream, { allow: ["other/**"] });
    expect((await ask(`/v2/${HOST}/acme/app/manifests/v1`)).status).toBeGreaterThanOrEqual(400);
    expect(upstream.count(/acme/)).toBe(0);
  });
});

describe("a no comes quickly", () => {
  const took = async (answer: Promise<Answer>) => {
    const began = performance.now();
    const { status: code } = await answer;
    return { code, ms: performance.now() - began };
  };

  it("when upstream is away, or holds its answer back", async () => {
    const upstream = await faultUpstream();
    upstream.content.seed({ repo: "acme/app", tag: "v1", layers: 10 });
    const { ask } = await start(upstream);
    upstream.freeze();
    const frozen = await took(ask(`/v2/${HOST}/acme/app/manifests/v1`));
    expect(frozen.code).toBe(503);
    expect(frozen.ms).toBeLessThan(9_000);
    upstream.thaw();
    await upstream.stop();
    const away = await took(ask(`/v2/${HOST}/acme/new/manifests/v1`));
    expect(away.code).toBe(503);
    expect(away.ms).toBeLessThan(2_000);
  });

  it("when nobody has ever listened there", async () => {
    const front = new Front(`http://127.0.0.1:${await freePort()}`, {});
    await front.start();
    const away = await took(front.ask(`/v2/${HOST}/acme/app/manifests/v1`, { host: OWN }));
    expect(away.code).toBe(503);
    expect(away.ms).toBeLessThan(2_000);
  });

  it("and what is held is served all the same", async () => {
    const upstream = await faultUpstream(GUARDED);
    upstream.content.seed({ repo: "open/app", tag: "v1", layers: 10 });
    const { ask } = await start(upstream, { freshFor: "0s" });
    expect((await ask(`/v2/${HOST}/open/app/manifests/v1`)).status).toBe(200);
    await upstream.stop();
    expect(await ask(`/v2/${HOST}/open/app/manifests/v1`)).toMatchObject({ status: 200, headers: { "x-cache": "STALE" } });
  });

  it("and is upstream's own where it is a limit", async () => {
    const upstream = await faultUpstream();
    upstream.fault(/manifests/, status(429, { "retry-after": "7" }), 1);
    const { ask } = await start(upstream);
    expect(await ask(`/v2/${HOST}/acme/app/manifests/v1`)).toMatchObject({ status: 429, headers: { "retry-after": "7" } });
  });

  it("with what upstream says of its limits where there is none yet", async () => {
    const upstream = await faultUpstream();
    upstream.content.seed({ repo: "acme/app", tag: "v1", layers: 10 });
    upstream.fault(/manifests/, header("ratelimit-remaining", "5;w=21600"));
    const { ask } = await start(upstream);
    expect((await ask(`/v2/${HOST}/acme/app/manifests/v1`)).headers["ratelimit-remaining"]).toBe("5;w=21600");
  });
});

describe("a write", () => {
  it.each([
    ["POST", "blobs/uploads/"],
    ["PUT", "manifests/v1"],
    ["DELETE", "manifests/v1"],
    ["DELETE", `blobs/sha256:${"0".repeat(64)}`],
  ])("to a mirrored site is refused: %s %s", async (method, part) => {
    const upstream = await faultUpstream();
    const { ask } = await start(upstream);
    const body = method === "PUT" ? { body: Buffer.from("{}") } : {};
    for (const path of [`/v2/${HOST}/acme/app/${part}`, `/v2/acme/app/${part}?ns=${HOST}`, `/v2/acme/app/${part}`]) {
      const answer = await ask(path, { method, ...body });
      expect([answer.status, codeOf(answer)]).toEqual([405, "UNSUPPORTED"]);
    }
    expect(upstream.log).toEqual([]);
  });

  it("a catalog, and whatever else there is besides reads, is refused too", async () => {
    const upstream = await faultUpstream();
    const { ask } = await start(upstream);
    expect((await ask("/v2/_catalog")).status).toBe(405);
    expect((await ask(`/v2/${HOST}/_catalog`)).status).toBe(405);
    for (const path of ["/v2/token", `/v2/${HOST}/auth`, `/v2/${HOST}/acme/app/other/x`])
      expect((await ask(path)).status).toBe(404);
    expect(upstream.log).toEqual([]);
  });
});

describe("a hosted site", () => {
  const IMAGES = "images.example";

  it("is pushed to and pulled from by its name in front, and by ns; every Location leads back", async () => {
    const upstream = await faultUpstream();
    const { ask } = await start(upstream, {}, { [IMAGES]: { kind: "local", access: "anonymous" } });
    const bytes = bytesOf(5_000);
    for (const [prefix, query] of [
      [`${IMAGES}/`, ""],
      ["", `ns=${IMAGES}`],
    ]) {
      const begun = await ask(`/v2/${prefix}acme/app/blobs/uploads/?${query}`, { method: "POST" });
      expect(begun.status).toBe(202);
      const patched = await ask(begun.headers.location!, { method: "PATCH", body: bytes });
      expect(patched.status).toBe(202);
      const location = patched.headers.location!;
      const ended = await ask(`${location}${location.includes("?") ? "&" : "?"}digest=${digestOf(bytes)}`, { method: "PUT" });
      expect(ended.status).toBe(201);
      expect((await ask(ended.headers.location!)).body).toEqual(bytes);
      const body = Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: "application/vnd.oci.image.manifest.v1+json",
          config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: digestOf(bytes), size: bytes.length },
          layers: [],
        }),
      );
      const put = await ask(`/v2/${prefix}acme/app/manifests/v1?${query}`, {
        method: "PUT",
        body,
        headers: { "content-type": "application/vnd.oci.image.manifest.v1+json" },
      });
      expect(put.status).toBe(201);
      expect((await ask(put.headers.location!)).body).toEqual(body);
    }
    expect(JSON.parse((await ask(`/v2/${IMAGES}/_catalog`)).body.toString())).toEqual({ repositories: ["acme/app"] });
    // the same repository of another site is another
    expect((await ask("/v2/acme/app/manifests/v1")).status).toBe(404);
  });

  it("asks for its own users' passwords, never over plain HTTP", async () => {
    const upstream = await faultUpstream(GUARDED);
    const front = new Front(upstream.url.origin, {}, { [IMAGES]: { kind: "local", users: "./htpasswd" } });
    writeFileSync(join(front.folder, "htpasswd"), `ann:${hashSync("pw", 4)}\n`);
    await front.start();
    const ask = (path: string, headers = {}) => front.ask(path, { host: OWN, headers });
    const tags = `/v2/${IMAGES}/acme/app/tags/list`;
    const refused = await ask(tags);
    expect([refused.status, refused.headers["www-authenticate"]]).toEqual([401, expect.stringMatching(/^Basic /)]);
    expect((await ask(tags, basic("ann", "wrong"))).status).toBe(401);
    expect((await ask(tags, basic("ann", "pw"))).status).toBe(404);
    expect((await ask(`/v2/?ns=${IMAGES}`)).status).toBe(401);
    expect((await ask(`/v2/?ns=${IMAGES}`, basic("ann", "pw"))).status).toBe(200);
    const plain = await front.page(tags, OWN);
    expect([plain.status, plain.headers["www-authenticate"]]).toEqual([403, undefined]);
    // and the password goes no further
    upstream.clear();
    await ask(`/v2/${HOST}/ann/app/manifests/v1`, basic("ann", "pw"));
    expect(upstream.log.filter(({ hasAuthorization, path }) => hasAuthorization && path.startsWith("/token"))).toEqual([]);
  });
});
