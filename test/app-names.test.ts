import { decode } from "dns-packet";
import { expect, it, onTestFinished } from "vitest";
import { namesOf } from "../src/app-names.ts";
import { silent } from "../src/lib/log.ts";
import { UpstreamResolver } from "../src/upstream/resolver.ts";
import { tlsFake } from "./dns/encrypted-resolver.ts";
import { replyTo } from "./dns/message.ts";
import { fakeResolver } from "./dns/resolver.ts";
import { rootPem } from "./upstream/secure.ts";

const answering = (address: string) => (message: Buffer) =>
  decode(message).questions[0]!.type === "A" ? replyTo(message, [address]) : replyTo(message, []);

it("upstreams' names are asked of encrypted resolvers where there are some, and of a zone's own", async () => {
  await using secure = await tlsFake(({ message, send }) => send(answering("192.0.2.7")(message)), ["127.0.0.1"]);
  await using inner = await fakeResolver(({ message, send }) => send(answering("10.0.0.7")(message)));
  const splits = [{ zone: "corp.example", resolvers: [inner.text] }];
  const names = namesOf({ resolvers: [`tls://127.0.0.1:${secure.port}`], splits, trust: rootPem }, silent);
  onTestFinished(() => names.close());
  const resolver = new UpstreamResolver({ names, isOurs: () => false });
  expect(await resolver.resolve("registry.example", 443)).toEqual([{ address: "192.0.2.7", family: 4 }]);
  expect(await resolver.resolve("registry.corp.example", 443)).toEqual([{ address: "10.0.0.7", family: 4 }]);
  expect(secure.asked.map(({ message }) => decode(message).questions[0]!.name)).not.toContain("registry.corp.example");
});

it("a name that nobody knows is said so", async () => {
  await using secure = await tlsFake(({ message, send }) => send(replyTo(message, [], 0x8183)), ["127.0.0.1"]);
  const names = namesOf({ resolvers: [`tls://127.0.0.1:${secure.port}`], splits: [], trust: rootPem }, silent);
  onTestFinished(() => names.close());
  const resolver = new UpstreamResolver({ names, isOurs: () => false });
  await expect(resolver.resolve("gone.example", 443)).rejects.toThrow("no resolver knows gone.example");
});
