import { decode } from "dns-packet";
import { expect, it } from "vitest";
import { createRelay } from "../../src/dns/relay.ts";
import { split } from "../../src/dns/split.ts";
import { TYPE } from "../../src/dns/wire.ts";
import { silent } from "../../src/lib/log.ts";
import { query, replyTo } from "./message.ts";
import { fakeResolver } from "./resolver.ts";

const answering = (address: string) => fakeResolver(({ message, send }) => send(replyTo(message, [address])));

it("asks a zone's resolver for what lies in the zone, and only that one, also when it is gone", async () => {
  const inner = await answering("10.0.0.1");
  await using outer = await answering("192.0.2.1");
  const open = (resolver: typeof inner) =>
    createRelay({ resolvers: [resolver.address], log: silent, attemptMs: 200, totalMs: 200 });
  const [inside, outside] = [open(inner), open(outer)];
  const forwarder = split([["corp.example", inside]], outside);
  const ask = async (name: string) => decode(await forwarder.forward(query(name, TYPE.A)));
  expect((await ask("Registry.Corp.Example")).answers).toMatchObject([{ data: "10.0.0.1" }]);
  expect((await ask("notcorp.example")).answers).toMatchObject([{ data: "192.0.2.1" }]);
  await inner[Symbol.asyncDispose]();
  expect(await ask("git.corp.example")).toMatchObject({ rcode: "SERVFAIL", answers: [] });
  expect(outer.asked).toHaveLength(1);
  inside.close();
  outside.close();
});
