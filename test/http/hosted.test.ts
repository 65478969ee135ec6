// A hosted site over real sockets: pushes whole, in chunks and by mounts, what is refused of them, and what is then read.
import { once } from "node:events";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hashSync } from "bcryptjs";
import { describe, expect, it } from "vitest";
import { digestOf } from "../../src/oci/digest.ts";
import { type Answer, Front } from "../front.ts";
import { bytesOf, type Client, manifestOf, pushBlob, pushImage, putManifest, TYPE } from "../pushing.ts";

const HOST = "images.example";
const NOWHERE = "http://127.0.0.1:9";
const INDEX = "application/vnd.oci.image.index.v1+json";

const hosting = async (site: object = { access: "anonymous" }, prepare: (front: Front) => void = () => undefined) => {
  const front = new Front(NOWHERE, {}, { [HOST]: { kind: "local", ...site } });
  prepare(front);
  await front.start();
  const ask: Client = (method, path, more = {}) => front.ask(path, { method, host: HOST, ...more });
  return { front, ask };
};

const codeOf = ({ body }: Answer): string => (JSON.parse(body.toString()) as { errors: [{ code: string }] }).errors[0].code;
const begin = async (ask: Client, repo = "acme/app"): Promise<string> => {
  const { status, headers } = await ask("POST", `/v2/${repo}/blobs/uploads/`);
  expect(status).toBe(202);
  expect(headers["docker-upload-uuid"]).toHaveLength(22);
  return headers.location!;
};

