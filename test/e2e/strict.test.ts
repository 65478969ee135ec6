// What strict verifiers say of Layover's certificates through the CA's whole life, and of a leaf that its stolen key could sign.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:tls";
import { afterAll, beforeAll, expect, onTestFailed, onTestFinished, test } from "vitest";
import { readCaFiles } from "../../src/tls/ca-files.ts";
import { mintLeaf } from "../../src/tls/leaf.ts";
import { contextOf } from "../../src/tls/leaves.ts";
import { readRoot, type SigningRoot } from "../../src/tls/root.ts";
import { readRoots } from "../../src/tls/roots.ts";
import { makeRoot } from "../cli/roots.ts";
import { corporate } from "../tls/corporate.ts";
import { byNode } from "./handshakes.ts";
import { ADDRESS } from "./layover.ts";
import { outcome } from "./part.ts";
import { until } from "./until.ts";
import { all, type Case, verdictsOf } from "./verifiers.ts";
import { GUARDED, OPEN, World } from "./world.ts";

const OUTSIDE = "evil.example.com";
const ADDED = "images.example";
const DOOR = `${ADDRESS}:443`;
let world: World;
let keys: string;

beforeAll(async () => {
  world = await World.start();
  await world.layover.start();
  keys = `${world.dir}/layover/keys/ca.key`;
});
afterAll(() => world?.stop());

const file = async (name: string, pem?: string): Promise<string> => {
  await writeFile(`${world.dir}/${name}`, pem ?? (await readFile(world.layover.certificate, "utf8")));
  return `${world.dir}/${name}`;
};
const rootsNow = () => {
  const paths = { certificateFile: world.layover.certificate, keyFile: keys };
  return readRoots(readCaFiles(paths), paths)!.filter((root): root is SigningRoot => root.key !== undefined);
};
const caCommand = async (...args: string[]): Promise<void> => {
  onTestFailed(() => world.explain());
  expect(outcome(await world.layover.command("ca", ...args))).toBe("success");
};
/** Fingerprints in the order of ca.crt. */
const fingerprints = async (): Promise<string[]> => {
  const { out } = await world.layover.command("ca", "show", "--json");
  return (JSON.parse(out) as { roots: { fingerprint: string }[] }).roots.map(({ fingerprint }) => fingerprint);
};
/** The running server sees to it within seconds. */
const signedBy = (name: string): Promise<unknown> =>
  until(`${name} to do`, 20_000, async () => !(await byNode(OPEN, `${world.dir}/${name}`)()));
/** A server with a leaf for a name that no site has, signed by whoever this is. */
const forged = async (signer: SigningRoot, name = OUTSIDE): Promise<string> => {
  const server: Server = createServer(contextOf(mintLeaf(signer, [name], Date.now())), (socket) =>
    socket.on("error", () => {}).end(),
  );
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const at = server.address();
  return `127.0.0.1:${typeof at === "object" ? at?.port : ""}`;
};
const judged = async (...cases: (readonly [name: string, roots: string, address?: string])[]) => {
  onTestFailed(() => world.explain());
  return verdictsOf(cases.map(([name, roots, address = DOOR]): Case => ({ address, name, roots })));
};

test("its own chain is accepted for its sites, and what the same key signs for another name is refused", async () => {
  const roots = await file("first.pem");
  const [signer] = rootsNow();
  const below = await forged(signer!, `a.${OPEN}`);
  expect(
    await judged([OPEN, roots], [GUARDED, roots], [`a.${OPEN}`, roots, below], [OUTSIDE, roots, await forged(signer!)]),
  ).toEqual([all("accept"), all("accept"), all("accept"), all("refuse")]);
});

test("a root of before, which signed by itself, is accepted too; that Java does not bind such a root is why there is an intermediate", async () => {
  const old = makeRoot([OPEN, "layover"], { name: "Layover CA box 20260101 abcd" });
  const signer = { ...readRoot(old.certificate), key: old.privateKey };
  const roots = await file("old.pem", old.pem);
  expect(await judged([OPEN, roots, await forged(signer, OPEN)], [OUTSIDE, roots, await forged(signer)])).toEqual([
    all("accept"),
    all("refuse", { java: "accept" }),
  ]);
});

test("a site that is added: old files go on for old sites, and need the new one for it", async () => {
  await world.layover.stop();
  await world.layover.start({}, { sites: { [ADDED]: {} } });
  const both = await file("both.pem");
  const old = `${world.dir}/first.pem`;
  const [, further] = rootsNow();
  expect(
    await judged(
      [OPEN, old],
      [OPEN, both],
      [ADDED, both],
      [ADDED, old],
      [OPEN, both, await forged(further!, OPEN)],
      [OUTSIDE, both, await forged(further!)],
    ),
  ).toEqual([all("accept"), all("accept"), all("accept"), all("refuse"), all("refuse"), all("refuse")]);
});

test("a rotation: until the switch the old file does, after it the new one, and both always", async () => {
  const old = await file("old.pem");
  await caCommand("rotate");
  const both = await file("both.pem");
  const fresh = await file("fresh.pem", (await readFile(both, "utf8")).slice((await readFile(old, "utf8")).length));
  const every = [OPEN, GUARDED, ADDED].flatMap((name) => [old, both, fresh].map((roots) => [name, roots] as const));
  const before = [all("accept"), all("accept"), all("refuse")];
  expect(await judged(...every)).toEqual([...before, ...before, ...before]);
  await caCommand("rotate", "--to", (await fingerprints()).at(-1)!, "--now");
  await signedBy("fresh.pem");
  const after = [all("refuse"), all("accept"), all("accept")];
  expect(await judged(...every)).toEqual([...after, ...after, ...after]);
  expect(await judged([OUTSIDE, both, await forged(rootsNow().at(-1)!)])).toEqual([all("refuse")]);
  await caCommand("rotate", "--retire");
  expect(await readFile(world.layover.certificate, "utf8")).toBe(await readFile(fresh, "utf8"));
});

test("a company's intermediate, with constraints of its own, and back", async () => {
  const place = `${world.dir}/corp`;
  await mkdir(place);
  const own = await file("own.pem");
  const names = [OPEN, GUARDED, ADDED, "layover", "docker.io", "quay.io", "registry.k8s.io", "gcr.io", "mcr.microsoft.com"];
  const permitted = [...names, "public.ecr.aws"].map((name) => `permitted;DNS:${name}`).join();
  const ca = "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n";
  const corp = corporate(place, { extensions: `${ca}nameConstraints=critical,${permitted}\n`, keys: ["-newkey", "rsa:2048"] });
  await caCommand("import", "--certificate", corp.chain, "--key", corp.key, "--now");
  const root = await file("corp.pem", corp.rootPem);
  await signedBy("corp.pem");
  const signer = rootsNow().find(({ name }) => name === "Corp issuing")!;
  expect(await judged([OPEN, root], [ADDED, root], [OPEN, own], [OUTSIDE, root, await forged(signer)])).toEqual([
    all("accept"),
    all("accept"),
    all("refuse"),
    all("refuse"),
  ]);
  await caCommand("rotate", "--to", (await fingerprints())[0]!, "--now");
  await signedBy("own.pem");
  expect(await judged([OPEN, own], [OPEN, root])).toEqual([all("accept"), all("refuse")]);
});
