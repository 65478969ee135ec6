// Two forwarders that everybody knows, set to do no more than forward: what they give for a name is what Layover is to give.
import { writeFile } from "node:fs/promises";
import { Part } from "../part.ts";
import { ask, question } from "./asking.ts";
import { APEX, TYPES } from "./zone.ts";

const answers = (address: string) => async (): Promise<boolean> =>
  (await ask(address, question(`one.${APEX}`, TYPES.A), "udp", 200)).length > 40;

/** Without its cache, which gives back less than was put into it (no DNAME, no AD, partial answers with TC, AA on aliases). */
export const startDnsmasq = (dir: string, address: string, resolver: string): Promise<Part> => {
  const plain = [
    "-k",
    "--user=root",
    "--pid-file=",
    "--no-resolv",
    "--no-hosts",
    "--conf-file=/dev/null",
    "--log-facility=-",
    "--cache-size=0",
  ];
  const here = ["--bind-interfaces", `--listen-address=${address}`, `--server=${resolver}`, "--proxy-dnssec"];
  return Part.start("dnsmasq", ["dnsmasq", ...plain, ...here], `${dir}/neighbour.log`, answers(address));
};

/** No validator, for nothing in this world is really signed; the whole answer, as it came. */
export const startUnbound = async (dir: string, address: string, resolver: string): Promise<Part> => {
  const file = `${dir}/unbound.conf`;
  await writeFile(
    file,
    `server:
  interface: ${address}
  access-control: 127.0.0.0/8 allow
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "${dir}"
  pidfile: ""
  use-syslog: no
  logfile: ""
  num-threads: 1
  max-udp-size: 1232
  module-config: "iterator"
  do-not-query-localhost: no
  minimal-responses: no
  rrset-roundrobin: no
forward-zone:
  name: "."
  forward-addr: ${resolver}
remote-control:
  control-enable: no
`,
  );
  return Part.start("unbound", ["unbound", "-d", "-p", "-c", file], `${dir}/unbound.log`, answers(address));
};