describe("a blob", () => {
  it("is pushed in chunks, gone on with where it was, and read whole and in part", async () => {
    const { ask } = await hosting();
    const bytes = bytesOf(30_000);
    const digest = digestOf(bytes);
    const location = await begin(ask);
    const chunk = (start: number, end: number, method = "PATCH", query = "") =>
      ask(method, `${location}${query}`, {
        body: bytes.subarray(start, end),
        headers: { "content-range": `${start}-${end - 1}` },
      });
    expect(await chunk(0, 10_000)).toMatchObject({ status: 202, headers: { range: "0-9999", location } });
    const ahead = await chunk(20_000, 30_000);
    expect(ahead).toMatchObject({ status: 416, headers: { range: "0-9999", location } });
    expect(codeOf(ahead)).toBe("BLOB_UPLOAD_INVALID");
    expect(await ask("GET", location)).toMatchObject({ status: 204, headers: { range: "0-9999" } });
    expect(await chunk(10_000, 20_000)).toMatchObject({ status: 202 });
    expect(await ask("HEAD", `/v2/acme/app/blobs/${digest}`)).toMatchObject({ status: 404 });
    expect(await chunk(20_000, 30_000, "PUT", `?digest=${digest}`)).toMatchObject({
      status: 201,
      headers: { "docker-content-digest": digest },
    });
    expect((await ask("GET", `/v2/acme/app/blobs/${digest}`)).body).toEqual(bytes);
    const part = await ask("GET", `/v2/acme/app/blobs/${digest}`, { headers: { range: "bytes=5-9" } });
    expect([part.status, part.body]).toEqual([206, bytes.subarray(5, 10)]);
    expect(codeOf(await ask("GET", location))).toBe("BLOB_UPLOAD_UNKNOWN");
    expect(codeOf(await ask("GET", `/v2/acme/other/blobs/${digest}`))).toBe("BLOB_UNKNOWN");
  });

  it("with another digest is refused and forgotten", async () => {
    const { ask, front } = await hosting();
    const location = await begin(ask);
    const wrong = await ask("PUT", `${location}?digest=${digestOf(bytesOf(9, 9))}`, { body: bytesOf(1_000) });
    expect([wrong.status, codeOf(wrong)]).toEqual([400, "DIGEST_INVALID"]);
    expect((await ask("GET", location)).status).toBe(404);
    const atOnce = await ask("POST", `/v2/acme/app/blobs/uploads/?digest=${digestOf(bytesOf(9, 9))}`, { body: bytesOf(10) });
    expect(codeOf(atOnce)).toBe("DIGEST_INVALID");
    await expect.poll(() => readdirSync(join(front.folder, "data", "spool"))).toEqual([]);
  });

  it("may be hashed by sha512, announced or not", async () => {
    const { ask } = await hosting();
    for (const query of ["", "?digest-algorithm=sha512"]) {
      const bytes = bytesOf(600_000, query.length);
      const digest = digestOf(bytes, "sha512");
      const location = (await ask("POST", `/v2/acme/app/blobs/uploads/${query}`)).headers.location!;
      expect((await ask("PATCH", location, { body: bytes })).status).toBe(202);
      expect((await ask("PUT", `${location}?digest=${digest}`)).status).toBe(201);
      expect((await ask("GET", `/v2/acme/app/blobs/${digest}`)).body).toEqual(bytes);
    }
  });

  it("is mounted from where it is, from anywhere, or not at all", async () => {
    const { ask } = await hosting({ access: "anonymous", rules: [{ match: "secret/**", deny: true }] });
    const digest = await pushBlob(ask, "acme/app", bytesOf(100));
    const mount = (repo: string, query: string) => ask("POST", `/v2/${repo}/blobs/uploads/?mount=${digest}${query}`);
    expect((await mount("acme/a", "&from=acme/other")).status).toBe(202);
    expect((await mount("acme/a", "&from=secret/a")).status).toBe(202);
    expect(await mount("acme/a", "&from=acme/app")).toMatchObject({
      status: 201,
      headers: { location: `/v2/acme/a/blobs/${digest}` },
    });
    expect((await mount("acme/b", "")).status).toBe(201);
    expect((await ask("HEAD", `/v2/acme/b/blobs/${digest}`)).status).toBe(200);
    expect(codeOf(await mount("secret/b", ""))).toBe("DENIED");
  });

  it("whose connection breaks is gone on with from what has come", async () => {
    const { ask, front } = await hosting();
    const bytes = bytesOf(200_000);
    const location = await begin(ask);
    const socket = await front.dial(HOST);
    socket.write(`PATCH ${location} HTTP/1.1\r\nhost: ${HOST}\r\ncontent-length: ${bytes.length}\r\n\r\n`);
    socket.write(bytes.subarray(0, 100_000));
    const rangeNow = async () => (await ask("GET", location)).headers.range;
    await expect.poll(rangeNow).toBe("0-99999");
    const beside = await ask("PATCH", location, { body: bytes.subarray(100_000), headers: { "content-range": "100000-199999" } });
    expect([beside.status, beside.headers.range]).toEqual([416, "0-99999"]);
    socket.destroy();
    await expect
      .poll(async () => {
        const body = bytes.subarray(100_000);
        return (await ask("PATCH", location, { body, headers: { "content-range": "100000-199999" } })).status;
      })
      .toBe(202);
    expect((await ask("PUT", `${location}?digest=${digestOf(bytes)}`)).status).toBe(201);
  });

  it("can be cancelled, also while it comes", async () => {
    const { ask, front } = await hosting();
    const location = await begin(ask);
    const socket = await front.dial(HOST);
    socket.on("error", () => undefined);
    socket.write(`PATCH ${location} HTTP/1.1\r\nhost: ${HOST}\r\ncontent-length: 100\r\n\r\nsome`);
    await expect.poll(async () => (await ask("GET", location)).headers.range).toBe("0-3");
    expect((await ask("DELETE", location)).status).toBe(204);
    const [answer] = (await once(socket, "data")) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1.1 4\d\d /);
    expect((await ask("GET", location)).status).toBe(404);
    await expect.poll(() => readdirSync(join(front.folder, "data", "spool"))).toEqual([]);
  });

  it("is deleted from one repository alone", async () => {
    const { ask } = await hosting();
    const digest = await pushBlob(ask, "acme/a", bytesOf(100));
    await pushBlob(ask, "acme/b", bytesOf(100));
    expect((await ask("DELETE", `/v2/acme/a/blobs/${digest}`)).status).toBe(202);
    expect((await ask("DELETE", `/v2/acme/a/blobs/${digest}`)).status).toBe(404);
    expect((await ask("GET", `/v2/acme/a/blobs/${digest}`)).status).toBe(404);
    expect((await ask("GET", `/v2/acme/b/blobs/${digest}`)).status).toBe(200);
  });
});

