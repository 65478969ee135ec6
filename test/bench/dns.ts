// DNS, with the server alone on one core and dnsperf on the other, and with both wherever the kernel puts them.
import { lookup } from "../e2e/internet.ts";
import { HIJACKED, ZONE } from "./dnsmasq.ts";
import { dnsperf } from "./dnsperf.ts";
import { costOf, interleave, type Rounds } from "./rounds.ts";
import type { Stage } from "./stage.ts";

const [SERVER, CLIENT, BOTH] = ["0", "1", "0,1"];
const FORWARDED = Array.from({ length: 64 }, (_, n) => `host-${n}.${ZONE.name}`);

const queries =
  (what: string, names: readonly string[], isPinned: boolean) =>
  async (stage: Stage): Promise<Rounds> => {
    const address = names === HIJACKED ? stage.ours.address : ZONE.address;
    const check = async (dns: string) => {
      for (const name of [names[0]!, names.at(-1)!]) {
        const [found] = await lookup(dns, name);
        if (found?.address !== address) throw new Error(`${dns}: ${name} is ${found?.address}, not ${address}`);
      }
    };
    const measure = () =>
      interleave(what, stage.resolvers, stage.pace.rounds, async (server) => {
        await check(server.dns);
        const file = `${stage.dir}/queries`;
        const ask = () => dnsperf(server.dns, names, stage.pace.seconds, file, isPinned ? CLIENT : undefined);
        const [{ perSecond, completed }, { cpu, clientCpu, seconds }] = await costOf(server, ask);
        await check(server.dns);
        return { rate: perSecond, perCore: completed / cpu, client: clientCpu / seconds };
      });
    if (!isPinned) return measure();
    const pin = async (servers: string, internet: string) => {
      for (const server of stage.resolvers) await server.pin(servers);
      await stage.internet.pin(internet);
    };
    await pin(SERVER, CLIENT);
    try {
      return await measure();
    } finally {
      await pin(BOTH, BOTH);
    }
  };

export const hijacked = queries("dns-hijacked", HIJACKED, true);
export const hijackedFree = queries("dns-hijacked-free", HIJACKED, false);
export const forwarded = queries("dns-forwarded", FORWARDED, true);
export const forwardedFree = queries("dns-forwarded-free", FORWARDED, false);
