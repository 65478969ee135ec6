import { decode } from "dns-packet";
import { describe, expect, it } from "vitest";
import { openResolvers } from "../../src/dns/resolvers.ts";
import { TYPE } from "../../src/dns/wire.ts";
import { silent } from "../../src/lib/log.ts";
import { query, replyTo } from "./message.ts";
import { fakeResolver } from "./resolver.ts";

const answering = (address: string) => fakeResolver(({ message, send }) => send(replyTo(message, [address])));

describe("resolvers for a zone", () => {
  it("are asked for what lies in it, and only they, also when they are gone", async () => {
    const inner = await answering("10.0.0.1");
    await using outer = await answering("192.0.2.1");
    const splits = [{ zone: "corp.example", resolvers: [inner.text] }];
    const resolvers = await openResolvers({ resolvers: [outer.text], splits }, silent);
    const ask = async (name: string) => decode(await resolvers.forward(query(name, TYPE.A)));
    expect((await ask("Registry.Corp.Example")).answers).toMatchObject([{ data: "10.0.0.1" }]);
    expect((await ask("notcorp.example")).answers).toMatchObject([{ data: "192.0.2.1" }]);
    await inner[Symbol.asyncDispose]();
    expect(await ask("git.corp.example")).toMatchObject({ rcode: "SERVFAIL", answers: [] });
    expect(outer.asked).toHaveLength(1);
    resolvers.close();
  });
});

describe("who is asked for names of the network itself", () => {
  const isAsked = async (group: readonly string[], zone = "corp.example") => {
    const resolvers = await openResolvers({ resolvers: group, splits: [{ zone, resolvers: ["10.0.0.3:53"] }] }, silent);
    resolvers.close();
    return (name: string) => resolvers.isAsked(name);
  };

  it("nobody, where all resolvers are public", async () => {
    const asked = await isAsked(["8.8.8.8:53"]);
    expect(["printer.local", "5.0.0.10.in-addr.arpa", "host"].map(asked)).toEqual([false, false, false]);
  });

  it("who has a rule for them", async () => {
    const asked = await isAsked(["8.8.8.8:53"], "0.10.in-addr.arpa");
    expect(["5.1.0.10.in-addr.arpa", "5.0.1.10.in-addr.arpa"].map(asked)).toEqual([true, false]);
  });

  it("resolvers within the network", async () => {
    const asked = await isAsked(["10.0.0.2:53"]);
    expect(["printer.local", "5.0.0.10.in-addr.arpa", "host"].map(asked)).toEqual([true, true, true]);
    await using inside = await answering("10.0.0.1");
    const mixed = await openResolvers({ resolvers: ["192.0.2.53:53", inside.text], splits: [] }, silent);
    const reply = decode(await mixed.forward(query("printer.local")));
    expect(reply.answers).toMatchObject([{ data: "10.0.0.1" }]);
    mixed.close();
  });
});