describe("a manifest", () => {
  it("is taken with all that it names, and read by tag and digest, also after a restart", async () => {
    const { ask, front } = await hosting();
    const [config, layer] = [bytesOf(20), bytesOf(5_000)];
    const manifest = manifestOf(config, [layer]);
    await pushBlob(ask, "acme/app", config);
    const early = await putManifest(ask, "acme/app", "v1", manifest);
    expect([early.status, codeOf(early)]).toEqual([404, "MANIFEST_BLOB_UNKNOWN"]);
    expect((await ask("GET", "/v2/acme/app/manifests/v1")).status).toBe(404);
    await pushBlob(ask, "acme/app", layer);
    const digest = digestOf(manifest);
    expect(await putManifest(ask, "acme/app", "v1", manifest)).toMatchObject({
      status: 201,
      headers: { "docker-content-digest": digest, location: `/v2/acme/app/manifests/${digest}`, "oci-tag": "v1" },
    });
    await front.stop();
    await front.start();
    for (const reference of ["v1", digest]) {
      const answer = await ask("GET", `/v2/acme/app/manifests/${reference}`);
      expect(answer).toMatchObject({ status: 200, headers: { "content-type": TYPE, "docker-content-digest": digest } });
      expect(answer.body).toEqual(manifest);
    }
  });

  it("is refused for its type, its digest, its size, and what it is not", async () => {
    const { ask } = await hosting();
    const bytes = Buffer.from('{"schemaVersion":2,"layers":[]}');
    const code = async (answer: Promise<Answer>) => {
      const { status, body } = await answer;
      return `${status} ${codeOf({ body } as Answer)}`;
    };
    expect(await code(putManifest(ask, "a", "v1", Buffer.from("[]")))).toBe("400 MANIFEST_INVALID");
    expect(await code(ask("PUT", "/v2/a/manifests/v1", { body: bytes }))).toBe("400 MANIFEST_INVALID");
    expect(await code(putManifest(ask, "a", "v1", manifestOf(bytes, []), INDEX))).toBe("400 MANIFEST_INVALID");
    expect(await code(putManifest(ask, "a", "v1", bytes, "application/vnd.docker.distribution.manifest.v1+prettyjws"))).toBe(
      "400 MANIFEST_INVALID",
    );
    expect(await code(putManifest(ask, "a", digestOf(Buffer.from("x")), bytes))).toBe("400 DIGEST_INVALID");
    expect(await code(putManifest(ask, "a", "v1", Buffer.alloc(9 * 1024 * 1024)))).toBe("413 TOO_LARGE");
    expect(await code(ask("POST", "/v2/a/manifests/v1", { body: bytes }))).toBe("405 UNSUPPORTED");
    expect((await ask("GET", "/v2/a/tags/list")).status).toBe(404);
  });

  it("is listed with its subject, by type, for as long as it is there", async () => {
    const { ask } = await hosting();
    const subject = { mediaType: TYPE, digest: digestOf(Buffer.from("not here yet")), size: 1 };
    await pushBlob(ask, "acme/app", Buffer.from("{}"));
    const digests: string[] = [];
    for (const artifactType of ["application/sbom", "application/signature"]) {
      const manifest = manifestOf(Buffer.from("{}"), [], { subject, artifactType, annotations: { of: artifactType } });
      const { headers } = await putManifest(ask, "acme/app", digestOf(manifest), manifest);
      expect(headers["oci-subject"]).toBe(subject.digest);
      digests.push(digestOf(manifest));
    }
    const list = async (query = "") => {
      const { headers, body } = await ask("GET", `/v2/acme/app/referrers/${subject.digest}${query}`);
      const { manifests } = JSON.parse(body.toString()) as { manifests: { digest: string; artifactType: string }[] };
      return { applied: headers["oci-filters-applied"], manifests };
    };
    expect((await list()).manifests.map(({ digest }) => digest).sort()).toEqual(digests.toSorted());
    expect(await list("?artifactType=application/sbom")).toMatchObject({
      applied: "artifactType",
      manifests: [{ digest: digests[0], artifactType: "application/sbom", annotations: { of: "application/sbom" } }],
    });
    expect((await ask("DELETE", `/v2/acme/app/manifests/${digests[0]}`)).status).toBe(202);
    expect((await list()).manifests.map(({ digest }) => digest)).toEqual([digests[1]]);
  });

  it("goes with its tags; a tag goes alone", async () => {
    const { ask } = await hosting();
    const digest = await pushImage(ask, "acme/app", "v1");
    await pushImage(ask, "acme/app", "v2");
    expect((await ask("DELETE", "/v2/acme/app/manifests/v1")).status).toBe(202);
    expect((await ask("GET", "/v2/acme/app/manifests/v1")).status).toBe(404);
    expect((await ask("GET", `/v2/acme/app/manifests/${digest}`)).status).toBe(200);
    expect((await ask("DELETE", `/v2/acme/app/manifests/${digest}`)).status).toBe(202);
    expect((await ask("GET", "/v2/acme/app/manifests/v2")).status).toBe(404);
    expect((await ask("DELETE", `/v2/acme/app/manifests/${digest}`)).status).toBe(404);
  });

  it("of a pinned tag stays", async () => {
    const { ask } = await hosting({ access: "anonymous", rules: [{ match: "**:v*", pin: true }] });
    const digest = await pushImage(ask, "acme/app", "v1", 1);
    expect((await putManifest(ask, "acme/app", "v1", manifestOf(bytesOf(20), [bytesOf(5_000)]))).status).toBe(201);
    await pushImage(ask, "acme/app", "latest", 2);
    const other = manifestOf(bytesOf(20, 2), [bytesOf(5_000, 2)]);
    expect(codeOf(await putManifest(ask, "acme/app", "v1", other))).toBe("DENIED");
    expect(codeOf(await ask("DELETE", "/v2/acme/app/manifests/v1"))).toBe("DENIED");
    expect(codeOf(await ask("DELETE", `/v2/acme/app/manifests/${digest}`))).toBe("DENIED");
    expect((await ask("HEAD", "/v2/acme/app/manifests/v1")).headers["docker-content-digest"]).toBe(digest);
  });
});

describe("a body", () => {
  /** All that a connection says to these bytes, until it is closed or says no more for a while. */
  const said = async (front: Front, pieces: readonly (string | Buffer)[], until: RegExp): Promise<string> => {
    const socket = await front.dial(HOST);
    let text = "";
    socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
    socket.on("error", () => undefined);
    for (const piece of pieces) socket.write(piece);
    await expect.poll(() => text, { timeout: 5_000 }).toMatch(until);
    socket.destroy();
    return text;
  };
  const post = (digest: string, length: number, more = "") =>
    `POST /v2/acme/app/blobs/uploads/?digest=${digest} HTTP/1.1\r\nhost: ${HOST}\r\ncontent-length: ${length}\r\n${more}\r\n`;

  it("that waits to be wanted is asked for where it is, and not where it is refused", async () => {
    const { front } = await hosting({ access: "anonymous", rules: [{ match: "secret/**", deny: true }] });
    const bytes = bytesOf(1_000);
    const wanted = post(digestOf(bytes), bytes.length, "expect: 100-continue\r\n");
    expect(await said(front, [wanted, bytes], /201 Created/)).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 201/);
    expect(await said(front, [wanted.replace("acme/app", "secret/a")], /"DENIED"/)).toMatch(/^HTTP\/1\.1 403/);
  });

  it("that is refused while it comes leaves its sender the answer, however much more it sends", async () => {
    const { front } = await hosting({ access: "anonymous", readOnly: true });
    const piece = Buffer.alloc(1024 * 1024);
    const pieces = [post(digestOf(piece), 20 * piece.length), ...Array.from({ length: 20 }, () => piece)];
    expect(await said(front, pieces, /"UNSUPPORTED"/)).toMatch(/^HTTP\/1\.1 405/);
  });
});

describe("lists", () => {
  it("of tags and repositories come in pages", async () => {
    const { ask } = await hosting();
    for (const tag of ["c", "a", "b"]) await pushImage(ask, "acme/app", tag);
    await pushImage(ask, "acme/other", "v1", 2);
    const walk = async (path: string, key: string) => {
      const pages: string[][] = [];
      for (let next: string | undefined = path; next !== undefined; ) {
        const { headers, body }: Answer = await ask("GET", next);
        pages.push((JSON.parse(body.toString()) as Record<string, string[]>)[key]!);
        next = /<([^>]+)>; rel="next"/.exec(String(headers["link"] ?? ""))?.[1];
      }
      return pages;
    };
    expect(await walk("/v2/acme/app/tags/list", "tags")).toEqual([["a", "b", "c"]]);
    expect(await walk("/v2/acme/app/tags/list?n=2", "tags")).toEqual([["a", "b"], ["c"]]);
    expect(await walk("/v2/acme/app/tags/list?n=0", "tags")).toEqual([[]]);
    expect(await walk("/v2/_catalog?n=1", "repositories")).toEqual([["acme/app"], ["acme/other"]]);
    expect(codeOf(await ask("GET", "/v2/nobody/tags/list"))).toBe("NAME_UNKNOWN");
  });
});

describe("who may", () => {
  const basic = (user: string, password: string) => ({
    authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
  });

  it("is whoever is in the file of users, for everything", async () => {
    const { ask, front } = await hosting({ users: "./htpasswd" }, ({ folder }) =>
      writeFileSync(join(folder, "htpasswd"), `# builders\nalice:${hashSync("open", 4)}\n`),
    );
    const challenged = { status: 401, headers: { "www-authenticate": `Basic realm="${HOST}"` } };
    for (const [method, path] of [
      ["GET", "/v2/"],
      ["GET", "/v2/acme/app/manifests/v1"],
      ["GET", "/v2/_catalog"],
      ["POST", "/v2/acme/app/blobs/uploads/"],
      ["PUT", "/v2/acme/app/manifests/v1"],
    ] as const) {
      expect(await ask(method, path)).toMatchObject(challenged);
      expect(await ask(method, path, { headers: basic("alice", "wrong") })).toMatchObject(challenged);
      expect(await ask(method, path, { headers: { authorization: "Bearer e30.e30.e30" } })).toMatchObject(challenged);
    }
    expect(await ask("GET", "/v2/", { headers: { authorization: "Basic Og==" } })).toMatchObject(challenged);
    const asAlice: Client = (method, path, more = {}) =>
      ask(method, path, { ...more, headers: { ...basic("alice", "open"), ...more.headers } });
    expect((await asAlice("GET", "/v2/")).status).toBe(200);
    const digest = await pushImage(asAlice, "acme/app", "v1");
    expect((await asAlice("HEAD", "/v2/acme/app/manifests/v1")).headers["docker-content-digest"]).toBe(digest);
    writeFileSync(join(front.folder, "htpasswd"), `bob:${hashSync("sesame", 4)}\n`);
    await expect.poll(async () => (await asAlice("GET", "/v2/")).status, { timeout: 5_000 }).toBe(401);
    expect((await ask("GET", "/v2/", { headers: basic("bob", "sesame") })).status).toBe(200);
  });

  it("go on with an upload is who began it", async () => {
    const { ask } = await hosting({ users: "./htpasswd" }, ({ folder }) =>
      writeFileSync(join(folder, "htpasswd"), `alice:${hashSync("a", 4)}\nbob:${hashSync("b", 4)}\n`),
    );
    const { headers } = await ask("POST", "/v2/acme/app/blobs/uploads/", { headers: basic("alice", "a") });
    expect((await ask("GET", headers.location!, { headers: basic("bob", "b") })).status).toBe(404);
    const elsewhere = headers.location!.replace("acme/app", "acme/other");
    expect((await ask("GET", elsewhere, { headers: basic("alice", "a") })).status).toBe(404);
    expect((await ask("GET", headers.location!, { headers: basic("alice", "a") })).status).toBe(204);
  });

  it("write is nobody where the site is read-only, and it says so", async () => {
    const { ask } = await hosting({ access: "anonymous", readOnly: true });
    const refused = await ask("POST", "/v2/acme/app/blobs/uploads/", { body: bytesOf(100) });
    expect([refused.status, codeOf(refused)]).toEqual([405, "UNSUPPORTED"]);
    expect((await ask("GET", "/v2/_catalog")).body.toString()).toBe('{"repositories":[]}');
    expect((await ask("GET", "/token")).status).toBe(404);
  });
});
